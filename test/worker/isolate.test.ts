/** Handlers in real threads and processes of their own: what they say arrives, and what they do to themselves harms nobody. */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  defineJob,
  type Isolation,
  Qudo,
  type Worker,
  type WorkerOptions,
} from "../../src/index.js";
import type { AnyJobDefinition } from "../../src/core/job.js";
import { onServer } from "./engine.js";
import { newApartWorker } from "./fixtures/actors.js";
// @ts-expect-error -- plain JavaScript, which threads and processes can load
import { jobs as fixtures } from "./fixtures/apart.mjs";
import {
  attemptsOf,
  expectSound,
  newDatabase,
  newPath,
  newQudo,
  refused,
  silent,
  tune,
  until,
} from "./support.js";

const apart = fixtures as AnyJobDefinition[];
const among = defineJob("among", { run: () => process.pid });

type Place = Readonly<Record<"pid" | "thread", number>>;

interface Scene {
  readonly qudo: Qudo;
  readonly worker: Worker;
  add(kind: string, payload?: unknown): Promise<string>;
  resultOf(id: string): Promise<unknown>;
}

async function scene(where: Isolation, options: WorkerOptions = {}): Promise<Scene> {
  return working(where, newQudo([...apart, among]), options);
}

async function working(where: Isolation, qudo: Qudo, options: WorkerOptions = {}): Promise<Scene> {
  const worker = await qudo.work({ logger: silent(), ...options });
  const definition = (kind: string): AnyJobDefinition =>
    apart.find((job) => job.kind === `${where}.${kind}`)!;
  return {
    qudo,
    worker,
    add: async (kind, payload = null) =>
      (await qudo.enqueue({ ...definition(kind), schema: null }, payload)).id,
    resultOf: async (id) => (await ended(qudo, id)).at(-1)?.result,
  };
}

type Attempts = Awaited<ReturnType<typeof attemptsOf>>;

async function ended(qudo: Qudo, id: string, runs = 1): Promise<Attempts> {
  await until(`${runs} runs have ended`, async () => (await attemptsOf(qudo, id)).length >= runs);
  return attemptsOf(qudo, id);
}

const text = (file: string): string => (existsSync(file) ? readFileSync(file, "utf8") : "");

/** Nothing leaves signs there any more. */
async function isStill(file: string): Promise<boolean> {
  const { size } = statSync(file);
  await sleep(100);
  return statSync(file).size === size;
}

describe.each(["thread", "process"] as const)("what is said in a %s", (where) => {
  // One for all of them: each start of a process takes its time.
  let shared: Scene;
  beforeAll(async () => {
    const databases = onServer ? newDatabase() : "sqlite::memory:";
    shared = await working(where, new Qudo({ databases, jobs: [...apart, among] }));
  }, 30_000);
  afterAll(() => shared.qudo.close(), 30_000);

  test("all that a handler is told and says is the same as elsewhere, secrets hidden", async () => {
    const { qudo, add } = shared;
    const id = await add("speaks", { password: "hunter22" });
    await until("its progress is seen", async () => {
      return (await qudo.jobs.get(id))?.progress !== null;
    });
    expect((await qudo.jobs.get(id))?.progress).toEqual({ half: true });
    const [attempt] = await ended(qudo, id);
    expect(attempt).toMatchObject({
      state: "done",
      result: {
        id,
        kind: `${where}.speaks`,
        queue: "default",
        database: null,
        attempt: 1,
        run: 1,
        maxAttempts: 6,
        priority: 0,
        context: { made: expect.any(Number) },
      },
    });
    const lines = [];
    for await (const { level, text } of qudo.jobs.log(id)) lines.push([level, text]);
    expect(lines).toEqual([
      ["info", "with [redacted]"],
      ["warn", expect.stringMatching(/^Error: not thrown\n +at .*apart\.mjs/)],
    ]);
  });

  test("what it throws is the error of its run, with stack and code", async () => {
    const { qudo, add } = shared;
    const [attempt] = await ended(qudo, await add("throws", { password: "hunter22" }));
    expect(attempt?.state).toBe("failed");
    expect(attempt?.error).toMatch(
      /^TypeError: no entry with \[redacted\] \[E_ENTRY\]\n +at .*apart\.mjs/,
    );
  });

  test.each([
    ["snoozes", "return", "snoozed", null],
    ["snoozes", "throw", "snoozed", null],
    ["gives up", null, "abandoned", /it is useless/],
    [
      "says nonsense",
      null,
      "failed",
      /QUDO_INVALID_OPTION.*There is no level "loudly"|There is no level "loudly".*QUDO_INVALID_OPTION/,
    ],
    ["leaves", null, "cancelled", null],
    ["comes again", null, "snoozed", null],
    ["says done", null, "done", null],
    ["says fail", null, "failed", /^Error: it said so/],
    ["says nothing", null, "failed", /QUDO_NOT_COMPLETED/],
    ["replaces", "unknown", "failed", /"nobody's" is none of the jobs .*QUDO_INVALID_OPTION/],
    ["replaces", "forgets", "failed", /"nobody's" is none of the jobs .*QUDO_INVALID_OPTION/],
    ["replaces", "unclonable", "failed", /cannot leave the handler's thread or process/],
    ["replaces", "hurries", "failed", /job\.replace\(\) was being checked/],
    ["returns nonsense", null, "failed", /result\.at: a Map.*QUDO_INVALID_RESULT/],
    ["completes", null, "failed", /QUDO_UNSUPPORTED/],
    ["checked", { n: 0 }, "failed", /n must be positive.*QUDO_INVALID_PAYLOAD/],
  ])("%s (%j): %s", async (kind, payload, state, error) => {
    const { qudo, add } = shared;
    const [attempt] = await ended(qudo, await add(kind, payload));
    expect(attempt?.state).toBe(state);
    if (error === null) expect(attempt?.error).toBeNull();
    else expect(attempt?.error).toMatch(error);
  });

  test("jobs that take the place of one are added with its end", async () => {
    const { qudo, add } = shared;
    const [attempt] = await ended(qudo, await add("replaces", "two"));
    const { ids } = attempt!.result as { ids: string[] };
    expect(ids).toHaveLength(2);
    expect((await ended(qudo, ids[0]!))[0]).toMatchObject({ state: "done", result: "one" });
    expect(await qudo.jobs.get(ids[1]!)).toMatchObject({ state: "pending", payload: "two" });
    await expectSound(qudo);
  });

  test("payloads are checked there, not beside others", async () => {
    const { add, resultOf } = shared;
    const checked = (await resultOf(await add("checked", { n: 1 }))) as { checkedBy: number };
    if (where === "process") expect(checked.checkedBy).not.toBe(process.pid);
    expect(checked).toMatchObject({ n: 1 });
  });
});

describe.each(["thread", "process"] as const)("in a %s", (where) => {
  test("handlers run there, one at a time in each, and the next ones find it again", async () => {
    const { add, resultOf } = await scene(where);
    const first = (await resultOf(await add("where"))) as Place;
    if (where === "process") expect(first.pid).not.toBe(process.pid);
    else expect([first.pid, first.thread]).toEqual([process.pid, expect.any(Number)]);
    // Another one has its place.
    expect(await resultOf(await add("where"))).toEqual(first);
    const two = [await add("both", { ms: 300 }), await add("both", { ms: 300 })];
    const [one, other] = (await Promise.all(two.map(resultOf))) as [Place, Place];
    expect(one).not.toEqual(other);
  });

  test("which ends when it is not needed for long", async () => {
    tune({ isolateIdleMs: 50 });
    const { add, resultOf } = await scene(where);
    const first = (await resultOf(await add("where"))) as Place;
    await sleep(300);
    expect(await resultOf(await add("where"))).not.toEqual(first);
    if (where === "process") expect(() => process.kill(first.pid, 0)).toThrow("ESRCH");
  });

  test("what it still says after its end is nobody's", async () => {
    const { qudo, add, resultOf } = await scene(where);
    const talker = await add("talks on");
    await resultOf(talker);
    const next = await add("both", { ms: 150 });
    await resultOf(next);
    for (const id of [talker, next]) {
      const lines = [];
      for await (const line of qudo.jobs.log(id)) lines.push(line);
      expect(lines).toEqual([]);
    }
  });

  test("one that blocks holds up nobody", async () => {
    const { qudo, add, resultOf } = await scene(where);
    const file = newPath();
    const stop = newPath();
    const blocker = await add("blocks", { file, ms: 25_000, until: stop });
    await until("it blocks", () => text(file) !== "");
    const others = await Promise.all(
      Array.from({ length: 20 }, async () => (await qudo.enqueue(among, null)).id),
    );
    others.push(await add("where"));
    await Promise.all(others.map((id) => ended(qudo, id)));
    expect(await attemptsOf(qudo, blocker)).toEqual([]);
    writeFileSync(stop, "");
    expect(await resultOf(blocker)).toMatchObject({ pid: expect.any(Number) });
    await expectSound(qudo);
  });

  test("a time-out ends one that blocks: it does nothing more, and its job has failed", async () => {
    tune({ killGraceMs: 100 });
    const { qudo, add, resultOf } = await scene(where);
    const file = newPath();
    const [attempt] = await ended(qudo, await add("limited", { file }));
    expect(attempt?.state).toBe("failed");
    expect(attempt?.error).toContain("QUDO_JOB_TIMEOUT");
    expect(await isStill(file)).toBe(true);
    expect(await resultOf(await add("where"))).toMatchObject({ pid: expect.any(Number) });
    await expectSound(qudo);
  });

  test("a cancel ends one that blocks", async () => {
    tune({ killGraceMs: 100 });
    const { qudo, add } = await scene(where);
    const file = newPath();
    const id = await add("blocks", { file, ms: 60_000 });
    await until("it blocks", () => text(file) !== "");
    expect(await qudo.jobs.cancel(id)).toBe("cancelled");
    await until("it does nothing more", () => isStill(file));
    await expectSound(qudo);
  });

  test("stop() ends one that blocks once its time is over, and its job is given back at no cost", async () => {
    tune({ killGraceMs: 100 });
    const { qudo, worker, add } = await scene(where);
    const file = newPath();
    const id = await add("blocks", { file, ms: 60_000 });
    await until("it blocks", () => text(file) !== "");
    await worker.stop({ grace: "50ms" });
    expect((await attemptsOf(qudo, id)).map(({ state }) => state)).toEqual(["released"]);
    expect(await qudo.jobs.get(id)).toMatchObject({ state: "pending", fails: 0, crashes: 0 });
    expect(await isStill(file)).toBe(true);
    await expectSound(qudo);
  });

  test("one that obeys its signal has its time, and says what it wants", async () => {
    const { qudo, worker, add } = await scene(where);
    const file = newPath();
    const id = await add("obeys", { file });
    await until("it has started", () => text(file) !== "");
    await worker.stop({ grace: "50ms" });
    expect(text(file)).toBe("started\nQUDO_JOB_STOPPED\n");
    expect((await attemptsOf(qudo, id)).map(({ state }) => state)).toEqual(["released"]);
  });

  test("stop() lets one finish that needs less than the grace", async () => {
    const { qudo, worker, add } = await scene(where);
    const file = newPath();
    const id = await add("ignores", { file, ms: 300 });
    await until("it has started", () => text(file) !== "");
    await worker.stop();
    expect(text(file)).toBe("started\nreturned\n");
    expect((await attemptsOf(qudo, id)).map(({ state }) => state)).toEqual(["done"]);
  });

  test("one that dies fails alone, and says how", async () => {
    const { qudo, add } = await scene(where);
    const beside = await add("both", { ms: 500 });
    const deaths: [kind: string, how: RegExp][] = [
      ["exits", /exit code 3/],
      ["explodes", /nobody caught \[redacted\]/],
      ...(where === "process" ? [["murdered", /SIGKILL/] as [string, RegExp]] : []),
    ];
    for (const [kind, how] of deaths) {
      const id = await add(kind, { password: "hunter22" });
      const [attempt] = await ended(qudo, id);
      expect(await qudo.jobs.get(id)).toMatchObject({ state: "failed", fails: 1, crashes: 0 });
      expect(attempt?.error).toContain("QUDO_HANDLER_DIED");
      expect(attempt?.error).toMatch(how);
    }
    const among2 = (await qudo.enqueue(among, null)).id;
    expect((await ended(qudo, among2))[0]?.state).toBe("done");
    expect((await ended(qudo, beside)).map(({ state }) => state)).toEqual(["done"]);
    expect((await ended(qudo, await add("where")))[0]?.state).toBe("done");
    await expectSound(qudo);
  });
});

describe("a worker", () => {
  test("can run everything apart", async () => {
    const plain = apart.filter(({ isolate }) => isolate === "thread");
    const jobs = plain.map((job) => ({ ...job, isolate: null }));
    const qudo = newQudo(jobs);
    await qudo.work({ logger: silent(), isolate: "process" });
    const job = jobs.find(({ kind }) => kind === "thread.where")!;
    const result = (await (await qudo.enqueue(job, null)).result()) as Place;
    expect(result.pid).not.toBe(process.pid);
  });

  test("that is killed takes along what runs in its processes, also what blocks", async () => {
    const url = newDatabase();
    const qudo = newQudo(apart, url);
    await qudo.migrate();
    const file = newPath();
    const worker = newApartWorker({ url });
    await worker.heard("ready", undefined, 25_000);
    const blocks = apart.find(({ kind }) => kind === "process.blocks")!;
    const { id } = await qudo.enqueue(blocks, { file, ms: 60_000 });
    await until("it blocks", () => text(file) !== "");
    const pid = Number(text(file).split("\n")[0]);
    expect(pid).not.toBe(worker.pid);
    worker.kill("SIGKILL");
    await until("its process is gone too", () => !lives(pid), 5_000);
    expect(await isStill(file)).toBe(true);
    await qudo.jobs.cancel(id);
  });

  test("and one that was stopped by a signal leaves no process behind", async () => {
    const url = newDatabase();
    const qudo = newQudo(apart, url);
    await qudo.migrate();
    const worker = newApartWorker({ url });
    await worker.heard("ready", undefined, 25_000);
    const where = apart.find(({ kind }) => kind === "process.where")!;
    const { pid } = (await (await qudo.enqueue(where, null)).result()) as Place;
    expect(lives(pid)).toBe(true);
    worker.kill("SIGTERM");
    await until("the worker has ended", () => worker.ended !== null);
    await until("its process is gone too", () => !lives(pid));
  });
});

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const HERE = new URL("fixtures/", import.meta.url);

const refuses = async (job: AnyJobDefinition, options = {}): Promise<Error> => {
  const qudo = newQudo([job]);
  const error = await refused(qudo.work({ logger: silent(), signals: false, ...options }));
  expect(error.code).toBe("QUDO_ISOLATE_FAILED");
  return error;
};
const jobIn = (module: string | URL | undefined, kind = "any"): AnyJobDefinition =>
  defineJob(kind, { isolate: "thread", module, run: () => undefined });

describe("a worker does not start", () => {
  test("where a module is not named, is not there, or cannot be loaded", async () => {
    expect((await refuses(jobIn(undefined))).message).toMatch(/"any" .*module: import\.meta\.url/);
    const all = defineJob("all", { run: () => undefined });
    expect((await refuses(all, { isolate: "process" })).message).toContain('"all"');
    expect((await refuses(jobIn(new URL("nowhere.mjs", HERE)))).message).toContain("nowhere.mjs");
    for (const isolate of ["thread", "process"] as const) {
      const bad = { ...jobIn(new URL(`data:text/javascript,export const = 1;`)), isolate };
      expect((await refuses(bad)).message).toContain("SyntaxError");
    }
  });

  test("where a module lacks the kind", async () => {
    const missing = jobIn(new URL("apart.mjs", HERE), "missing");
    expect((await refuses(missing)).message).toContain('does not export "missing"');
  });

  test.each(["thread", "process"] as const)(
    "where a module starts a worker itself (%s)",
    async (isolate) => {
      const starts = jobIn(new URL("starts-a-worker.mjs", HERE), "starts a worker");
      expect((await refuses({ ...starts, isolate })).message).toContain("starts a worker");
    },
  );

  test("where a module never comes to its end", async () => {
    tune({ isolateStartMs: 300 });
    const endless = new URL(`data:text/javascript,for (;;);`);
    expect((await refuses(jobIn(endless))).message).toContain("was not loaded within 0.3 s");
  });

  test("with options that cannot be", async () => {
    const qudo = newQudo([among]);
    for (const options of [
      { isolate: "fork" },
      { throttle: 0 },
      { throttle: 1.5 },
      { throttle: "1" },
    ])
      expect((await refused(qudo.work(options as object))).code).toBe("QUDO_INVALID_OPTION");
    for (const options of [{ isolate: true }, { module: "./jobs.js" }, { module: 1 }])
      expect(() => defineJob("bad", { run: () => 1, ...options } as never)).toThrow(
        expect.objectContaining({ code: "QUDO_INVALID_OPTION" }),
      );
  });
});

describe("throttle", () => {
  test("lets each place rest for as long as it was not to be busy", async () => {
    const times: number[] = [];
    const job = defineJob("busy", {
      run: async () => {
        times.push(performance.now());
        await sleep(60);
      },
    });
    const qudo = newQudo([job]);
    await qudo.enqueueMany(Array.from({ length: 4 }, () => [job, null] as const));
    const worker = await qudo.work({ concurrency: 1, throttle: 0.25, logger: silent() });
    await until("all are done", () => worker.stats.done === 4);
    const gaps = times.slice(1).map((at, i) => at - times[i]!);
    console.log(`gaps between starts: ${gaps.map(Math.round).join(", ")} ms`);
    // 60 ms of work are a quarter of 240.
    for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(235);
    await worker.stop();
  });

  test("keeps nobody from stopping", async () => {
    const job = defineJob("long", { run: () => sleep(100) });
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, null);
    const worker = await qudo.work({ throttle: 0.001, logger: silent() });
    await until("it has ended", async () => (await attemptsOf(qudo, id)).length === 1);
    const begin = performance.now();
    await worker.stop();
    expect(performance.now() - begin).toBeLessThan(2_000);
  });
});
