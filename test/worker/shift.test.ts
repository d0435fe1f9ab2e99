/** When a worker stops by itself: after so many jobs, after so long without any, or because a handler says so. */
import { describe, expect, test } from "vitest";
import { defineJob, fixed, snooze, type JobContext } from "../../src/index.js";
import { REAL } from "../../src/storage/time.js";
import { Shift } from "../../src/worker/shift.js";
import { newFleet, twoSeas } from "./fleets.js";
import { expectSound, gate, newBench, newQudo, order, totals, tune, until } from "./support.js";

const nothing = defineJob("nothing", { run: () => undefined });
const many = (n: number) => Array.from({ length: n }, (_, i) => [nothing, i] as const);

describe("maxJobs", () => {
  test("smaller than the number of queues: an empty one does not keep the others waiting", async () => {
    const jobs = ["a", "b", "c"].map((queue) =>
      defineJob(`in ${queue}`, { queue, run: () => undefined }),
    );
    const qudo = newQudo(jobs);
    const worker = await qudo.work({ maxJobs: 2, queues: { a: 1, b: 1, c: 1 } });
    await qudo.enqueue(jobs[2]!, 1);
    await until("the first has ended", () => worker.stats.done === 1);
    await qudo.enqueue(jobs[1]!, 1);
    await worker.stopped;
    expect(worker.stats).toMatchObject({ done: 2, released: 0 });
  });

  test("stops after so many runs, and leaves the rest where it was", async () => {
    const qudo = newQudo([nothing]);
    await qudo.enqueueMany(many(20));
    const worker = await qudo.work({ maxJobs: 7, concurrency: 3 });
    await worker.stopped;
    expect(worker.stats).toMatchObject({ done: 7, released: 0 });
    expect(await totals(qudo)).toMatchObject({ done: 7, pending: 13, reserved: 0, running: 0 });
    expect(await qudo.monitor.workers()).toEqual([]);
    await expectSound(qudo);
  });

  test("counts runs over all queues, whatever became of them", async () => {
    const bad = defineJob("bad", {
      queue: "bad",
      backoff: fixed(3_600),
      run: () => {
        throw new Error("no");
      },
    });
    const later = defineJob("later", { queue: "later", run: () => snooze("1h") });
    const qudo = newQudo([nothing, bad, later]);
    await qudo.enqueueMany([[bad, 1], [later, 1], ...many(1)]);
    const worker = await qudo.work({ maxJobs: 3, concurrency: 1 });
    await worker.stopped;
    expect(worker.stats).toMatchObject({ done: 1, failed: 1, snoozed: 1 });
  });

  test("asks for no more jobs than it may run", async () => {
    const bench = await newBench([nothing]);
    await bench.driver.insertJobs(Array.from({ length: 50 }, () => order("nothing")));
    const asked: number[] = [];
    const worker = bench.worker(
      { maxJobs: 12, concurrency: 10 },
      {
        trip: (trip) => {
          asked.push(...(trip.claim?.wants ?? []).map(({ limit }) => limit));
          return bench.driver.trip(trip);
        },
      },
    );
    await worker.stopped;
    expect(worker.stats.done).toBe(12);
    expect(asked.reduce((sum, n) => sum + n, 0)).toBe(12);
  });

  test("is shared by all databases of a worker", async () => {
    const [a, b] = await twoSeas();
    for (const { driver } of [a, b])
      await driver.insertJobs(Array.from({ length: 10 }, () => order("nothing")));
    const { fleet } = newFleet([nothing], [a, b], { maxJobs: 5, concurrency: 2 });
    await fleet.stopped;
    expect(fleet.stats.done).toBe(5);
    const counts = await Promise.all([a, b].map(({ driver }) => driver.counts({})));
    expect(counts.flat().reduce((sum, { pending }) => sum + pending, 0)).toBe(15);
  });

  test("a run that is given back is none of them", () => {
    let over = 0;
    const shift = new Shift({ maxJobs: 2, idleMs: null }, () => over++, REAL);
    shift.took();
    shift.took();
    expect(shift.left).toBe(0);
    shift.ended(false);
    shift.ended(true);
    expect({ left: shift.left, worked: shift.worked, over }).toEqual({
      left: 1,
      worked: 1,
      over: 0,
    });
    shift.took();
    shift.ended(true);
    expect(over).toBe(1);
  });
});

describe("idleTimeout", () => {
  test("stops after so long without work, counted from the end of the last job", async () => {
    const idleMs = 250;
    let endedAt = 0;
    const slow = defineJob("slow", {
      run: async () => {
        // Longer than the idle time: a worker with work to do is not idle.
        await new Promise((resolve) => setTimeout(resolve, idleMs * 2));
        endedAt = performance.now();
      },
    });
    const qudo = newQudo([slow]);
    await qudo.enqueue(slow, 1);
    const worker = await qudo.work({ idleTimeout: idleMs / 1_000 });
    await worker.stopped;
    expect(worker.stats.done).toBe(1);
    expect(performance.now() - endedAt).toBeGreaterThanOrEqual(idleMs - 1);
    expect(await qudo.monitor.workers()).toEqual([]);
  });

  test("counts from the first look, however long the database took to answer it", async () => {
    const bench = await newBench([nothing]);
    await bench.driver.insertJobs([order("nothing")]);
    const opened = gate();
    const worker = bench.worker(
      { idleTimeout: "20ms", maxJobs: 1 },
      { openSession: async (session) => (await opened.passed, bench.driver.openSession(session)) },
    );
    await new Promise((resolve) => setTimeout(resolve, 60));
    opened.open();
    await worker.stopped;
    expect(worker.stats.done).toBe(1);
  });

  test("stops one that never had any work, over several databases too", async () => {
    const qudo = newQudo([nothing]);
    await (
      await qudo.work({ idleTimeout: "50ms" })
    ).stopped;
    const seas = await twoSeas();
    const { fleet } = newFleet([nothing], seas, { idleTimeout: "50ms" });
    await fleet.stopped;
    expect(fleet.stats.done).toBe(0);
  });
});

describe("quit", () => {
  test("asked for by a handler: the worker stops after its job", async () => {
    const seen: number[] = [];
    const job = defineJob("countdown", {
      run: (n: number, job) => {
        seen.push(n);
        if (n === 2) job.quit();
      },
    });
    const qudo = newQudo([job]);
    await qudo.enqueueMany([1, 2, 3, 4].map((n) => [job, n] as const));
    const worker = await qudo.work({ concurrency: 1 });
    await worker.stopped;
    expect(seen).toEqual([1, 2]);
    expect(await totals(qudo)).toMatchObject({ done: 2, pending: 2, reserved: 0 });
  });

  test("asked for by a handler of one database: the worker stops in all of them", async () => {
    const seas = await twoSeas();
    const job = defineJob("last", { run: (_: unknown, job) => job.quit() });
    const { fleet } = newFleet([job], seas);
    await seas[1].driver.insertJobs([order("last")]);
    await fleet.stopped;
    expect(fleet.stats.done).toBe(1);
  });

  test("waits for what runs, without interrupting it, however short the grace", async () => {
    tune({ abortGraceMs: 1 });
    const [begun, end] = [gate<JobContext>(), gate()];
    const job = defineJob("long", {
      run: async (_: unknown, job) => {
        begun.open(job);
        await end.passed;
      },
    });
    const qudo = newQudo([job]);
    await qudo.enqueueMany([1, 2].map((n) => [job, n] as const));
    const worker = await qudo.work({ grace: 0, concurrency: 1 });
    const context = await begun.passed;
    const left = worker.quit();
    // It takes nothing more, and what it held has gone back.
    await until("the other one is free", async () => (await totals(qudo)).pending === 1);
    expect(context.signal.aborted).toBe(false);
    end.open();
    await left;
    expect(worker.stats).toMatchObject({ done: 1, released: 0 });
  });
});

describe("sleep and batch", () => {
  test("a short sleep looks more often than the database's wake-ups would have it", async () => {
    tune({ pollMs: 3_600_000 });
    const bench = await newBench([nothing]);
    const worker = bench.worker(
      { sleep: "20ms", maxJobs: 1 },
      { capabilities: { wakeups: true }, subscribe: () => () => undefined, listens: () => true },
    );
    await until("it has looked once", () => worker.stats.trips > 0);
    await bench.driver.insertJobs([order("nothing")]);
    await worker.stopped;
    expect(worker.stats.done).toBe(1);
  });

  test("no look takes more than a batch, however quick the handlers are", async () => {
    const bench = await newBench([nothing]);
    await bench.driver.insertJobs(Array.from({ length: 200 }, () => order("nothing")));
    const asked: number[] = [];
    const worker = bench.worker(
      { batch: 3, concurrency: 1, maxJobs: 200 },
      {
        trip: (trip) => {
          asked.push(...(trip.claim?.wants ?? []).map(({ limit }) => limit));
          return bench.driver.trip(trip);
        },
      },
    );
    await worker.stopped;
    expect(worker.stats.done).toBe(200);
    expect(Math.max(...asked)).toBe(3);
  });
});
