/** How much a worker takes, when it looks, and what it does with what it cannot start. */
import { describe, expect, test } from "vitest";
import { defineJob, fixed, Qudo } from "../../src/index.js";
import { DEFAULTS } from "../../src/core/defaults.js";
import { onServer } from "./engine.js";
import { registry } from "../../src/core/job.js";
import type { Driver } from "../../src/storage/driver.js";
import { workerSettings } from "../../src/worker/options.js";
import { Worker } from "../../src/worker/worker.js";
import {
  attemptsOf,
  closing,
  expectSound,
  gate,
  newBench,
  newDatabase,
  newQudo,
  order,
  silent,
  totals,
  tune,
  until,
  watchedHandle,
} from "./support.js";

describe("when it looks", () => {
  const deaf: Partial<Driver> = {
    capabilities: { wakeups: false },
    subscribe: () => () => undefined,
  };
  const lost: Partial<Driver> = {
    capabilities: { wakeups: true },
    subscribe: () => () => undefined,
    listens: () => false,
  };
  const told: Partial<Driver> = { ...lost, listens: () => true };

  test.each([
    ["where there are no wake-ups", deaf],
    ["while wake-ups do not arrive", lost],
  ])("%s, long before the poll behind them", async (_, through) => {
    tune({ pollMs: 600_000 });
    const job = defineJob("tick", { run: () => undefined });
    const { driver, worker } = await newBench([job]);
    const looking = worker({}, through);
    await until("it has looked, found nothing and looked again", () => looking.stats.trips > 2);
    await driver.insertJobs([order("tick")]);
    await until("it is done", () => looking.stats.done === 1);
  });

  test("where wake-ups arrive it does not look by itself", async () => {
    tune({ pollMs: 600_000 });
    const job = defineJob("tick", { run: () => undefined });
    const { worker } = await newBench([job]);
    const [looking, idle] = [worker({}, deaf), worker({}, told)];
    await until("the other one has looked often", () => looking.stats.trips > 20);
    expect(idle.stats.trips).toBeLessThan(5);
  });
});

describe("how much is claimed", () => {
  test("with slow handlers no more than there are places, so that others get the rest", async () => {
    const done = gate();
    const job = defineJob("slow", { run: () => done.passed });
    const database = newDatabase();
    const one = newQudo([job], database);
    const two = newQudo([job], database);
    await one.enqueueMany(
      ["a", "b"].flatMap((queue) => Array.from({ length: 5 }, () => [job, 1, { queue }] as const)),
    );
    await one.work({ queues: ["a", "b"], concurrency: 2 });
    const held = async (): Promise<number> => {
      const { running = 0, reserved = 0 } = await totals(one);
      return running + reserved;
    };
    await until("the first has its four", async () => (await held()) === 4);
    await two.work({ queues: ["a", "b"], concurrency: 2 });
    await until("the second has four others", async () => (await held()) === 8);
    const leases = (await one.monitor.workers()).map((worker) => worker.leases);
    expect(leases.every((n) => n > 0)).toBe(true);
    done.open();
    await until("all are done", async () => (await totals(one)).done === 10);
    // Nobody had to give back what it had taken too much of.
    expect((await attemptsOf(one)).every(({ state }) => state === "done")).toBe(true);
  });

  test("with quick ones much more, and completions share the trip of the next claim", async () => {
    const watch = watchedHandle();
    const job = defineJob("quick", { run: () => undefined });
    const qudo = closing(new Qudo({ databases: { handle: watch.handle }, jobs: [job] }));
    const jobs = 3_000;
    await qudo.enqueueMany(Array.from({ length: jobs }, (_, i) => [job, i] as const));
    watch.commits = 0;
    const worker = await qudo.work();
    await until("all are done", () => worker.stats.done === jobs);
    expect(worker.stats.trips).toBeLessThan(jobs / 20);
    // Trips, and a handful for the session and the upkeep.
    expect(watch.commits).toBeLessThan(worker.stats.trips + 20);
    await expectSound(qudo);
  });

  test("completions wait a little for company: short handlers share trips too", async () => {
    const job = defineJob("short", { run: () => new Promise((resolve) => setImmediate(resolve)) });
    const qudo = newQudo([job]);
    const jobs = 300;
    await qudo.enqueueMany(Array.from({ length: jobs }, () => [job, 1] as const));
    const worker = await qudo.work({ concurrency: 1 });
    await until("all are done", () => worker.stats.done === jobs);
    expect(worker.stats.trips).toBeLessThan(jobs / 4);
  });

  test("one claim asks for 500 at most, however many places there are", async () => {
    const job = defineJob("many", { run: () => undefined });
    const limits: number[] = [];
    const bench = await newBench([job]);
    await bench.driver.insertJobs(Array.from({ length: 900 }, () => order("many")));
    const worker = bench.worker(
      { concurrency: 5_000 },
      {
        trip: (trip) => {
          for (const { limit } of trip.claim?.wants ?? []) limits.push(limit);
          for (const { settlements } of trip.settle)
            expect(settlements.length).toBeLessThanOrEqual(1_000);
          return bench.driver.trip(trip);
        },
      },
    );
    await until("all are done", () => worker.stats.done === 900);
    expect(Math.max(...limits)).toBe(500);
  });

  test("what stands behind handlers that suddenly take long is given back at no cost", async () => {
    const stuck = gate();
    const job = defineJob("mixed", {
      run: (slow: boolean) => (slow ? stuck.passed : undefined),
    });
    const database = newDatabase();
    const one = newQudo([job], database);
    // Quick ones first, so that the worker learns to hold many; then two that fill its places; then more quick ones.
    await one.enqueueMany(
      [false, true, false].flatMap((slow) =>
        Array.from({ length: slow ? 2 : 300 }, () => [job, slow] as const),
      ),
    );
    const worker = await one.work({ concurrency: 2 });
    await until("it stands still", () => worker.stats.done >= 300);
    const two = newQudo([job], database);
    await two.work({ concurrency: 2 });
    await until("the other one did all the rest", async () => (await totals(two)).done === 600);
    expect(worker.stats.released).toBeGreaterThan(0);
    stuck.open();
    await until("and these", async () => (await totals(one)).done === 602);
    expect((await attemptsOf(one)).every(({ run, state }) => run < 4 && state !== "failed")).toBe(
      true,
    );
    await expectSound(one);
  });
});

describe("wake-ups", () => {
  const job = defineJob("quick", { run: () => undefined });

  /** Milliseconds until an idle worker has done a job enqueued through `from`. */
  async function delayThrough(from: Qudo, to: Qudo): Promise<number> {
    await to.work({ concurrency: 1 });
    const { id } = await from.enqueue(job, 1);
    await until("the worker is idle", async () => (await to.jobs.get(id))?.state === "done");
    let slowest = 0;
    for (let i = 0; i < 5; i++) {
      const start = performance.now();
      const next = await from.enqueue(job, i);
      await until("it is done", async () => (await to.jobs.get(next.id))?.state === "done");
      slowest = Math.max(slowest, performance.now() - start);
    }
    return slowest;
  }

  test("an enqueue in the same Qudo is worked on at once", async () => {
    const qudo = newQudo([job]);
    expect(await delayThrough(qudo, qudo)).toBeLessThan(300);
  });

  test("one through another connection long before the poll", async () => {
    const database = newDatabase();
    expect(await delayThrough(newQudo([], database), newQudo([job], database))).toBeLessThan(400);
  });

  test("a queue that is full is not forgotten because another one came back empty", async () => {
    const alternating = defineJob("steps", {
      run: () => new Promise((resolve) => setTimeout(resolve, 5)),
    });
    const database = newDatabase();
    const qudo = newQudo([alternating], database);
    await qudo.enqueueMany(
      Array.from({ length: 20 }, () => [alternating, 1, { queue: "full" }] as const),
    );
    const start = performance.now();
    await qudo.work({ queues: { empty: 5, full: 1 } });
    await until("all are done", async () => (await totals(qudo)).done === 20);
    // Each of them waiting for a poll would take 20 s.
    expect(performance.now() - start).toBeLessThan(1_500);
  });

  test("a job enqueued with a delay starts on time, from this process and from another", async () => {
    const database = newDatabase();
    const started = new Map<string, number>();
    const timed = defineJob("timed", {
      run: (_: unknown, { id }) => void started.set(id, Date.now()),
    });
    const qudo = newQudo([timed], database);
    const other = newQudo([], database);
    await qudo.work();
    // Started and idle, its next round of upkeep almost a second away.
    const first = await qudo.enqueue(timed, 1);
    await until("the worker is idle", () => started.has(first.id));
    for (const from of [qudo, other]) {
      const { id } = await from.enqueue(timed, 1, { delay: "150ms" });
      await until("it has run", () => started.has(id));
      const { runAt } = (await qudo.jobs.get(id))!;
      const late = started.get(id)! - runAt.getTime();
      expect(late).toBeGreaterThanOrEqual(-1);
      // Servers tell nobody of jobs that are not ready yet: a worker elsewhere finds them in its next round of upkeep.
      expect(late).toBeLessThan(onServer && from === other ? 300 + DEFAULTS.maintenanceMs : 300);
    }
  });

  test("retries 200 ms and 5 ms apart come on time, also beside a handler that goes on", async () => {
    const busy = gate();
    const starts: number[] = [];
    const runs = (backoff: string) => ({
      maxAttempts: 4,
      backoff: fixed(backoff),
      run: () => {
        starts.push(Date.now());
        throw new Error("again");
      },
    });
    const slow = defineJob("slow-retry", runs("200ms"));
    const quick = defineJob("quick-retry", runs("5ms"));
    const long = defineJob("long", { run: () => busy.passed });
    const qudo = newQudo([slow, quick, long]);
    const worker = await qudo.work();
    await qudo.enqueue(long, 1);
    for (const [kind, gap] of [
      [slow, 200],
      [quick, 5],
    ] as const) {
      starts.length = 0;
      const { id } = await qudo.enqueue(kind, 1);
      await until("it is given up", async () => (await qudo.jobs.get(id))?.state === "abandoned");
      const gaps = starts.slice(1).map((at, i) => at - starts[i]!);
      expect(gaps).toHaveLength(3);
      for (const ms of gaps) {
        expect(ms).toBeGreaterThanOrEqual(gap - 1);
        expect(ms).toBeLessThan(gap + 300);
      }
    }
    busy.open();
    expect(worker.stats.lost).toBe(0);
  });

  test("a retry without delay is taken at once, though its place was taken meanwhile", async () => {
    let failures = 0;
    const again = defineJob("again", {
      backoff: fixed(0),
      run: (n: number) => {
        if (n === 0 && failures++ < 5) throw new Error("again");
      },
    });
    const qudo = newQudo([again]);
    await qudo.enqueueMany(Array.from({ length: 20 }, (_, i) => [again, i] as const));
    const start = performance.now();
    await qudo.work({ concurrency: 1 });
    await until("all are done", async () => (await totals(qudo)).done === 20);
    expect(performance.now() - start).toBeLessThan(900);
  });

  test("what one worker makes ready, another one behind the same connection hears of", async () => {
    const lone = defineJob("lone", {
      backoff: fixed(0),
      run: () => {
        throw new Error("again");
      },
    });
    const bench = await newBench([lone]);
    let heard = 0;
    const known = registry([lone]);
    const settings = workerSettings({ queues: ["other"], logger: silent() }, known);
    const worker = new Worker(bench.driver, known, settings, {
      onWork: () => void heard++,
    });
    await bench.driver.insertJobs([order("lone", { delayMs: 30 })]);
    worker.wake();
    await until("it was promoted", () => heard > 0);
    expect(heard).toBe(1);
    await bench.driver.insertJobs([order("lone", { queue: "other", maxAttempts: 2 })]);
    worker.wake();
    await until("it ended", () => worker.stats.abandoned === 1);
    await worker.stop();
    expect(heard).toBe(2);
  });
});
