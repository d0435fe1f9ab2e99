/** Jobs that may have killed their workers run alone in their process, and keep nobody waiting for ever. */
import { describe, expect, test } from "vitest";
import { defineJob } from "../../src/index.js";
import type { Driver, NewJob } from "../../src/storage/driver.js";
import { newId } from "../../src/storage/ids.js";
import { gate, newBench, order, until } from "./support.js";

/** A job with two crashes behind it: worker sessions that died with it running. */
async function crashTwice(driver: Driver, kind: string): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const session = newId();
    const lease = newId();
    const who = {
      name: "dead",
      host: "h",
      pid: 1,
      process: null,
      leaseMs: 1_000,
      kinds: [kind],
      version: "0",
    };
    await driver.openSession({ id: session, ...who });
    const wants = [{ queue: "default", kinds: [kind], limit: 100 }];
    const { claimed } = await driver.trip({ settle: [], claim: { lease, session, wants } });
    await driver.markStarted(claimed.map(({ job, run }) => ({ job, run, lease, session })));
    await driver.reap([{ id: session, beat: 0, cause: "gone", leaseMs: 1_000 }]);
  }
}

const innocentOrder = (n: number): NewJob =>
  order("innocent", { queue: "innocent", payload: { codec: 1, text: String(n), bin: null } });

describe("suspects", () => {
  test("run alone, and the others go on after them", async () => {
    let running = 0;
    const beside: number[] = [];
    const count = async (): Promise<void> => {
      running++;
      await new Promise((resolve) => setTimeout(resolve, 10));
      running--;
    };
    const suspect = defineJob("suspect", {
      run: async () => {
        beside.push(running);
        await count();
        beside.push(running);
      },
    });
    const innocent = defineJob("innocent", { run: count });
    const bench = await newBench([suspect, innocent]);
    await bench.driver.insertJobs(Array.from({ length: 3 }, () => order("suspect")));
    await crashTwice(bench.driver, "suspect");
    await bench.driver.insertJobs(Array.from({ length: 40 }, () => order("innocent")));
    const workers = [bench.worker(), bench.worker()];
    const done = (): number => workers.reduce((sum, worker) => sum + worker.stats.done, 0);
    await until("all are done", () => done() === 43);
    // Nothing else ran in this process, of either worker.
    expect(beside).toEqual(Array(6).fill(0));
    expect(await bench.driver.audit()).toEqual([]);
  });

  test("wait for what runs in another worker of their process, which starts nothing meanwhile", async () => {
    const first = gate();
    const second = gate();
    const starts: string[] = [];
    const suspect = defineJob("suspect", {
      run: () => {
        starts.push("suspect");
        return second.passed;
      },
    });
    const innocent = defineJob("innocent", {
      run: (n: number) => {
        starts.push(`innocent ${n}`);
        return n === 1 ? first.passed : undefined;
      },
    });
    const bench = await newBench([suspect, innocent]);
    const { driver } = bench;
    await driver.insertJobs([order("suspect")]);
    await crashTwice(driver, "suspect");
    await driver.insertJobs([innocentOrder(1)]);
    const other = bench.worker({ queues: ["innocent"] });
    await until("the innocent one runs", () => starts.length === 1);
    const its = bench.worker({ queues: ["default"] });
    await until(
      "the suspect is held",
      async () => (await driver.counts({ kind: "suspect" }))[0]!.reserved === 1,
    );
    await driver.insertJobs([innocentOrder(2)]);
    for (let looks = 0; looks < 20; looks++) {
      other.wake();
      its.wake();
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect(starts).toEqual(["innocent 1"]);
    }
    first.open();
    await until("the suspect runs", () => starts.length > 1);
    expect(starts).toEqual(["innocent 1", "suspect"]);
    await until("the first end is written", () => other.stats.done === 1);
    expect(starts).toEqual(["innocent 1", "suspect"]);
    second.open();
    await until("the second innocent one is done", () => other.stats.done === 2);
    expect(starts).toEqual(["innocent 1", "suspect", "innocent 2"]);
    expect(await driver.audit()).toEqual([]);
  });

  test("of a worker that stops do not keep the others waiting", async () => {
    const first = gate();
    const started = gate();
    const suspect = defineJob("suspect", { run: () => undefined });
    const holds = defineJob("holds", { run: () => (started.open(), first.passed) });
    const quick = defineJob("quick", { run: () => undefined });
    const bench = await newBench([suspect, holds, quick]);
    const { driver } = bench;
    await driver.insertJobs([order("suspect")]);
    await crashTwice(driver, "suspect");
    await driver.insertJobs([order("holds", { queue: "other" })]);
    const other = bench.worker({ queues: ["other"] });
    await started.passed;
    const its = bench.worker({ queues: ["default"] });
    await until(
      "the suspect is held",
      async () => (await driver.counts({ kind: "suspect" }))[0]!.reserved === 1,
    );
    await driver.insertJobs([order("quick", { queue: "other" })]);
    await its.stop();
    await until("the quick one is done", () => other.stats.done === 1);
    first.open();
  });

  test("of two workers in one process only one runs a suspect at a time", async () => {
    let running = 0;
    let most = 0;
    const suspect = defineJob("suspect", {
      run: async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 5));
        running--;
      },
    });
    const bench = await newBench([suspect]);
    await bench.driver.insertJobs(Array.from({ length: 12 }, () => order("suspect")));
    await crashTwice(bench.driver, "suspect");
    const workers = [1, 2, 3].map(() => bench.worker({ concurrency: 2 }));
    const done = (): number => workers.reduce((sum, worker) => sum + worker.stats.done, 0);
    await until("all are done", () => done() === 12);
    expect(most).toBe(1);
  });

  test("wait for no handler that never ends: the places are free again after a while", async () => {
    const never = gate();
    const started = gate();
    const endless = defineJob("endless", {
      run: () => {
        started.open();
        return never.passed;
      },
    });
    const suspect = defineJob("suspect", { run: () => undefined });
    const quick = defineJob("quick", { run: () => undefined });
    const bench = await newBench([endless, suspect, quick]);
    await bench.driver.insertJobs([order("suspect")]);
    await crashTwice(bench.driver, "suspect");
    await bench.driver.insertJobs([order("endless", { priority: 1 })]);
    const real = performance.now.bind(performance);
    let ahead = 0;
    performance.now = () => real() + ahead;
    try {
      const worker = bench.worker({ concurrency: 3 });
      const counts = async (kind: string) => (await bench.driver.counts({ kind }))[0]!;
      await started.passed;
      expect(await counts("suspect")).toMatchObject({ reserved: 1 });
      await bench.driver.insertJobs([order("quick")]);
      worker.wake();
      ahead = 35_000;
      worker.wake();
      await until("the quick one is done", async () => (await counts("quick")).done === 1);
      expect(await counts("suspect")).toMatchObject({ reserved: 1 });
      never.open();
      await until("the suspect too", async () => (await counts("suspect")).done === 1);
    } finally {
      performance.now = real;
    }
  });
});
