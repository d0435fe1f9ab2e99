/** How often a worker looks that nobody calls: soon after there was work, then less and less often. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { defineJob } from "../../src/index.js";
import type { Driver } from "../../src/storage/driver.js";
import { gate, newBench, order, tune, until, type Bench } from "./support.js";

/** A driver that tells nobody of writes, and the moments at which it was asked for jobs. */
function uncalled({ driver }: Bench): { through: Partial<Driver>; looks: number[] } {
  const looks: number[] = [];
  const through: Partial<Driver> = {
    capabilities: { wakeups: false },
    subscribe: undefined,
    trip: (trip) => {
      if (trip.claim !== null) looks.push(performance.now());
      return driver.trip(trip);
    },
  };
  return { through, looks };
}

const gaps = (looks: readonly number[]): number[] => looks.slice(1).map((at, i) => at - looks[i]!);

test("where nothing comes the gaps grow, up to the longest, which is not passed", async () => {
  tune({ pollMs: 300 });
  const bench = await newBench([defineJob("mail", { run: () => undefined })]);
  const { through, looks } = uncalled(bench);
  bench.worker({}, through);
  await until("it looks seldom", () => (gaps(looks).at(-1) ?? 0) >= 300);
  // 20, 30, 45, 68, 101, 152, 228, 300: a slow machine only makes the gaps longer, and the looks fewer.
  expect(looks.length).toBeLessThanOrEqual(10);
  const before = looks.length;
  await sleep(1_000);
  expect(looks.length - before).toBeGreaterThanOrEqual(1);
  expect(looks.length - before).toBeLessThanOrEqual(4);
});

test("after work it looks soon again", async () => {
  tune({ pollMs: 60_000, maintenanceMs: 60_000 });
  const ran: number[] = [];
  let next = gate();
  const job = defineJob("mail", {
    run: () => {
      ran.push(performance.now());
      next.open();
    },
  });
  const bench = await newBench([job]);
  const { through, looks } = uncalled(bench);
  const worker = bench.worker({}, through);
  await until("it has looked for nothing", () => gaps(looks).some((gap) => gap > 1_000));
  for (let n = 0; n < 4; n++) {
    next = gate();
    // Its end has been written, with which it also looks.
    await until("the one before is done", () => worker.stats.done === n);
    await sleep(10);
    await bench.driver.insertJobs([order("mail")]);
    const added = performance.now();
    if (n === 0) worker.wake();
    await next.passed;
    // The first was told of. The others are found by looking, long before the gap to which it had grown.
    expect(ran.at(-1)! - added).toBeLessThan(700);
  }
  expect(ran).toHaveLength(4);
});

test("a worker that is called looks at its own slow pace only", async () => {
  const bench = await newBench([defineJob("mail", { run: () => undefined })]);
  const { through, looks } = uncalled(bench);
  bench.worker({}, { trip: through.trip! });
  await until("it has begun", () => looks.length > 0);
  await sleep(500);
  expect(looks.length).toBeLessThanOrEqual(2);
});
