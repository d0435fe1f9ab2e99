/** Limits as users have them: several workers, processes that are killed, and who has the last word. */
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { defineJob, Qudo, type KindLimits, type QueueLimits } from "../../src/index.js";
import { newId } from "../../src/storage/ids.js";
import { newLimited, type Actor } from "./fixtures/actors.js";
import {
  closing,
  expectSound,
  newBench,
  newDatabase,
  newPath,
  newQudo,
  refused,
  silent,
  totals,
  tune,
  until,
} from "./support.js";

interface Payload {
  readonly key: string;
}

/** A kind whose handlers wait to be let go, and how many of them run. */
function counted(limits: KindLimits<Payload>, kind = "limited") {
  const running = new Map<string, number>();
  const most = new Map<string, number>();
  const waiting: (() => void)[] = [];
  const change = (key: string, by: number): void => {
    const n = (running.get(key) ?? 0) + by;
    running.set(key, n);
    most.set(key, Math.max(most.get(key) ?? 0, n));
  };
  const job = defineJob(kind, {
    limits,
    run: async ({ key }: Payload) => {
      for (const name of [key, "all"]) change(name, 1);
      await new Promise<void>((resolve) => waiting.push(resolve));
      for (const name of [key, "all"]) change(name, -1);
    },
  });
  return {
    job,
    most,
    now: (key = "all"): number => running.get(key) ?? 0,
    letOneGo: (): void => waiting.shift()?.(),
  };
}

const orders = (job: ReturnType<typeof counted>["job"], n: number, keys: readonly string[]) =>
  Array.from({ length: n }, (_, i) => [job, { key: keys[i % keys.length]! }] as const);

describe("running at once", () => {
  test("never more than the limit over all workers, and as many as it allows", async () => {
    const { job, most, now, letOneGo } = counted({ running: 3 });
    const database = newDatabase();
    const qudos = [newQudo([job], database), newQudo([job], database)];
    const jobs = 12;
    await qudos[0]!.enqueueMany(orders(job, jobs, ["a"]));
    for (const qudo of qudos) await qudo.work({ logger: silent() });
    for (let done = 0; done < jobs; done++) {
      const expected = Math.min(3, jobs - done);
      await until(`${expected} run`, () => now() === expected);
      letOneGo();
      await until("one has ended", async () => (await totals(qudos[0]!))["done"] === done + 1);
    }
    expect(most.get("all")).toBe(3);
    expect(await qudos[0]!.monitor.limits()).toMatchObject([{ name: "limited", running: 0 }]);
    await expectSound(qudos[0]!);
  });

  test("one of each key, and all keys at once", async () => {
    const { job, most, now, letOneGo } = counted({
      perKey: { key: ({ key }) => key, running: 1 },
    });
    const qudo = newQudo([job]);
    const keys = ["a", "b", "c"];
    await qudo.enqueueMany(orders(job, 9, keys));
    await qudo.work({ logger: silent() });
    for (let left = 9; left > 0; left--) {
      const expected = Math.min(3, left);
      await until(`${expected} run`, () => now() === expected);
      letOneGo();
      await until("one has ended", async () => (await totals(qudo))["done"] === 10 - left);
    }
    for (const key of keys) expect(most.get(key)).toBe(1);
    expect(most.get("all")).toBe(3);
    await expectSound(qudo);
  });

  test("a queue's limit is said by Qudo, and taken back by null", async () => {
    const { job, now, letOneGo } = counted({});
    const database = newDatabase();
    const open = (limits: QueueLimits | null): Qudo =>
      closing(new Qudo({ databases: database, jobs: [job], queueLimits: { default: limits } }));
    const qudo = open({ running: 2 });
    await qudo.enqueueMany(orders(job, 6, ["a"]));
    await qudo.work({ logger: silent() });
    await until("two run", () => now() === 2);
    expect(await qudo.monitor.limits()).toMatchObject([
      { scope: "queue", name: "default", running: 2 },
    ]);
    const other = await open(null).work({ queues: ["another"], logger: silent() });
    await until("its limits are gone", async () => (await qudo.monitor.limits()).length === 0);
    await other.stop();
    letOneGo();
    await until("the others run, too", () => now() === 5);
    for (let i = 0; i < 6; i++) letOneGo();
    await until("all are done", async () => (await totals(qudo))["done"] === 6);
    await expectSound(qudo);
  });
});

describe("who has the last word", () => {
  test("the worker that started last: its numbers hold for one that was there before", async () => {
    const database = newDatabase();
    const early = counted({ running: 1 });
    const late = counted({ running: 4 });
    const qudo = newQudo([early.job], database);
    await qudo.enqueueMany(orders(early.job, 8, ["a"]));
    await qudo.work({ logger: silent() });
    await until("one runs", () => early.now() === 1);
    const other = newQudo([late.job], database);
    const worker = await other.work({ queues: ["another"], logger: silent() });
    await until("four may run", async () => {
      const [row] = await qudo.monitor.limits();
      return row?.spec.running === 4;
    });
    await worker.stop();
    early.letOneGo();
    await until("four run", () => early.now() === 4);
    for (let i = 0; i < 8; i++) early.letOneGo();
    await until("the rest runs", async () => {
      early.letOneGo();
      return (await totals(qudo))["done"] === 8;
    });
    expect(early.most.get("all")).toBe(4);
  });

  test("a worker that lost its session does not say again what it said when it started", async () => {
    const { job } = counted({ running: 1 });
    const { driver, worker } = await newBench([job]);
    const working = worker();
    await until("it has declared", async () => (await driver.limits())[0]?.spec.running === 1);
    const spec = { running: 7, perMachine: null, rate: null, perKey: null };
    const session = {
      id: newId(),
      name: "other",
      host: "h",
      pid: 1,
      process: null,
      leaseMs: 30_000,
      kinds: [],
      version: "0",
    };
    const limits = [{ scope: "kind", name: "limited", spec } as const];
    await driver.openSession({ ...session, limits });
    await driver.closeSession(session.id);
    const [own] = await driver.sessions();
    await driver.reap([{ id: own!.id, beat: own!.beat, cause: "gone", leaseMs: 0 }]);
    working.wake();
    await driver.insertJobs([]);
    tune({ heartbeatMs: 10 });
    await until("it has a new session", async () => {
      working.wake();
      const [now] = await driver.sessions();
      return now !== undefined && now.id !== own!.id;
    });
    expect((await driver.limits())[0]?.spec.running).toBe(7);
  });

  test("a worker that knows a kind without limits takes them away", async () => {
    const database = newDatabase();
    const limited = newQudo([counted({ running: 1 }).job], database);
    await (await limited.work({ logger: silent() })).stop();
    expect(await limited.monitor.limits()).toHaveLength(1);
    const free = newQudo([defineJob("limited", { run: () => undefined })], database);
    await (await free.work({ logger: silent() })).stop();
    expect(await limited.monitor.limits()).toEqual([]);
  });
});

describe("rates", () => {
  test("jobs begin no faster than tokens come, and the worker comes back by itself when there is one", async () => {
    // Neither polls nor wake-ups: only what a claim was told brings it back.
    tune({ pollMs: 600_000, maintenanceMs: 600_000, lookFirstMs: 600_000, lookLastMs: 600_000 });
    const began: number[] = [];
    const job = defineJob("paced", {
      limits: { rate: { tokens: 5, per: "250ms" } },
      run: () => void began.push(performance.now()),
    });
    const { driver, worker } = await newBench([job]);
    const jobs = 15;
    const { id: _, ...rest } = {
      id: "",
      queue: "default",
      kind: "paced",
      priority: 0,
      delayMs: 0,
      runAt: null,
      expiresAt: null,
      maxAttempts: 6,
      timeoutMs: null,
      keepDoneMs: null,
      keepOtherMs: null,
      redact: null,
      uniqueKey: null,
      payload: { codec: 1, text: "1", bin: null },
    };
    const start = performance.now();
    await driver.insertJobs(Array.from({ length: jobs }, () => ({ id: newId(), ...rest })));
    const working = worker({}, { capabilities: { wakeups: false }, subscribe: undefined });
    await until("all are done", () => working.stats.done === jobs);
    // Five at once, and ten at twenty a second. Clocks of databases are rounded to milliseconds.
    expect(began.at(-1)! - start).toBeGreaterThan(490);
  });
});

describe("what is refused", () => {
  test("a key that is none, before anything is written", async () => {
    const job = defineJob("keyed", {
      limits: { perKey: { key: ({ key }: Payload) => key, running: 1 } },
      run: (_payload: Payload) => undefined,
    });
    const qudo = newQudo([job]);
    await qudo.migrate();
    const error = await refused(qudo.enqueue(job, { key: "" }));
    expect(error.code).toBe("QUDO_INVALID_OPTION");
    expect(await totals(qudo)).toEqual({});
    expect((await qudo.enqueue(job, { key: "a" })).status).toBe("inserted");
  });
});

/** How many ran at once, of all and of each key. A killed one ran until it was killed. */
function mostAtOnce(log: string): ReadonlyMap<string, number> {
  const running = new Map<string, { pid: string; key: string }>();
  const most = new Map<string, number>();
  const dead = new Set<string>();
  for (const line of readFileSync(log, "utf8").trim().split("\n")) {
    const [event, pid, id, key] = line.split(" ") as [string, string, string, string];
    if (event === "killed") dead.add(pid);
    // Between the word and the signal.
    if (event === "begin" && !dead.has(pid)) running.set(id, { pid, key });
    if (event === "end") running.delete(id);
    if (event === "killed")
      for (const [one, { pid: of }] of running) if (of === pid) running.delete(one);
    const names = [...running.values()].flatMap((one) => [one.key, "all"]);
    for (const name of new Set(names))
      most.set(name, Math.max(most.get(name) ?? 0, names.filter((one) => one === name).length));
  }
  return most;
}

describe("processes", () => {
  test("kill -9, again and again: no limit is passed, and no place is lost", async () => {
    const url = newDatabase();
    const log = newPath();
    writeFileSync(log, "");
    const limits = { running: 3, perKey: { running: 1 } };
    const job = defineJob("limited", {
      limits: { ...limits, perKey: { ...limits.perKey, key: ({ key }: Payload) => key } },
      run: (_payload: Payload & { ms: number }) => undefined,
    });
    const qudo = newQudo([job], url);
    await qudo.migrate();
    const keys = ["a", "b", "c", "d", "e"];
    const jobs = 60;
    await qudo.enqueueMany(
      Array.from({ length: jobs }, (_, i) => [job, { key: keys[i % 5]!, ms: 20 }] as const),
    );
    const start = (): Actor => newLimited({ url, log, limits });
    const actors = [start(), start(), start()];
    const begun = (): number => readFileSync(log, "utf8").match(/^begin/gm)?.length ?? 0;
    for (let kills = 1; kills <= 5; kills++) {
      const before = begun();
      await until(`${kills}: something runs`, () => begun() > before + 3, 20_000);
      const victim = actors.shift()!;
      appendFileSync(log, `killed ${victim.pid} - -\n`);
      victim.kill("SIGKILL");
      actors.push(start());
    }
    await until("all are done", async () => (await totals(qudo))["done"] === jobs, 25_000);
    const most = mostAtOnce(log);
    expect(most.get("all")).toBe(3);
    for (const key of keys) expect(most.get(key)).toBe(1);
    for (const actor of actors) actor.tell("stop");
    await until("all have left", () => actors.every(({ ended }) => ended !== null));
    const rows = await qudo.monitor.limits();
    expect(rows).toMatchObject([{ name: "limited", running: 0, waiting: 0 }]);
    await expectSound(qudo);
  });
});
