/** The end of a worker, and its beginning: what it gives back, whom it waits for, what it does without a database. */
import { describe, expect, test } from "vitest";
import { DatabaseError, defineJob, type JobContext, type Logger } from "../../src/index.js";
import {
  attemptsOf,
  expectSound,
  gate,
  newBench,
  newDatabase,
  newQudo,
  order,
  refused,
  silent,
  totals,
  tune,
  until,
} from "./support.js";

/** The handler, and when it has started: before that a stop would give its job back. */
function watched<Result>(run: (payload: unknown, job: JobContext) => Result) {
  const started = gate();
  return {
    started,
    run: (payload: unknown, context: JobContext): Result => {
      started.open();
      return run(payload, context);
    },
  };
}

/** Ends only when its signal is aborted, and then throws. */
const obedient = (_: unknown, { signal }: JobContext): Promise<never> =>
  new Promise((_resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop);
  });

const busy = new DatabaseError("QUDO_DATABASE_BUSY", "busy", true);

describe("stop()", () => {
  test("gives back what has not started: no start, no attempt used, the place kept", async () => {
    const stuck = gate();
    const started: number[] = [];
    const job = defineJob("mixed", {
      run: (n: number) => {
        started.push(n);
        return n < 0 ? stuck.passed : undefined;
      },
    });
    const database = newDatabase();
    const qudo = newQudo([job], database);
    const numbers = [...Array.from({ length: 300 }, (_, i) => i), -1, -2, ...Array(50).fill(900)];
    const enqueued = await qudo.enqueueMany(numbers.map((n: number) => [job, n] as const));
    const worker = await qudo.work({ concurrency: 2 });
    await until("both places are taken", () => started.includes(-2));
    const stopped = worker.stop();
    await until("the rest is ready again", async () => (await totals(qudo)).pending === 50);
    stuck.open();
    await stopped;
    expect(started).toHaveLength(302);
    expect(worker.stats).toMatchObject({ done: 302, failed: 0, lost: 0 });
    expect(worker.stats.released).toBeGreaterThan(0);
    for (const { id } of enqueued.slice(302)) {
      const info = (await qudo.jobs.get(id))!;
      expect(info).toMatchObject({ state: "pending", fails: 0, crashes: 0 });
      expect(info.last?.startedAt ?? null).toBeNull();
      expect(info.runAt).toEqual(info.createdAt);
    }
    expect(await qudo.monitor.workers()).toEqual([]);
    await expectSound(qudo);
  });

  test("waits for handlers within the grace", async () => {
    const finish = gate();
    const { started, run } = watched(() => finish.passed.then(() => "finished"));
    const job = defineJob("waits", { run });
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, 1);
    const worker = await qudo.work();
    await started.passed;
    const stopped = worker.stop();
    finish.open();
    await stopped;
    expect((await qudo.jobs.get(id))?.last).toMatchObject({ state: "done", result: "finished" });
  });

  test("aborts signals after the grace; who then throws is given back, not failed", async () => {
    const { started, run } = watched(obedient);
    const job = defineJob("obedient", { run });
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, 1);
    const worker = await qudo.work();
    await started.passed;
    await worker.stop({ grace: "20ms" });
    expect(await qudo.jobs.get(id)).toMatchObject({ state: "pending", fails: 0 });
    expect((await attemptsOf(qudo, id)).map(({ state }) => state)).toEqual(["released"]);
    expect(worker.stats).toMatchObject({ released: 1, failed: 0 });
  });

  test("a job given up for good during a stop stays given up", async () => {
    const { started, run } = watched(async (payload, context) => {
      await obedient(payload, context).catch(() => undefined);
      context.abort("useless anyway");
    });
    const job = defineJob("final", { run });
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, 1);
    const worker = await qudo.work();
    await started.passed;
    await worker.stop({ grace: 0 });
    expect(await qudo.jobs.get(id)).toMatchObject({ state: "abandoned" });
  });

  test("with exiting: handlers that ignore their signal are given back as the last act", async () => {
    tune({ abortGraceMs: 20 });
    const never = gate();
    const { started, run } = watched(() => never.passed);
    const job = defineJob("deaf", { run });
    const database = newDatabase();
    const qudo = newQudo([job], database);
    const { id } = await qudo.enqueue(job, 1);
    const worker = await qudo.work();
    await started.passed;
    await worker.stop({ grace: "10ms", exiting: true });
    expect(await qudo.jobs.get(id)).toMatchObject({ state: "pending", fails: 0, crashes: 0 });
    expect(await qudo.monitor.workers()).toEqual([]);
    // What it does later counts no more, and disturbs nobody.
    never.open();
    await expectSound(qudo);
    expect(await attemptsOf(qudo, id)).toHaveLength(1);
  });

  test("without it stop() waits for them, and says so", async () => {
    tune({ abortGraceMs: 10 });
    const finish = gate();
    const logger = silent();
    const { started, run } = watched(() => finish.passed);
    const job = defineJob("deaf", { run });
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, 1);
    const worker = await qudo.work({ logger });
    await started.passed;
    const stopped = worker.stop({ grace: 0 });
    await until("it is said", () => logger.lines.some((line) => line.includes("ignore")));
    finish.open();
    await stopped;
    expect((await qudo.jobs.get(id))?.state).toBe("done");
  });

  test("a grace longer than a timer can wait is no grace of nothing", async () => {
    const finish = gate();
    const aborted: boolean[] = [];
    const { started, run } = watched(async (_, { signal }) => {
      await finish.passed;
      aborted.push(signal.aborted);
    });
    const job = defineJob("long", { run });
    const qudo = newQudo([job]);
    await qudo.enqueue(job, 1);
    const worker = await qudo.work();
    await started.passed;
    const stopped = worker.stop({ grace: "60d" });
    // Long enough for a timer of 1 ms, which is what 60 days would have become.
    await new Promise((resolve) => setTimeout(resolve, 20));
    finish.open();
    await stopped;
    expect(aborted).toEqual([false]);
  });

  test("refuses options nobody reads", async () => {
    const job = defineJob("any", { run: () => undefined });
    const worker = await newQudo([job]).work();
    const call = worker.stop({ graze: "1s" } as object);
    expect(await refused(call)).toMatchObject({ code: "QUDO_UNKNOWN_OPTION" });
    expect(await refused(worker.stop({ grace: "soon" }))).toMatchObject({
      code: "QUDO_INVALID_DURATION",
    });
  });

  test("during the start, twice, and by `await using`", async () => {
    const job = defineJob("any", { run: () => undefined });
    const qudo = newQudo([job]);
    await qudo.enqueue(job, 1);
    const early = await qudo.work();
    await Promise.all([early.stop(), early.stop()]);
    await early.stop();
    expect((await totals(qudo)).done ?? 0).toBe(0);
    {
      await using worker = await qudo.work();
      await until("it is done", () => worker.stats.done === 1);
    }
    expect(await qudo.monitor.workers()).toEqual([]);
  });

  test("of one worker leaves another one in the same process alone", async () => {
    const job = defineJob("shared", { run: () => undefined });
    const qudo = newQudo([job]);
    const [one, two] = [await qudo.work(), await qudo.work()];
    await until("both are there", async () => (await qudo.monitor.workers()).length === 2);
    await qudo.enqueueMany(Array.from({ length: 100 }, () => [job, 1] as const));
    await one.stop();
    await qudo.enqueueMany(Array.from({ length: 100 }, () => [job, 1] as const));
    await until("all are done", async () => (await totals(qudo)).done === 200);
    expect(one.stats.done + two.stats.done).toBe(200);
  });

  test("comes to its end without a database, after a lease at most", async () => {
    const finish = gate();
    const { started, run } = watched(() => finish.passed);
    const job = defineJob("lost", { run });
    const bench = await newBench([job]);
    let dead = false;
    const unless =
      <Args extends unknown[], T>(work: (...args: Args) => Promise<T>) =>
      (...args: Args): Promise<T> =>
        dead ? Promise.reject(busy) : work(...args);
    const { driver } = bench;
    const worker = bench.worker(
      { lease: "1s" },
      {
        trip: unless(driver.trip),
        heartbeat: unless(driver.heartbeat),
        closeSession: unless(driver.closeSession),
      },
    );
    await driver.insertJobs([order("lost")]);
    worker.wake();
    await started.passed;
    dead = true;
    finish.open();
    await worker.stop();
    expect(worker.stats).toMatchObject({ done: 0, lost: 1 });
  });
});

const fail = (): never => {
  throw new Error("no disk for logs");
};

describe("the start", () => {
  const job = defineJob("any", { run: () => undefined });

  test("waits for a database in passing trouble", async () => {
    const bench = await newBench([job]);
    let troubles = 2;
    const openSession = bench.driver.openSession;
    const worker = bench.worker(
      {},
      { openSession: (s) => (troubles-- > 0 ? Promise.reject(busy) : openSession(s)) },
    );
    await until("it is there", async () => (await bench.driver.sessions()).length === 1);
    await worker.stop();
  });

  test("whose answer was lost leaves no session behind, nor does an end in passing trouble", async () => {
    const bench = await newBench([job]);
    const { openSession, closeSession } = bench.driver;
    const opened = gate();
    let troubles = 2;
    const worker = bench.worker(
      {},
      {
        openSession: async (session) => {
          await openSession(session);
          opened.open();
          throw busy;
        },
        closeSession: (id) => (troubles-- > 0 ? Promise.reject(busy) : closeSession(id)),
      },
    );
    await opened.passed;
    await worker.stop();
    expect(await bench.driver.sessions()).toEqual([]);
  });

  test("stop() ends it all the same", async () => {
    const bench = await newBench([job]);
    const worker = bench.worker({}, { openSession: () => Promise.reject(busy) });
    await worker.stop();
    expect(await bench.driver.sessions()).toEqual([]);
  });

  test("fails aloud where no waiting helps", async () => {
    const bench = await newBench([job]);
    const logger = silent();
    const readOnly = new DatabaseError("QUDO_DATABASE_READ_ONLY", "read-only", false);
    const worker = bench.worker({ logger }, { openSession: () => Promise.reject(readOnly) });
    expect(await refused(worker.stopped)).toBe(readOnly);
    expect(logger.lines.join()).toContain("read-only");
  });

  test("refuses bad options", async () => {
    const qudo = newQudo([job]);
    for (const options of [
      { queues: [] },
      { queues: {} },
      { queues: "mail" },
      { queues: null },
      { queues: { mail: 0 } },
      { queues: [""] },
      { concurrency: 0 },
      { concurrency: 1.5 },
      { lease: "10ms" },
      { name: "a\nb" },
      { logger: {} },
      { concurency: 1 },
    ])
      expect((await refused(qudo.work(options as object))).name, JSON.stringify(options)).toBe(
        "InvalidInputError",
      );
    expect(await refused(newQudo([]).work())).toMatchObject({ code: "QUDO_NO_JOBS" });
  });

  test("a logger that throws stops nothing", async () => {
    const logger: Logger = { debug: fail, info: fail, warn: fail, error: fail };
    const bench = await newBench([job]);
    let troubles = 2;
    const trip = bench.driver.trip;
    const worker = bench.worker(
      { logger },
      { trip: (t) => (troubles-- > 0 ? Promise.reject(busy) : trip(t)) },
    );
    await until("it went on", () => worker.stats.trips > 2);
    await worker.stop();
  });
});
