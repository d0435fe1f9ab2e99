import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LIMITS } from "../../src/core/defaults.js";
import {
  checkDate,
  checkInteger,
  checkMaxAttempts,
  checkName,
  checkOptions,
  checkPriority,
  show,
} from "../../src/core/options.js";
import { refusal, UNSHOWABLE } from "./support/refusal.js";

const NO_NUMBERS = [undefined, null, "5", 5n, {}, [5], true, Symbol("s"), UNSHOWABLE];

describe("a name", () => {
  it.each(["a", "http.fetch", "Größe 語 😀", "constructor", "__proto__", " ", "x".repeat(128)])(
    "may be %j",
    (name) => expect(checkName(name, "queue")).toBe(name),
  );

  it.each([
    "",
    "x".repeat(129),
    "a\0b",
    "a\nb",
    "a\tb",
    "\u001b[31m",
    "\u007f",
    "\u0085",
    "\ud800",
    "a\udc00",
  ])("is not %j", (name) => {
    const { code, message } = refusal(() => checkName(name, "queue"));
    expect(code).toBe("QUDO_INVALID_NAME");
    expect(message).toMatch(/^queue "/);
    expect(message).toContain("1 to 128 characters");
  });

  it("is text", () => {
    for (const value of [...NO_NUMBERS.filter((v) => typeof v !== "string"), 5, ["a"], new Date()])
      expect(refusal(() => checkName(value, "queue")).code).toBe("QUDO_INVALID_NAME");
  });
});

describe("a whole number", () => {
  it("is taken between its bounds, and only there", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), fc.integer(), (n, a, b) => {
        const [min, max] = [Math.min(a, b), Math.max(a, b)];
        const check = (): number => checkInteger(n, "size", min, max);
        if (n >= min && n <= max) expect(check()).toBe(n);
        else expect(refusal(check).message).toContain(`from ${min} to ${max}`);
      }),
    );
  });

  it("is nothing else", () => {
    for (const value of [...NO_NUMBERS, 1.5, Number.NaN, Infinity, -Infinity]) {
      const { code, message } = refusal(() => checkInteger(value, "size", -10, 10));
      expect(code).toBe("QUDO_INVALID_OPTION");
      expect(message).toMatch(/^size is /);
    }
  });
});

it("a priority is between -32,767 and 32,767", () => {
  for (const priority of [-32_767, 0, 32_767]) expect(checkPriority(priority)).toBe(priority);
  for (const priority of [-32_768, 32_768, 0.5])
    expect(refusal(() => checkPriority(priority)).message).toMatch(/^priority is /);
});

it("attempts are 1 to a million, or -1 for ever", () => {
  for (const attempts of [-1, 1, 6, 1_000_000]) expect(checkMaxAttempts(attempts)).toBe(attempts);
  for (const attempts of [0, -2, 1.5, 1_000_001, Infinity, "-1", undefined])
    expect(refusal(() => checkMaxAttempts(attempts)).message).toMatch(/^maxAttempts is /);
});

describe("a date", () => {
  it("is its milliseconds", () => {
    expect(checkDate(new Date(1_700_000_000_123), "runAt")).toBe(1_700_000_000_123);
    expect(checkDate(new Date(0), "runAt")).toBe(0);
  });

  it("is a Date, and a valid one", () => {
    for (const value of [...NO_NUMBERS, 5, "2024-01-01", new Date(Number.NaN)]) {
      const { code, message } = refusal(() => checkDate(value, "runAt"));
      expect(code).toBe("QUDO_INVALID_OPTION");
      expect(message).toMatch(/^runAt is /);
    }
    expect(refusal(() => checkDate(new Date("x"), "runAt")).message).toContain("an invalid Date");
  });
});

describe("options", () => {
  const known = ["queue", "priority"];

  it("that are known pass, all, some or none", () => {
    for (const value of [undefined, {}, { queue: 1 }, { queue: 1, priority: undefined }])
      expect(() => checkOptions(value, known, "here")).not.toThrow();
  });

  it("that are unknown are named, and so are those that exist", () => {
    const { code, message } = refusal(() => checkOptions({ queue: 1, prio: 2 }, known, "enqueue"));
    expect(code).toBe("QUDO_UNKNOWN_OPTION");
    expect(message).toBe('enqueue has no option "prio". It knows: queue, priority.');
  });

  it("named as what every object has are unknown like others", () => {
    for (const json of ['{"constructor":1}', '{"__proto__":{"queue":1}}', '{"toString":1}'])
      expect(refusal(() => checkOptions(JSON.parse(json), known, "x")).code).toBe(
        "QUDO_UNKNOWN_OPTION",
      );
  });
});

describe("a value in a message", () => {
  it("is short, whatever it is", () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (value) => {
        expect(show(value).length).toBeLessThanOrEqual(60);
      }),
    );
    expect(show("x".repeat(1_000))).toMatch(/^"x{56}…$/);
    expect(show("x".repeat(58))).toBe(`"${"x".repeat(58)}"`);
  });

  it("is quoted when it is text, and never fails", () => {
    expect([show("5"), show(5), show(null), show(5n)]).toEqual(['"5"', "5", "null", "5"]);
    expect(show(UNSHOWABLE)).toBe("a object that cannot be shown");
  });

  it("of 60 characters holds no more than is left of the limit", () => {
    expect(LIMITS.nameLength).toBeGreaterThan(60);
    expect(refusal(() => checkName("x".repeat(1e6), "queue")).message.length).toBeLessThan(200);
  });
});
