/** Workers forget what has been kept for long enough, in small steps and mostly one of them. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { DatabaseError, defineJob } from "../../src/index.js";
import { DEFAULTS } from "../../src/core/defaults.js";
import type { Driver, PruneOutcome, PruneStep } from "../../src/storage/driver.js";
import { Pruning } from "../../src/worker/pruning.js";
import { Trouble } from "../../src/worker/trouble.js";
import { newBench, order, silent, tune, until } from "./support.js";

const TIMES = { keepDoneMs: 1_000, keepOtherMs: 2_000, keepCountsMs: 3_000 };
const NOTHING: PruneOutcome = { pruned: 0, after: null, more: false };

afterEach(() => void vi.restoreAllMocks());

/** One that prunes nothing, and whose steps are noted. */
function pruner(
  answer: (step: PruneStep, n: number) => PruneOutcome = () => NOTHING,
  sessions = 1,
) {
  const steps: PruneStep[] = [];
  const driver = {
    prune: async (step: PruneStep) => {
      steps.push(step);
      return answer(step, steps.length);
    },
  } as Partial<Driver> as Driver;
  const logger = silent();
  const pruning = new Pruning(driver, TIMES, () => sessions, new Trouble(logger));
  return { pruning, steps, logger };
}

describe("a round", () => {
  test("takes each scan to its end, each step from where the last one ended, and the next round too", async () => {
    tune({ pruneEveryMs: 30 });
    let left = 3;
    const { pruning, steps } = pruner(({ scan }) =>
      scan === "done" ? { pruned: 1, after: `at ${--left}`, more: left > 0 } : NOTHING,
    );
    pruning.start();
    await until("two rounds", () => steps.length >= 7);
    await pruning.stop();
    expect(steps.slice(0, 7).map(({ scan, after, keepMs }) => [scan, after, keepMs])).toEqual([
      ["done", null, 1_000],
      ["done", "at 2", 1_000],
      ["done", "at 1", 1_000],
      ["other", null, 2_000],
      ["own", null, 0],
      ["counts", null, 3_000],
      ["done", "at 0", 1_000],
    ]);
    expect(steps.every(({ limit, dryRun }) => limit === 500 && !dryRun)).toBe(true);
    const { length } = steps;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(steps).toHaveLength(length);
  });

  test("begins anew after an hour", async () => {
    tune({ pruneEveryMs: 20 });
    const real = performance.now.bind(performance);
    let ahead = 0;
    vi.spyOn(performance, "now").mockImplementation(() => real() + ahead);
    const { pruning, steps } = pruner(({ scan }) => ({ ...NOTHING, after: `${scan} end` }));
    const done = (after: string | null): number =>
      steps.filter((step) => step.scan === "done" && step.after === after).length;
    pruning.start();
    await until("it went on", () => done("done end") > 0);
    expect(done(null)).toBe(1);
    ahead = 3_600_000;
    await until("it began anew", () => done(null) === 2);
    await pruning.stop();
  });

  test("that fails is reported, and the next one comes", async () => {
    tune({ pruneEveryMs: 20 });
    const { pruning, steps, logger } = pruner((_, n) => {
      if (n === 1) throw new DatabaseError("QUDO_DATABASE_BUSY", "busy", true);
      return NOTHING;
    });
    pruning.start();
    await until("it went on", () => steps.length > 4);
    await pruning.stop();
    expect(logger.lines).toEqual(["qudo: pruning failed and is tried again: busy"]);
  });

  test("is one worker's of many, by chance", async () => {
    tune({ pruneEveryMs: 10 });
    const { pruning: one, steps } = pruner(undefined, 1);
    const { pruning: many, steps: fewer } = pruner(undefined, 1_000_000);
    one.start();
    many.start();
    await until("the lone one prunes", () => steps.length > 8);
    await Promise.all([one.stop(), many.stop()]);
    expect(fewer).toEqual([]);
  });
});

describe("a worker", () => {
  const job = defineJob("quick", { run: () => undefined });

  test("forgets what is done after its time, unless it was told not to", async () => {
    tune({ pruneEveryMs: 30, maintenanceMs: 50 });
    let ahead = 0;
    const bench = await newBench([job], undefined, () => Date.now() + ahead);
    const { driver } = bench;
    const orders = [order("quick"), order("quick", { keepDoneMs: 10 * DEFAULTS.keepDoneMs })];
    await driver.insertJobs(orders);
    const ids = orders.map(({ id }) => id);
    const idle = bench.worker({ prune: false });
    await until("they are done", () => idle.stats.done === 2);
    ahead = DEFAULTS.keepDoneMs + 60_000;
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect((await driver.getJobs(ids)).map((row) => row?.state)).toEqual(["done", "done"]);
    await idle.stop();
    const keen = bench.worker();
    await until("one is forgotten", async () => (await driver.getJobs(ids))[0] === null);
    expect((await driver.getJobs(ids))[1]?.state).toBe("done");
    await keen.stop();
    expect(await driver.audit()).toEqual([]);
  });
});
