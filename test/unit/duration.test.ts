import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LIMITS } from "../../src/core/defaults.js";
import { durationMs, humanDuration, timerMs, type Duration } from "../../src/core/duration.js";
import { refusal, UNSHOWABLE } from "./support/refusal.js";

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const TEN_YEARS_S = LIMITS.delayMs / 1_000;

describe("a duration", () => {
  it.each([
    [0, 0],
    [-0, 0],
    [1, 1_000],
    [0.25, 250],
    [0.0004, 0],
    [0.0006, 1],
    [TEN_YEARS_S, LIMITS.delayMs],
    ["250ms", 250],
    ["60s", 60_000],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["1d12h", 129_600_000],
    ["2w", 1_209_600_000],
    ["1.5s", 1_500],
    ["0s", 0],
    ["1m1ms", 60_001],
    ["3650d", LIMITS.delayMs],
  ])("of %j is %d ms", (value, ms) => expect(durationMs(value)).toBe(ms));

  it("is the sum of its parts, in any order and number", () => {
    const unit = fc.constantFrom(...(Object.keys(UNITS) as (keyof typeof UNITS)[]));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(99), unit), { minLength: 1, maxLength: 5 }), (parts) => {
        const text = parts.map(([n, u]) => `${n}${u}`).join("");
        expect(durationMs(text)).toBe(parts.reduce((sum, [n, u]) => sum + n * UNITS[u], 0));
      }),
    );
  });

  it("survives being written in milliseconds or in seconds", () => {
    fc.assert(
      fc.property(fc.nat(LIMITS.delayMs), (ms) => {
        expect(durationMs(`${ms}ms`)).toBe(ms);
        expect(durationMs(ms / 1_000)).toBe(ms);
      }),
    );
  });

  it.each([
    "",
    " ",
    "5",
    "s",
    "5 m",
    " 5m",
    "5m ",
    "5m\n",
    "-5m",
    "+5m",
    "5M",
    "5min",
    "1e3s",
    ".5s",
    "5.s",
    "1,5s",
    "0x10s",
    "５m",
    "Infinity",
    "3650d1ms",
    `${"9".repeat(400)}s`,
    -1,
    -0.0001,
    -Number.MIN_VALUE,
    Number.NaN,
    Infinity,
    -Infinity,
    TEN_YEARS_S + 0.001,
    Number.MAX_VALUE,
  ])("is not %j", (value) => {
    expect(refusal(() => durationMs(value)).code).toBe("QUDO_INVALID_DURATION");
  });

  it("is nothing but a number or text, and says so in a typed error", () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    for (const value of [null, undefined, true, {}, [], ["5m"], 5n, Symbol("s"), cycle, UNSHOWABLE])
      expect(refusal(() => durationMs(value as Duration)).code).toBe("QUDO_INVALID_DURATION");
  });

  it("names what was refused, and where", () => {
    expect(refusal(() => durationMs("soon", "timeout")).message).toMatch(/^timeout: "soon" is no /);
    expect(refusal(() => durationMs(Number.NaN)).message).toContain("NaN");
    expect(refusal(() => durationMs("x".repeat(1e6))).message.length).toBeLessThan(300);
  });

  it("is refused quickly when its text is long", () => {
    const started = process.hrtime.bigint();
    refusal(() => durationMs("1".repeat(200_000)));
    refusal(() => durationMs("1s".repeat(100_000) + "x"));
    expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(1_000);
  });
});

describe("a timer's delay", () => {
  it("is one that Node does not fire at once", () => {
    expect([-1, 0, 5, LIMITS.timerMs, LIMITS.timerMs + 1, Infinity].map(timerMs)).toEqual([
      0,
      0,
      5,
      2 ** 31 - 1,
      2 ** 31 - 1,
      2 ** 31 - 1,
    ]);
  });
});

describe("a duration for people", () => {
  it.each([
    [0, "0 ms"],
    [999, "999 ms"],
    [1_200, "1.2 s"],
    [12_300, "12 s"],
    [60_000, "1 min 0 s"],
    [200_000, "3 min 20 s"],
    [3_600_000, "1 h 0 min"],
    [93_784_000, "26 h 3 min"],
  ])("%d ms is %s", (ms, text) => expect(humanDuration(ms)).toBe(text));
});
