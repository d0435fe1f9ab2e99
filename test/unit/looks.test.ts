/** When idle workers look, by a clock that is moved by hand. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULTS } from "../../src/core/defaults.js";
import { lookGapMs, Looks } from "../../src/worker/looks.js";

const { lookFirstMs, lookLastMs, pollMs } = DEFAULTS;
const MINUTE_MS = 60_000;

/** A worker that looks whenever a look is due, and finds nothing unless told so. */
function idler(chance: () => number, woken = (): boolean => false, sleepMs: number | null = null) {
  let now = 5_000;
  const looks = new Looks({ now: () => now, chance }, woken, sleepMs);
  const look = (): void => {
    now += Math.max(0, looks.dueInMs);
    looks.looked();
  };
  return {
    looks,
    look,
    /** The time until the next look, which then is made. */
    gap(): number {
      const before = now;
      look();
      return now - before;
    },
    looksIn(ms: number): number {
      const end = now + ms;
      let n = 0;
      for (; now + looks.dueInMs <= end; n++) look();
      now = end;
      return n;
    },
    pass: (ms: number) => void (now += ms),
  };
}

/** A sequence that looks like chance and is the same every time. */
function dice(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
}

const idleMs = fc.double({ min: 0, max: 1e9, noNaN: true });
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("where nothing wakes", () => {
  test("gaps stay within their bounds, and never shrink while nothing comes", () => {
    fc.assert(
      fc.property(idleMs, idleMs, chance, (one, other, by) => {
        const [short, long] = [Math.min(one, other), Math.max(one, other)];
        const gap = lookGapMs(short, by);
        expect(gap).toBeGreaterThanOrEqual(lookFirstMs / 2);
        expect(gap).toBeLessThanOrEqual(lookLastMs);
        expect(gap).toBeLessThanOrEqual(lookGapMs(long, by));
      }),
    );
  });

  test("a job waits for a small part of the time that passed without work", () => {
    const gaps = [0, 1, 10, 3_600].map((seconds) => lookGapMs(seconds * 1_000, 0));
    expect(gaps).toEqual([10, 20, 200, 400]);
  });

  test("the first look is due at once", () => {
    expect(idler(() => 0).gap()).toBe(0);
  });

  test("an idle minute is made of few looks, the first after work too", () => {
    const worker = idler(dice(7));
    const first = worker.looksIn(MINUTE_MS);
    const second = worker.looksIn(MINUTE_MS);
    expect(first).toBeGreaterThan(second);
    expect(first).toBeLessThan(500);
    expect(second).toBeLessThan(225);
  });

  test("after work the looks are close together again", () => {
    const worker = idler(() => 0);
    worker.looksIn(MINUTE_MS);
    worker.look();
    expect(worker.gap()).toBeCloseTo(lookLastMs);
    worker.looks.worked();
    expect(worker.gap()).toBeCloseTo(lookFirstMs);
  });

  test("workers that began together do not look together", () => {
    const workers = [1, 2, 3, 4].map((seed) => idler(dice(seed * 99_991)));
    const moments = workers.map((worker) => {
      const late = worker.looksIn(10_000);
      return [late, ...Array.from({ length: 20 }, () => worker.gap())].join();
    });
    expect(new Set(moments).size).toBe(workers.length);
  });
});

test("where wake-ups arrive the poll behind them comes once a second, whatever came", () => {
  const worker = idler(dice(3), () => true);
  worker.look();
  expect(worker.gap()).toBeCloseTo(pollMs);
  worker.looks.worked();
  expect(worker.gap()).toBeCloseTo(pollMs);
  expect(worker.looksIn(MINUTE_MS)).toBe(60);
});

test("when wake-ups stop arriving, and when they come back, that holds from then on", () => {
  let woken = true;
  const worker = idler(
    () => 0,
    () => woken,
  );
  worker.look();
  worker.pass(lookFirstMs);
  expect(worker.looks.dueInMs).toBe(pollMs - lookFirstMs);
  woken = false;
  expect(worker.looks.dueInMs).toBe(0);
  woken = true;
  expect(worker.looks.dueInMs).toBe(pollMs - lookFirstMs);
});
