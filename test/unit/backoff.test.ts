import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  clampDelay,
  exponential,
  fixed,
  linearThenExponential,
  type PlainBackoff,
} from "../../src/core/backoff.js";
import { LIMITS } from "../../src/core/defaults.js";
import { refusal } from "./support/refusal.js";

const DAY_MS = 86_400_000;
const seconds = fc.double({ min: 0, max: 1e7, noNaN: true });
const fails = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 5_000 }));
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

const minutes = (backoff: PlainBackoff, count: number): number[] =>
  Array.from({ length: count }, (_, i) => backoff(i + 1, 0) / 60_000);

describe("linearThenExponential", () => {
  it("grows by a minute five times, then doubles", () => {
    expect(minutes(linearThenExponential(), 9)).toEqual([1, 2, 3, 4, 5, 10, 20, 40, 80]);
  });

  it("waits for a day at most, by default", () => {
    expect(linearThenExponential()(100, 0)).toBe(DAY_MS);
    expect(linearThenExponential()(100_000, 0)).toBe(DAY_MS);
  });

  it("takes its delay, its linear part and its cap from the options", () => {
    expect(minutes(linearThenExponential({ delay: "2m", linear: 2, max: "30m" }), 6)).toEqual([
      2, 4, 8, 16, 30, 30,
    ]);
  });

  it("leaves nothing to chance", () => {
    const backoff = linearThenExponential();
    fc.assert(
      fc.property(fails, random, (n, r) => {
        expect(backoff(n, r)).toBe(backoff(n, 0));
      }),
    );
  });

  it("is finite, never shrinks, and stays under its cap, after any number of failures", () => {
    fc.assert(
      fc.property(seconds, seconds, fc.integer({ min: 1, max: 20 }), fails, (delay, max, l, n) => {
        const backoff = linearThenExponential({ delay, max, linear: l });
        expect(backoff(n, 0)).toBeGreaterThanOrEqual(0);
        expect(backoff(n, 0)).toBeLessThanOrEqual(Math.round(max * 1_000));
        expect(backoff(n + 1, 0)).toBeGreaterThanOrEqual(backoff(n, 0));
      }),
    );
  });

  it("of no delay stays no delay when growth runs past all numbers", () => {
    expect(linearThenExponential({ delay: 0 })(2_000, 0)).toBe(0);
  });

  it("refuses what it cannot use", () => {
    for (const linear of [0, -1, 1.5, Number.NaN])
      expect(refusal(() => linearThenExponential({ linear })).code).toBe("QUDO_INVALID_OPTION");
    expect(refusal(() => linearThenExponential({ delay: "soon" })).message).toContain(
      "backoff delay",
    );
    expect(refusal(() => linearThenExponential({ max: -1 })).message).toContain("backoff max");
    const misspelt = { dealy: "1m" } as object;
    const { code, message } = refusal(() => linearThenExponential(misspelt));
    expect(code).toBe("QUDO_UNKNOWN_OPTION");
    expect(message).toContain("delay, linear, max");
  });
});

describe("fixed", () => {
  it("is the same after every failure", () => {
    fc.assert(
      fc.property(fails, random, (n, r) => {
        expect(fixed("90s")(n, r)).toBe(90_000);
      }),
    );
  });

  it("refuses what is no duration", () => {
    expect(refusal(() => fixed("x")).code).toBe("QUDO_INVALID_DURATION");
  });
});

describe("exponential", () => {
  it("doubles from a second on when nothing is left to chance", () => {
    const backoff = exponential({ jitter: 0 });
    expect([1, 2, 3, 4].map((n) => backoff(n, 0.5))).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect(backoff(5_000, 0.5)).toBe(DAY_MS);
  });

  it("leaves all of the wait to chance by default", () => {
    expect(exponential()(4, 0)).toBe(0);
    expect(exponential()(4, 0.5)).toBe(4_000);
  });

  it("takes its factor from the options", () => {
    expect(exponential({ delay: 1, factor: 3, jitter: 0 })(3, 0)).toBe(9_000);
  });

  it("keeps jitter between its bounds, and everything under the cap", () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(seconds, seconds, share, fails, random, (delay, max, jitter, n, r) => {
        const most = exponential({ delay, max, jitter: 0 })(n, 0);
        const wait = exponential({ delay, max, jitter })(n, r);
        expect(wait).toBeGreaterThanOrEqual(Math.floor(most * (1 - jitter)));
        expect(wait).toBeLessThanOrEqual(most);
        expect(most).toBeLessThanOrEqual(Math.round(max * 1_000));
      }),
    );
  });

  it("never shrinks for the same throw of the dice", () => {
    const factor = fc.double({ min: 1, max: 100, noNaN: true });
    fc.assert(
      fc.property(seconds, factor, fails, random, (delay, f, n, r) => {
        const backoff = exponential({ delay, factor: f });
        expect(backoff(n + 1, r)).toBeGreaterThanOrEqual(backoff(n, r));
      }),
    );
  });

  it("of no delay stays no delay when growth runs past all numbers", () => {
    expect(exponential({ delay: 0 })(5_000, 0.5)).toBe(0);
  });

  it("refuses what it cannot use", () => {
    for (const factor of [0.99, 101, Number.NaN, Infinity])
      expect(refusal(() => exponential({ factor })).message).toContain("factor");
    for (const jitter of [-0.1, 1.1, Number.NaN])
      expect(refusal(() => exponential({ jitter })).message).toContain("jitter");
    expect(refusal(() => exponential({ base: 2 } as object)).message).toContain(
      "delay, factor, max, jitter",
    );
  });
});

describe("clampDelay", () => {
  it.each([
    [1_500, 1_500],
    [1.5, 2],
    [0, 0],
    [-5, 0],
    [Number.NaN, 0],
    [-Infinity, 0],
    // Grown past all numbers: at once would be a busy loop.
    [Infinity, LIMITS.delayMs],
    [LIMITS.delayMs + 1, LIMITS.delayMs],
  ])("of %s is %s", (ms, clamped) => expect(clampDelay(ms)).toBe(clamped));

  it("takes whatever a function without types returned", () => {
    for (const value of [undefined, null, "soon", {}, 5n, Symbol("s"), Promise.resolve(5)])
      expect(clampDelay(value as number)).toBe(0);
  });

  it("is a whole number that the database can store, always", () => {
    fc.assert(
      fc.property(fc.double(), (ms) => {
        const clamped = clampDelay(ms);
        expect(Number.isInteger(clamped)).toBe(true);
        expect(clamped).toBeGreaterThanOrEqual(0);
        expect(clamped).toBeLessThanOrEqual(LIMITS.delayMs);
      }),
    );
  });
});
