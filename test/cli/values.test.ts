import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { duration, moment, momentOrAgo, whole } from "../../src/cli/values.js";
import { brief, relative, stamp } from "../../src/cli/when.js";

beforeEach(() => vi.stubEnv("TZ", "Asia/Kolkata"));
afterEach(() => vi.unstubAllEnvs());

describe("dates as they are typed", () => {
  it.each([
    ["2026-07-10", "2026-07-09T18:30:00.000Z"],
    ["2026-07-10 14:30", "2026-07-10T09:00:00.000Z"],
    ["2026-07-10T14:30:05", "2026-07-10T09:00:05.000Z"],
    ["2026-07-10T14:30:05.5Z", "2026-07-10T14:30:05.500Z"],
    ["2026-07-10 14:30 +0200", "2026-07-10T12:30:00.000Z"],
    ["2028-02-29", "2028-02-28T18:30:00.000Z"],
  ])("%s", (text, iso) => expect(moment(text, "--run-at").toJSON()).toBe(iso));

  it.each(["tomorrow", "", "2026-02-30", "2026-13-01", "2026-07-10 25:00", "10.07.2026", "1h"])(
    "%j is none",
    (text) => expect(() => moment(text, "--run-at")).toThrow(/^--run-at: .* is no date/),
  );

  it("or as times before now", () => {
    expect(momentOrAgo("2h", "--since")).toBe("2h");
    expect(momentOrAgo("30", "--since")).toBe(30);
    expect(momentOrAgo("2026-07-10", "--since")).toBeInstanceOf(Date);
    expect(() => momentOrAgo("yesterday", "--since")).toThrow(/^--since: "yesterday" is neither/);
  });
});

it("durations are seconds or text, whole numbers are whole", () => {
  expect([duration("30", "--x"), duration("1.5", "--x"), duration("5m", "--x")]).toEqual([
    30,
    1.5,
    "5m",
  ]);
  expect(() => duration("-1", "--x")).toThrow('--x: "-1" is no duration');
  expect(whole("-5", "--x", -9, 9)).toBe(-5);
  for (const text of ["5.5", "five", "", "1e3", "10"])
    expect(() => whole(text, "--x", -9, 9)).toThrow("--x is");
});

describe("times as people read them", () => {
  it.each([
    [0, "0 s"],
    [900, "1 s"],
    [95_000, "95 s"],
    [119_900, "2 min"],
    [7_199_000, "2 h"],
    [46 * 3_600_000, "46 h"],
    [72 * 3_600_000, "3 d"],
  ])("%i ms: %s", (ms, text) => expect(brief(ms)).toBe(text));

  it("before and after now", () => {
    const now = 1_000_000;
    expect(relative(new Date(now - 5_000), now)).toBe("5 s ago");
    expect(relative(new Date(now + 5_000), now)).toBe("in 5 s");
    expect(relative(new Date(now + 500), now)).toBe("now");
  });

  it("with the zone of the terminal", () => {
    expect(stamp(new Date("2026-07-10T12:00:09Z"))).toBe("2026-07-10 17:30:09 +05:30");
  });
});
