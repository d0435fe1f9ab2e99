/** Sessions that end under their worker, answers that are lost or late, heartbeats that do not get through. */
import { describe, expect, test } from "vitest";
import { DatabaseError, defineJob, SessionLostError, type JobContext } from "../../src/index.js";
import type { Driver, ReapOutcome, SessionRow } from "../../src/storage/driver.js";
import { openDatabase } from "../../src/storage/open.js";
import { Maintenance } from "../../src/worker/maintenance.js";
import {
  attemptsOf,
  expectSound,
  gate,
  newBench,
  newDatabase,
  newQudo,
  order,
  silent,
  until,
} from "./support.js";

/** Ends every session as if its process were dead. */
async function reapAll(driver: Driver): Promise<ReapOutcome[]> {
  const rows = await driver.sessions();
  return driver.reap(rows.map(({ id, beat }) => ({ id, beat, cause: "gone", leaseMs: 1_000 })));
}

async function reapThrough(database: string): Promise<ReapOutcome[]> {
  const other = await openDatabase(database);
  try {
    return await reapAll(other);
  } finally {
    await other.close();
  }
}

const broken = new DatabaseError("QUDO_DATABASE_FAILED", "the answer was lost", true);

const count = (runs: number[]) =>
  defineJob("counted", { run: (_: unknown, { run }) => void runs.push(run) });

/** Commits the trips that `when` picks, and then loses their answers. */
const losing = (driver: Driver, when: (trip: Parameters<Driver["trip"]>[0]) => boolean) => ({
  trip: async (trip: Parameters<Driver["trip"]>[0]) => {
    const lose = when(trip);
    const outcome = await driver.trip(trip);
    if (lose) throw broken;
    return outcome;
  },
});

const row = (id: string, beat: number): SessionRow => ({
  id,
  beat,
  name: "n",
  host: "elsewhere",
  pid: 1,
  process: null,
  leaseMs: 30_000,
  kinds: [],
  version: "0",
  seenAt: 0,
  startedAt: 0,
  leases: 0,
});

describe("a session that others ended", () => {
  test.each(["by its heartbeat", "by its next trip"])("is noticed %s", async (how) => {
    const database = newDatabase();
    const reason = gate<unknown>();
    const first = gate();
    const starts: number[] = [];
    const job = defineJob("twice", {
      run: async (_: unknown, { run, signal }: JobContext) => {
        starts.push(run);
        if (run > 1) return "the other run";
        const aborted = new Promise<unknown>((resolve) =>
          signal.addEventListener("abort", () => resolve(signal.reason)),
        );
        first.open();
        reason.open(await aborted);
        return "too late";
      },
    });
    const qudo = newQudo([job], database);
    const { id } = await qudo.enqueue(job, 1);
    const lease = how === "by its heartbeat" ? "1s" : "1h";
    const worker = await qudo.work({ concurrency: 3, lease, logger: silent() });
    await first.passed;
    const [before] = await qudo.monitor.workers();
    expect(await reapThrough(database)).toMatchObject([{ status: "reaped" }]);
    worker.wake();
    expect(await reason.passed).toMatchObject({ code: "QUDO_JOB_STOPPED" });
    await until("it ran again", async () => (await qudo.jobs.get(id))?.state === "done");
    await until("the late end was counted", () => worker.stats.lost === 1);
    const sessions = await qudo.monitor.workers();
    expect(sessions).toHaveLength(1);
    expect(sessions[0]!.id).not.toBe(before!.id);
    const attempts = await attemptsOf(qudo, id);
    expect(attempts.map(({ state, result }) => [state, result])).toEqual([
      ["crashed", null],
      ["done", "the other run"],
    ]);
    expect(worker.stats).toMatchObject({ done: 1, lost: 1 });
    expect(starts).toEqual([1, 2]);
    await worker.stop();
    expect(await qudo.monitor.workers()).toEqual([]);
    await expectSound(qudo);
  });

  test("is renewed once, whoever finds out, and a late answer about it does not end the new one", async () => {
    const job = defineJob("any", { run: () => undefined });
    const bench = await newBench([job]);
    const { driver } = bench;
    let opened = 0;
    let armed = false;
    const worker = bench.worker(
      { lease: "1s" },
      {
        openSession: (session) => {
          opened++;
          return driver.openSession(session);
        },
        trip: async (trip) => {
          if (!armed || trip.claim === null) return driver.trip(trip);
          armed = false;
          const { session } = trip.claim;
          await reapAll(driver);
          // The heartbeat renews the session while this trip is on its way.
          await until("it was renewed", async () => {
            const rows = await driver.sessions();
            return rows.length === 1 && rows[0]!.id !== session;
          });
          throw new SessionLostError(session);
        },
      },
    );
    await until("it is there", () => worker.stats.trips > 0);
    armed = true;
    await driver.insertJobs([order("any")]);
    worker.wake();
    await until("the job is done", () => worker.stats.done === 1);
    expect(opened).toBe(2);
    expect(await driver.sessions()).toHaveLength(1);
  });

  test("what it claimed is not started, when the answer comes only after its end", async () => {
    const runs: number[] = [];
    const job = defineJob("any", { run: (_: unknown, { run }) => void runs.push(run) });
    const bench = await newBench([job]);
    const { driver } = bench;
    await driver.insertJobs([order("any"), order("any")]);
    let first = true;
    const worker = bench.worker(
      { lease: "1s" },
      {
        trip: async (trip) => {
          const outcome = await driver.trip(trip);
          if (!first || outcome.claimed.length === 0) return outcome;
          first = false;
          await reapAll(driver);
          await until("it was renewed", async () => (await driver.sessions()).length === 1);
          return outcome;
        },
      },
    );
    await until("both are done", () => worker.stats.done === 2);
    expect(runs).toEqual([2, 2]);
    expect(worker.stats.lost).toBe(0);
    expect(await driver.audit()).toEqual([]);
  });

  test("a cancelled job's handler is told, its end is lost, its unique key is free", async () => {
    const started = gate();
    const reason = gate<unknown>();
    const job = defineJob("stops", {
      run: (_: unknown, { signal }: JobContext) =>
        new Promise((_resolve, reject) => {
          started.open();
          signal.addEventListener("abort", () => {
            reason.open(signal.reason);
            reject(new Error("stopped"));
          });
        }),
    });
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, 1, { uniqueKey: "k" });
    const worker = await qudo.work({ lease: "1s" });
    await started.passed;
    expect(await qudo.jobs.cancel(id)).toBe("cancelled");
    expect((await qudo.enqueue(job, 2, { uniqueKey: "k" })).status).toBe("unique");
    expect(await reason.passed).toMatchObject({ code: "QUDO_JOB_STOPPED" });
    await until("its end was lost", () => worker.stats.lost === 1);
    expect((await attemptsOf(qudo, id)).map(({ state }) => state)).toEqual(["cancelled"]);
    expect((await qudo.enqueue(job, 2, { uniqueKey: "k" })).status).toBe("inserted");
    await worker.stop({ grace: 0 });
    await expectSound(qudo);
  });
});

describe("answers that are lost", () => {
  test("a claim that was committed is found again, and each job runs once", async () => {
    const runs: number[] = [];
    const bench = await newBench([count(runs)]);
    await bench.driver.insertJobs(Array.from({ length: 30 }, () => order("counted")));
    let losses = 0;
    const worker = bench.worker(
      {},
      losing(bench.driver, ({ claim }) => claim !== null && losses++ < 2),
    );
    const start = performance.now();
    await until("all are done", () => worker.stats.done === 30);
    // Long before a heartbeat would have given them back.
    expect(performance.now() - start).toBeLessThan(2_000);
    expect(runs).toEqual(Array.from({ length: 30 }, () => 1));
    await worker.stop();
    expect(await bench.driver.audit()).toEqual([]);
    expect(await bench.driver.sessions()).toEqual([]);
  });

  test("a settle that was committed is accepted when it is sent again", async () => {
    const runs: number[] = [];
    const bench = await newBench([count(runs)]);
    await bench.driver.insertJobs(Array.from({ length: 30 }, () => order("counted")));
    let losses = 0;
    const worker = bench.worker(
      {},
      losing(bench.driver, ({ settle }) => settle.length > 0 && losses++ < 1),
    );
    await until("all are done", () => worker.stats.done === 30);
    expect(worker.stats).toMatchObject({ done: 30, lost: 0 });
    expect(runs).toHaveLength(30);
  });

  test("a claim in doubt at the stop is given back, unstarted and without a crash", async () => {
    const runs: number[] = [];
    const bench = await newBench([count(runs)]);
    const job = order("counted");
    await bench.driver.insertJobs([job]);
    const lost = gate();
    const worker = bench.worker(
      {},
      losing(bench.driver, ({ claim }) => {
        if (claim !== null) lost.open();
        return claim !== null;
      }),
    );
    await lost.passed;
    await worker.stop();
    expect(runs).toEqual([]);
    expect(await bench.driver.sessions()).toEqual([]);
    expect((await bench.driver.getJobs([job.id]))[0]).toMatchObject({
      state: "pending",
      fails: 0,
      crashes: 0,
    });
    expect(await bench.driver.audit()).toEqual([]);
  });

  test("with trouble the pump waits longer and longer, whoever rings", async () => {
    const bench = await newBench([count([])]);
    let trips = 0;
    const worker = bench.worker(
      {},
      {
        trip: () => {
          trips++;
          return Promise.reject(broken);
        },
      },
    );
    const ringing = setInterval(() => worker.wake(), 1);
    const start = performance.now();
    await until("it tried for a while", () => performance.now() - start > 600);
    clearInterval(ringing);
    // 50 to 100 ms, 100 to 200 ms, … each.
    expect(trips).toBeLessThan(8);
    expect(trips).toBeGreaterThan(1);
  });
});

describe("heartbeats", () => {
  test("that hang for longer than the lease: running jobs are aborted, held ones given back", async () => {
    const codes: unknown[] = [];
    const job = defineJob("holds", {
      run: (_: unknown, { signal }: JobContext) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            codes.push((signal.reason as { code: string }).code);
            reject(signal.reason as Error);
          });
        }),
    });
    const bench = await newBench([job]);
    await bench.driver.insertJobs(Array.from({ length: 2 }, () => order("holds")));
    const hang = gate<never>();
    const worker = bench.worker(
      { lease: "1s", concurrency: 2 },
      { heartbeat: () => hang.passed, reap: async (dead) => dead.map(() => ({ status: "alive" })) },
    );
    await until("both were told", () => codes.length === 2, 5_000);
    expect(codes).toEqual(["QUDO_JOB_STOPPED", "QUDO_JOB_STOPPED"]);
    // Nobody had taken them: no attempt is used up.
    await until("they came back", () => worker.stats.released === 2);
    expect(worker.stats.failed).toBe(0);
    const stopped = worker.stop({ grace: 0 });
    hang.open({ alive: true, leases: [], fenced: [] } as never);
    await stopped;
  });

  test("that find leases nobody works on give them back", async () => {
    const job = defineJob("any", { run: () => undefined });
    const bench = await newBench([job]);
    const worker = bench.worker({ lease: "1s" });
    await until("it is idle", () => worker.stats.trips > 0);
    const [session] = await bench.driver.sessions();
    await bench.driver.insertJobs([order("any", { queue: "elsewhere" })]);
    const wants = [{ queue: "elsewhere", kinds: ["any"], limit: 1 }];
    const lease = order("any").id;
    await bench.driver.trip({ settle: [], claim: { lease, session: session!.id, wants } });
    await until("it is ready again", async () => {
      const [lane] = await bench.driver.counts({ queue: "elsewhere" });
      return lane!.pending === 1;
    });
  });
});

describe("who is dead", () => {
  test("is judged by those who were awake meanwhile, and never by the dead themselves", async () => {
    const rows = [row("own", 1), row("other", 1)];
    const reaped: string[][] = [];
    const bench = await newBench([defineJob("any", { run: () => undefined })]);
    const driver: Driver = {
      ...bench.driver,
      sessions: () => Promise.resolve(rows),
      reap: (dead) => {
        reaped.push(dead.map(({ id }) => id));
        return Promise.resolve(dead.map(() => ({ status: "alive" }) as const));
      },
      promote: () => Promise.resolve({ moved: 0, nextDueMs: null }),
    };
    const times = { unchangedBeatMs: 10_000 };
    const real = performance.now.bind(performance);
    let ahead = 0;
    performance.now = () => real() + ahead;
    const rounds = async (...steps: number[]): Promise<void> => {
      for (const step of steps) {
        ahead += step;
        // Each round is started by hand.
        await maintenance.start();
      }
    };
    const maintenance = new Maintenance(
      driver,
      times,
      () => "own",
      () => undefined,
      silent(),
    );
    try {
      await rounds(0, 60_000);
      expect(reaped).toEqual([]);
      await rounds(1_500, 1_500, 1_500, 1_500, 1_500, 1_500);
      expect(reaped).toEqual([]);
      await rounds(1_500);
      expect(reaped).toEqual([["other"]]);
    } finally {
      performance.now = real;
      await maintenance.stop();
    }
  });

  test("is judged by the session's own lease, not by the reaper's", async () => {
    const reaped: string[][] = [];
    const driver = {
      sessions: () => Promise.resolve([row("long", 1), { ...row("short", 1), leaseMs: 1_000 }]),
      reap: (dead: readonly { id: string; leaseMs: number }[]) => {
        reaped.push(dead.map(({ id, leaseMs }) => `${id} ${leaseMs}`));
        return Promise.resolve(dead.map(() => ({ status: "alive" }) as const));
      },
      promote: () => Promise.resolve({ moved: 0, nextDueMs: null }),
    } as unknown as Driver;
    const real = performance.now.bind(performance);
    let ahead = 0;
    const maintenance = new Maintenance(
      driver,
      { unchangedBeatMs: 333 },
      () => "own",
      () => undefined,
      silent(),
    );
    performance.now = () => real() + ahead;
    try {
      await maintenance.start();
      ahead += 1_500;
      await maintenance.start();
      expect(reaped).toEqual([["short 1000"]]);
    } finally {
      performance.now = real;
      await maintenance.stop();
    }
  });
});
