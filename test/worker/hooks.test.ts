/** Hooks on a real database: their order, what they may change, what they are told. */
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import { defineJob, fixed, type Hooks, type WorkOutcome } from "../../src/index.js";
import { setting, worked } from "./hooked.js";
import { attemptsOf, expectSound, gate, newQudo, refused, silent, until } from "./support.js";

/** Says at each point that it was there. */
function noting(name: string, log: string[]): Hooks {
  const at = (point: string) => (): void => void log.push(`${name} ${point}`);
  return {
    name,
    preEnqueue: at("preEnqueue"),
    serialize: at("serialize"),
    postEnqueue: at("postEnqueue"),
    deserialize: at("deserialize"),
    preWork: at("preWork"),
    postWork: at("postWork"),
    onFailed: at("onFailed"),
    onAbandoned: at("onAbandoned"),
    around: {
      enqueue: async (_, next) => {
        log.push(`${name} enqueue {`);
        await next();
        log.push(`} ${name} enqueue`);
      },
      work: async (_, next) => {
        log.push(`${name} work {`);
        await next();
        log.push(`} ${name} work`);
      },
    },
  };
}

const each = (point: string): string[] => ["a", "b", "own"].map((name) => `${name} ${point}`);

describe("called", () => {
  test("in order on the way in, in the reverse one on the way out, the kind's own innermost", async () => {
    const own: Hooks[] = [];
    const log: string[] = [];
    own.push(noting("own", log));
    const { job, qudo, log: handler } = setting(own);
    qudo.use(noting("a", log));
    qudo.use(noting("b", log));
    await qudo.enqueue(job, 1);
    const back = (point: string): string[] => each(point).toReversed();
    expect(log).toEqual([
      "a enqueue {",
      "b enqueue {",
      "own enqueue {",
      ...each("preEnqueue"),
      ...each("serialize"),
      ...back("postEnqueue"),
      "} own enqueue",
      "} b enqueue",
      "} a enqueue",
    ]);
    log.length = 0;
    await worked(qudo, 1);
    expect(handler).toEqual(["handler 1"]);
    expect(log).toEqual([
      ...back("deserialize"),
      "a work {",
      "b work {",
      "own work {",
      ...each("preWork"),
      "} own work",
      "} b work",
      "} a work",
      ...back("postWork"),
    ]);
    await expectSound(qudo);
  });

  test("at once when they are used, no more when they are not, and only for their kinds", async () => {
    const { job, qudo } = setting();
    const log: string[] = [];
    const [all, others] = [noting("all", log), noting("others", log)];
    qudo.use(all);
    qudo.use({ ...others, kinds: ["another"] });
    expect(() => qudo.use(all)).toThrow(expect.objectContaining({ code: "QUDO_HOOKS_TWICE" }));
    await qudo.enqueue(job, 1);
    expect(log.filter((line) => line === "all preEnqueue")).toHaveLength(1);
    expect(await qudo.unuse(all)).toBe(true);
    expect(await qudo.unuse(all)).toBe(false);
    log.length = 0;
    await qudo.enqueue(job, 2);
    await worked(qudo, 2);
    expect(log).toEqual([]);
  });

  test("to the end by a run that has begun with them", async () => {
    const { job, qudo } = setting();
    const [begun, goOn] = [gate(), gate()];
    const log: string[] = [];
    const hooks: Hooks = {
      preWork: () => {
        begun.open();
        return goOn.passed;
      },
      postWork: () => void log.push("postWork"),
    };
    qudo.use(hooks);
    await qudo.enqueue(job, 1);
    await using worker = await qudo.work();
    await begun.passed;
    await qudo.unuse(hooks);
    goOn.open();
    await until("it has ended", async () => (await attemptsOf(qudo)).length === 1);
    await worker.stop();
    expect(log).toEqual(["postWork"]);
  });
});

describe("may change", () => {
  test("preEnqueue: payload and options, before they are checked", async () => {
    const { job, qudo, log } = setting();
    qudo.use({
      preEnqueue: async (draft) => {
        await Promise.resolve();
        expect(draft).toMatchObject({ kind: "step", payload: { n: 1 } });
        draft.payload = { n: 2 };
        draft.options = { ...draft.options, priority: 7 };
      },
    });
    const { id } = await qudo.enqueue(job, { n: 1 });
    expect(await qudo.jobs.get(id)).toMatchObject({ payload: { n: 2 }, priority: 7 });
    await worked(qudo, 1);
    expect(log).toEqual(['handler {"n":2}']);
    qudo.use({ preEnqueue: (draft) => void (draft.options.priority = 1e9) });
    const again = await refused(qudo.enqueue(job, { n: 1 }));
    expect(again).toMatchObject({ code: "QUDO_INVALID_OPTION" });
  });

  test("what the caller changes after the call changes no job", async () => {
    const { job, qudo } = setting();
    qudo.use({ preEnqueue: () => Promise.resolve() });
    const payload = { n: 1 };
    const enqueued = qudo.enqueue(job, payload);
    payload.n = 2;
    expect((await qudo.jobs.get((await enqueued).id))?.payload).toEqual({ n: 1 });
  });

  test("serialize and deserialize: what is stored, where the handler sees nothing of it", async () => {
    const { job, qudo, log } = setting();
    const attic = new Map<string, unknown>();
    qudo.use({
      serialize: async (draft) => {
        await Promise.resolve();
        attic.set(draft.id, draft.payload);
        draft.payload = { in: "the attic" };
      },
      deserialize: (draft) => void (draft.payload = attic.get(draft.id)),
    });
    const large = { text: "x".repeat(2_000_000) };
    const { id } = await qudo.enqueue(job, large);
    expect((await qudo.jobs.get(id))?.payload).toEqual({ in: "the attic" });
    await worked(qudo, 1);
    expect(log).toEqual([`handler ${JSON.stringify(large)}`]);
  });

  test("around.work: the result, also without the handler", async () => {
    const { job, qudo, log } = setting();
    qudo.use({
      around: {
        work: async ({ payload }, next) =>
          payload === "cached" ? "from the cache" : { wrapped: await next() },
      },
    });
    const jobs = await qudo.enqueueMany([
      [job, "cached"],
      [job, "new"],
    ]);
    await using _ = await qudo.work();
    expect(await Promise.all(jobs.map((one) => one.result()))).toEqual([
      "from the cache",
      { wrapped: { got: "new" } },
    ]);
    expect(log).toEqual(['handler "new"']);
  });

  test("around.work: what the handler runs in", async () => {
    const store = new AsyncLocalStorage<string>();
    let seen: string | undefined;
    const job = defineJob("seen", { run: () => void (seen = store.getStore()) });
    const qudo = newQudo([job]);
    qudo.use({ around: { work: ({ id }, next) => store.run(id, next) } });
    const { id } = await qudo.enqueue(job, null);
    await worked(qudo, 1);
    expect(seen).toBe(id);
  });

  test("the outcome: nothing; it is told as the database has it", async () => {
    const { job, qudo } = setting();
    const told: [string, string, WorkOutcome][] = [];
    const tell = (point: string) => (run: { payload: unknown }, outcome: WorkOutcome) =>
      void told.push([point, String(run.payload), outcome]);
    qudo.use({
      postWork: async (run, outcome) => {
        const [attempt] = await attemptsOf(qudo, run.id);
        expect(attempt?.state).toBe(outcome.state);
        tell("postWork")(run, outcome);
      },
      onFailed: tell("onFailed"),
      onAbandoned: tell("onAbandoned"),
    });
    await qudo.enqueueMany(["ok", "fail", "abort", "snooze"].map((how) => [job, how] as const));
    await worked(qudo, 4);
    await until("all are told", () => told.length === 6);
    const of = (point: string, payload: string): WorkOutcome =>
      told.find(([at, of]) => at === point && of === payload)![2];
    expect(of("postWork", "ok")).toMatchObject({
      state: "done",
      result: { got: "ok" },
      error: null,
      thrown: undefined,
      delayMs: null,
    });
    expect(of("onFailed", "fail")).toMatchObject({
      state: "failed",
      delayMs: 3_600_000,
      thrown: expect.objectContaining({ message: "no luck" }) as Error,
    });
    expect(of("onFailed", "fail")).toBe(of("onFailed", "fail"));
    expect(of("onAbandoned", "abort")).toMatchObject({ state: "abandoned", reason: "aborted" });
    expect(of("postWork", "snooze")).toMatchObject({ state: "snoozed", delayMs: 3_600_000 });
    expect(told.map(([point]) => point).toSorted()).toEqual([
      "onAbandoned",
      "onFailed",
      ...Array.from({ length: 4 }, () => "postWork"),
    ]);
  });

  test("the outcome of a run that others have decided is that it is lost", async () => {
    const begun = gate();
    const states: string[] = [];
    const job = defineJob("held", {
      run: (_: unknown, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason as Error));
          begun.open();
        }),
    });
    const qudo = newQudo([job]);
    qudo.use({ postWork: (_, { state }) => void states.push(state) });
    const { id } = await qudo.enqueue(job, null);
    await using _ = await qudo.work({ lease: "1s" });
    await begun.passed;
    await qudo.jobs.cancel(id);
    await until("it is told", () => states.length === 1);
    expect(states).toEqual(["lost"]);
  });
});

describe("jobs that take the place of another", () => {
  const child = defineJob("child", { queue: "later", run: () => undefined });
  const parent = defineJob("parent", {
    backoff: fixed("1h"),
    run: (n: number, job) => job.replace([[child, n, { uniqueKey: "one" }]]),
  });

  test("are changed by hooks before they are written, and told of when they are", async () => {
    const qudo = newQudo([parent]);
    const told: string[] = [];
    qudo.use({
      kinds: [child],
      preEnqueue: (draft) => void (draft.payload = Number(draft.payload) + 1),
      serialize: (draft) => void (draft.payload = { n: draft.payload }),
      postEnqueue: async ({ id, status, payload }) => {
        expect(await qudo.jobs.get(id)).toMatchObject({ payload: { n: payload } });
        told.push(`${status} ${String(payload)}`);
      },
      around: { enqueue: () => void told.push("around") },
    });
    await qudo.enqueue(parent, 1);
    await worked(qudo, 1);
    await until("it is told", () => told.length > 0);
    expect(told).toEqual(["inserted 2"]);
    await expectSound(qudo);
  });

  test("are refused by a hook together with the run that wants them", async () => {
    const qudo = newQudo([parent]);
    qudo.use({
      kinds: [child],
      preEnqueue: () => {
        throw new Error("no children");
      },
    });
    const { id } = await qudo.enqueue(parent, 1);
    await worked(qudo, 1);
    expect(await attemptsOf(qudo, id)).toMatchObject([
      { state: "failed", error: expect.stringContaining("no children") as string },
    ]);
    expect(await qudo.monitor.counts({ kind: "child" })).toEqual([]);
  });
});

describe("jobs that are consumed by hand", () => {
  const page = defineJob("page", {
    queue: "http",
    backoff: fixed("1h"),
    run: (_n: number) => undefined,
  });

  test("are read through deserialize, begun through preWork, and told of at their end", async () => {
    const qudo = newQudo([page]);
    const told: string[] = [];
    qudo.use({
      deserialize: (draft) => void (draft.payload = Number(draft.payload) + 1),
      preWork: ({ payload }) => void told.push(`begins with ${String(payload)}`),
      postWork: (_, { state, result }) => void told.push(`${state} ${String(result)}`),
    });
    await qudo.enqueue(page, 1);
    const [task] = await qudo.queue("http", { logger: silent() }).fetch();
    expect(task!.payload).toBe(2);
    expect(told).toEqual([]);
    expect(await task!.start()).toBe(true);
    expect(await task!.finish("seen")).toBe(true);
    await until("its end is told", () => told.length === 2);
    expect(told).toEqual(["begins with 2", "done seen"]);
    await expectSound(qudo);
  });

  test("end by what preWork throws, and then were never begun", async () => {
    const qudo = newQudo([page]);
    qudo.use({
      preWork: () => {
        throw new Error("not today");
      },
    });
    const { id } = await qudo.enqueue(page, 1);
    const [task] = await qudo.queue("http", { logger: silent() }).fetch();
    expect(await task!.start()).toBe(false);
    expect(task!.state).toBe("failed");
    expect(await task!.finish()).toBe(false);
    expect(await attemptsOf(qudo, id)).toMatchObject([
      { state: "failed", error: expect.stringContaining("not today") as string },
    ]);
    await expectSound(qudo);
  });
});

test("stopping waits until hooks have been told of the last runs", async () => {
  const { job, qudo } = setting();
  const [begun, goOn] = [gate(), gate()];
  let told = false;
  qudo.use({
    postWork: async () => {
      begun.open();
      await goOn.passed;
      told = true;
    },
  });
  await qudo.enqueue(job, 1);
  const worker = await qudo.work();
  await begun.passed;
  const stopped = worker.stop();
  goOn.open();
  await stopped;
  expect(told).toBe(true);
});

test("secrets of a payload that hooks have read are masked in errors and lines", async () => {
  const job = defineJob("secret", {
    backoff: fixed("1h"),
    run: (payload: { password: string }, { log }) => {
      log(`logging in with ${payload.password}`);
      throw new Error(`${payload.password} is wrong`);
    },
  });
  const qudo = newQudo([job]);
  qudo.use({
    serialize: (draft) => void (draft.payload = { sealed: true }),
    deserialize: (draft) => void (draft.payload = { password: "hunter2" }),
  });
  const { id } = await qudo.enqueue(job, { password: "hunter2" });
  await worked(qudo, 1);
  const [attempt] = await attemptsOf(qudo, id);
  expect(attempt?.error).toContain("[redacted]");
  expect(attempt?.error).not.toContain("hunter2");
  for await (const line of qudo.jobs.log(id)) expect(line.text).not.toContain("hunter2");
});
