import { isDeepStrictEqual } from "node:util";
import { runInNewContext } from "node:vm";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decode,
  encodeError,
  encodeLine,
  encodePayload,
  encodeProgress,
  encodeResult,
} from "../../src/core/codec.js";
import { LIMITS } from "../../src/core/defaults.js";
import { InvalidInputError } from "../../src/core/errors.js";
import { refusal } from "./support/refusal.js";

const MIB = 1_048_576;

/** JSON has one zero. */
function withOneZero(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withOneZero);
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, withOneZero(v)]));
  return value === 0 ? 0 : value;
}

function nested(levels: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = wrap(value);
  return value;
}

describe("a payload", () => {
  it("arrives as it was sent, whatever JSON value it is", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        expect(isDeepStrictEqual(decode(encodePayload(value)), withOneZero(value))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("is written as JSON.stringify writes it, its keys in their order", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        expect(encodePayload(value)).toBe(JSON.stringify(value));
      }),
    );
    expect(encodePayload({ b: 1, a: { d: 2, c: 3 } })).toBe('{"b":1,"a":{"d":2,"c":3}}');
  });

  it("keeps every number, also past 2^53", () => {
    for (const n of [2 ** 53 + 2, 2 ** 64, -(2 ** 60), Number.MAX_VALUE, Number.MIN_VALUE, 0.1])
      expect(decode(encodePayload({ n }))).toEqual({ n });
  });

  it("keeps every text that is one", () => {
    const unit = fc.constantFrom(
      "a",
      "ä",
      "語",
      "😀",
      '"',
      "\\",
      "\n",
      "\u2028",
      "\u007f",
      "\ufffd",
    );
    fc.assert(
      fc.property(fc.string({ unit }), (text) => {
        expect(decode(encodePayload(text))).toBe(text);
      }),
    );
  });

  it("of undefined is null; properties that are undefined are left out", () => {
    expect(encodePayload(undefined)).toBe("null");
    expect(encodePayload({ a: undefined, b: null })).toBe('{"b":null}');
  });

  it("takes objects without a prototype, from another realm, and those that say how they are written", () => {
    const bare = Object.assign(Object.create(null) as object, { a: 1 });
    expect(encodePayload(bare)).toBe('{"a":1}');
    expect(encodePayload(runInNewContext("({ a: [1] })"))).toBe('{"a":[1]}');
    const date = new Date(1_700_000_000_000);
    expect(encodePayload({ date })).toBe('{"date":"2023-11-14T22:13:20.000Z"}');
    expect(encodePayload(new URL("https://example.org/a"))).toBe('"https://example.org/a"');
  });

  it("may hold the same object twice, when it is not within itself", () => {
    const shared = { a: 1 };
    expect(encodePayload([shared, shared, { shared }])).toBe(
      '[{"a":1},{"a":1},{"shared":{"a":1}}]',
    );
  });

  it("is not changed by being written", () => {
    const payload = Object.freeze({ a: Object.freeze([1, Object.freeze({ b: "x" })]) });
    encodePayload(payload);
    expect(payload).toEqual({ a: [1, { b: "x" }] });
  });
});

describe("keys that are traps", () => {
  const trap = JSON.parse(
    '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
  );

  it("survive as data of their own, and pollute nothing", () => {
    const back = decode(encodePayload(trap)) as object;
    expect(Object.keys(back)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    expect(Object.getOwnPropertyDescriptor(back, "__proto__")?.value).toEqual({ polluted: 1 });
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it("do not hide what lies below them", () => {
    const hidden = JSON.parse('{"__proto__":{"a":1}}') as Record<string, unknown>;
    Object.getOwnPropertyDescriptor(hidden, "__proto__")!.value.f = () => 1;
    expect(refusal(() => encodePayload(hidden)).message).toContain("payload.__proto__.f");
  });

  it("named toJSON are data when they are no function", () => {
    expect(encodePayload({ toJSON: "x" })).toBe('{"toJSON":"x"}');
  });
});

class Point {
  x = 1;
}
const cycle: Record<string, unknown> = {};
cycle.list = [{ back: cycle }];

describe("a payload is refused, with the path, for", () => {
  const half = "\ud800";
  const TABLE: [string, unknown, string, string][] = [
    ["a cycle", cycle, "payload.list[0].back", "refers back to itself"],
    [
      "a cycle by toJSON",
      {
        toJSON(): unknown {
          return this;
        },
      },
      "payload",
      "refers back",
    ],
    ["a BigInt", { n: [1n] }, "payload.n[0]", "bigint"],
    ["NaN", { a: { b: Number.NaN } }, "payload.a.b", "NaN"],
    ["Infinity", [1, Infinity], "payload[1]", "Infinity"],
    ["-Infinity", -Infinity, "payload", "-Infinity"],
    ["a function", { a: () => 1 }, "payload.a", "function"],
    ["a method", { a() {} }, "payload.a", "function"],
    ["a symbol", { a: Symbol("s") }, "payload.a", "symbol"],
    ["an invalid date", { at: new Date(Number.NaN) }, "payload.at", "an invalid Date"],
    ["half a surrogate pair", { a: [`x${half}y`] }, "payload.a[0]", "surrogate"],
    ["the other half", "\udc00", "payload", "surrogate"],
    ["halves in the wrong order", "\udc00\ud800", "payload", "surrogate"],
    ["half a surrogate pair in a key", { [half]: 1 }, "payload.", "surrogate"],
    ["NUL", { a: "x\0y" }, "payload.a", "NUL"],
    ["NUL in a key", { "a\0": 1 }, "payload.a", "NUL"],
    ["a Map", { m: new Map([[1, 2]]) }, "payload.m", "a Map"],
    ["a Set", { s: new Set([1]) }, "payload.s", "a Set"],
    ["bytes", { b: new Uint8Array(2) }, "payload.b", "a Uint8Array"],
    ["a RegExp", { r: /x/ }, "payload.r", "a RegExp"],
    ["an Error", { e: new Error("x") }, "payload.e", "a Error"],
    ["a Promise", { p: Promise.resolve(1) }, "payload.p", "a Promise"],
    ["a boxed number", { n: Object(5) as unknown }, "payload.n", "a Number"],
    ["an instance of a class", { p: new Point() }, "payload.p", "a Point"],
    [
      "an instance of a class without name",
      [Object.create({ constructor: undefined, a: 1 })],
      "payload[0]",
      "a class",
    ],
    ["undefined in an array", { a: [1, undefined] }, "payload.a[1]", "undefined"],
    ["a hole in an array", { a: Array(2) }, "payload.a[0]", "undefined"],
    ["toJSON that returns nothing", { a: { toJSON() {} } }, "payload.a", "undefined"],
  ];

  it.each(TABLE)("%s", (_, value, path, why) => {
    const { code, message } = refusal(() => encodePayload(value));
    expect(code).toBe("QUDO_INVALID_PAYLOAD");
    expect(message.startsWith(path)).toBe(true);
    expect(message.slice(path.length)).toContain(why);
    expect(message.isWellFormed()).toBe(true);
    expect(message).not.toContain("\0");
  });

  it.each([
    ["arrays", (inner: unknown) => [inner]],
    ["objects", (inner: unknown) => ({ a: inner })],
  ])("%s nested deeper than 64", (_, wrap) => {
    const deepest = nested(LIMITS.depth, wrap);
    expect(decode(encodePayload(deepest))).toEqual(deepest);
    const { code, message } = refusal(() => encodePayload(nested(LIMITS.depth + 1, wrap)));
    expect(code).toBe("QUDO_INVALID_PAYLOAD");
    expect(message).toContain("nested deeper than 64");
  });

  it("nesting without end, by objects or by toJSON, and does not run out of stack", () => {
    const endless = (): object => ({ toJSON: endless });
    for (const value of [nested(100_000, (inner) => [inner]), endless()])
      expect(refusal(() => encodePayload(value)).message).toContain("nested deeper");
  });

  it("a path that is long, cut short", () => {
    const value = { ["k".repeat(100_000)]: 1n };
    expect(refusal(() => encodePayload(value)).message.length).toBeLessThan(300);
  });
});

describe("a payload's size", () => {
  it("is counted in bytes of UTF-8, and may be 1 MiB", () => {
    for (const fits of ["x".repeat(MIB - 2), "ä".repeat(MIB / 2 - 1), "😀".repeat(MIB / 4 - 1)])
      expect(decode(encodePayload(fits))).toBe(fits);
    for (const tooLong of ["x".repeat(MIB - 1), "ä".repeat(MIB / 2), "😀".repeat(MIB / 4)]) {
      const { code, message } = refusal(() => encodePayload(tooLong));
      expect(code).toBe("QUDO_PAYLOAD_TOO_LARGE");
      expect(message).toContain("1048576");
    }
  });

  it("counts keys, and what escaping adds", () => {
    for (const value of [{ ["k".repeat(MIB)]: 1 }, "\n".repeat(MIB / 2)])
      expect(refusal(() => encodePayload(value)).code).toBe("QUDO_PAYLOAD_TOO_LARGE");
  });

  it("may be all small values: none is counted for more than it is", () => {
    const numbers = Array<number>(MIB / 2 - 1).fill(5);
    expect(encodePayload(numbers)).toHaveLength(MIB - 1);
    const dates = Array.from({ length: 400_000 }, () => ({ toJSON: () => 5 }));
    expect(encodePayload(dates)).toHaveLength(800_001);
  });

  it("is refused before it is written, so that shared parts cannot fill the memory", () => {
    let written = 0;
    const leaf = { toJSON: () => ++written };
    const doubled = nested(22, (inner) => (inner === 1 ? leaf : [inner, inner]));
    expect(refusal(() => encodePayload(doubled)).code).toBe("QUDO_PAYLOAD_TOO_LARGE");
    expect(written).toBeLessThan(MIB);
    const strings = Array<string>(2_000).fill("x".repeat(1_000_000));
    expect(refusal(() => encodePayload(strings)).code).toBe("QUDO_PAYLOAD_TOO_LARGE");
    expect(refusal(() => encodeResult(strings)).code).toBe("QUDO_INVALID_RESULT");
  });
});

/** Everything a JavaScript program can hold, or nearly. */
const anything = fc.anything({
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
});
const storable = (text: string): boolean => text.isWellFormed() && !text.includes("\0");

describe("anything at all", () => {
  it("as a payload is stored as text that every database takes, or refused in a typed error", () => {
    fc.assert(
      fc.property(anything, (value) => {
        let text: string;
        try {
          text = encodePayload(value);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidInputError);
          return;
        }
        expect(storable(text)).toBe(true);
        // Nor in the escaped form, which PostgreSQL refuses.
        expect(text.replaceAll("\\\\", "")).not.toMatch(/\\u(?:0000|d[89a-f])/);
        expect(encodePayload(decode(text))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  it("as an error is text of at most 8 KiB that every database takes", () => {
    fc.assert(
      fc.property(anything, (value) => {
        const text = encodeError(value);
        expect(storable(text)).toBe(true);
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(LIMITS.errorBytes);
        expect(text).not.toBe("");
      }),
      { numRuns: 500 },
    );
  });
});

describe("a result", () => {
  it("of nothing is none, and null is null", () => {
    expect(encodeResult(undefined)).toBeNull();
    expect(encodeResult(null)).toBe("null");
  });

  it("arrives as it was returned", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(encodeResult(value)).toBe(JSON.stringify(value));
      }),
    );
  });

  it("has what databases cannot hold replaced, in texts and keys, so that the run can end", () => {
    const result = encodeResult({ a: "x\0y", "k\ud800": ["\udc00", "fine 😀"] });
    expect(decode(result!)).toEqual({ a: "x\ufffdy", "k\ufffd": ["\ufffd", "fine 😀"] });
  });

  it("that JSON cannot carry is refused under its own code", () => {
    for (const value of [{ f: () => 1 }, [1n], Number.NaN, new Map(), cycle, [undefined]]) {
      const { code, message } = refusal(() => encodeResult(value));
      expect(code).toBe("QUDO_INVALID_RESULT");
      expect(message).toMatch(/^result/);
    }
  });

  it("may be 1 MiB", () => {
    expect(encodeResult("ä".repeat(MIB / 2 - 1))).toHaveLength(MIB / 2 + 1);
    expect(refusal(() => encodeResult("ä".repeat(MIB / 2))).code).toBe("QUDO_INVALID_RESULT");
  });
});

describe("what is kept of an error", () => {
  it("is its stack, which begins with name and message", () => {
    const text = encodeError(new TypeError("no such host"));
    expect(text).toMatch(/^TypeError: no such host\n {4}at /);
    expect(text).toContain("codec.test");
  });

  it("is its code too, beside the message", () => {
    const error = Object.assign(new Error("connect $& failed"), { code: "ECONNREFUSED" });
    expect(encodeError(error)).toMatch(/^Error: connect \$& failed \[ECONNREFUSED\]\n/);
    expect(encodeError(Object.assign(new Error("x"), { code: 5 }))).toMatch(/^Error: x\n/);
  });

  it("is its present message, when it was changed after the stack was made", () => {
    const error = new Error("first");
    // Some engines write the stack when it is first read.
    expect(error.stack).toContain("first");
    error.message = "second";
    expect(encodeError(error)).toMatch(/^Error: second\nError: first\n/);
  });

  it("is name and message when there is no stack", () => {
    const error = new RangeError("x");
    Object.defineProperty(error, "stack", { value: undefined });
    expect(encodeError(error)).toBe("RangeError: x");
  });

  it("is the same for an error of another realm, which is no instance of Error here", () => {
    const error: unknown = runInNewContext('new TypeError("from afar")');
    expect(error instanceof Error).toBe(false);
    expect(encodeError(error)).toMatch(/^TypeError: from afar\n/);
  });

  it.each([
    ["text", "oh no", "Thrown: oh no"],
    ["undefined", undefined, "Thrown: undefined"],
    ["null", null, "Thrown: null"],
    ["a number", 5, "Thrown: 5"],
    ["a BigInt", 5n, "Thrown: 5"],
    ["a symbol", Symbol("s"), "Thrown: Symbol(s)"],
    ["an object", { status: 500 }, 'Thrown: {"status":500}'],
    ["an object that JSON leaves out", { toJSON() {} }, "Thrown: [object Object]"],
    ["a cycle", cycle, "An error that cannot be read."],
  ])("says that what was thrown was %s", (_, thrown, text) => {
    expect(encodeError(thrown)).toBe(text);
  });

  it("is a plain sentence when its getters throw", () => {
    const trap = {
      get: () => {
        throw new Error("trap");
      },
    };
    const unreadable = "An error that cannot be read.";
    for (const field of ["name", "message", "stack", "code"]) {
      const error = Object.defineProperty(new Error("x"), field, trap);
      expect(encodeError(error), field).toBe(unreadable);
    }
    expect(encodeError(new Proxy({}, { getPrototypeOf: trap.get, get: trap.get }))).toBe(
      unreadable,
    );
    expect(encodeError(Object.assign(new Error("x"), { name: Symbol("n") }))).toBe(unreadable);
  });

  it("has NUL and broken characters replaced", () => {
    expect(encodeError(new Error("a\0b\ud800c"))).toMatch(/^Error: a\ufffdb\ufffdc\n/);
  });

  it("is at most 8 KiB of UTF-8, cut between characters", () => {
    for (const character of ["x", "ä", "語", "😀"])
      for (let lead = 0; lead < 4; lead++) {
        const thrown = "x".repeat(lead) + character.repeat(10_000);
        const text = encodeError(thrown);
        const bytes = Buffer.byteLength(text);
        expect(bytes).toBeLessThanOrEqual(LIMITS.errorBytes);
        expect(bytes).toBeGreaterThan(LIMITS.errorBytes - 4);
        expect(text.endsWith(`${character}…`)).toBe(true);
        expect(`Thrown: ${thrown}`.startsWith(text.slice(0, -1))).toBe(true);
      }
  });

  it("is whole when it just fits", () => {
    const thrown = "x".repeat(LIMITS.errorBytes - "Thrown: ".length);
    expect(encodeError(thrown)).toBe(`Thrown: ${thrown}`);
    expect(encodeError(`${thrown}x`)).toMatch(/x…$/);
  });
});

describe("what a handler says", () => {
  it("of its progress is small JSON", () => {
    expect(encodeProgress({ done: 3, of: 10 })).toBe('{"done":3,"of":10}');
    expect(encodeProgress(undefined)).toBe("null");
    for (const value of [1n, Number.NaN, () => undefined, "x".repeat(5_000)])
      expect(refusal(() => encodeProgress(value)).code).toBe("QUDO_INVALID_OPTION");
  });

  it("in a line is cut at 8 KiB, and without what databases cannot hold", () => {
    expect(encodeLine("a\0b\ud800c")).toBe("a\ufffdb\ufffdc");
    expect(Buffer.byteLength(encodeLine("€".repeat(10_000)))).toBeLessThanOrEqual(8_192);
    expect(encodeLine({ a: 1 })).toBe('{"a":1}');
  });

  it("is masked before it is cut, so that no half of a secret stays", () => {
    const secret = "s3cret".repeat(10);
    const mask = (text: string): string => text.replaceAll(secret, "*");
    const text = "x".repeat(8_170) + secret;
    expect(encodeLine(text, mask)).not.toContain("s3cret");
    expect(encodeError(new Error(text), mask)).not.toContain("s3cret");
  });
});
