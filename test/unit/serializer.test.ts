/** Serializers: what arrives as it was sent, what is refused, whose number is whose, and what cannot be read. */
import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { LIMITS } from "../../src/core/defaults.js";
import { presentable } from "../../src/core/presentable.js";
import { redactPayload, secretsOf } from "../../src/core/redact.js";
import {
  checkSerializer,
  json,
  Serializers,
  type Packed,
  type Serializer,
} from "../../src/core/serializer.js";
import { QudoError } from "../../src/core/errors.js";
import { serializersOf } from "../../src/serializers/index.js";
import { messagePack } from "../../src/serializers/message-pack.js";
import { v8 } from "../../src/serializers/v8.js";
import { refusal } from "./support/refusal.js";

const MAIL = { kind: "mail" };
const all = serializersOf({});
const sent = (value: unknown, by: Serializer): unknown =>
  all.unpack(all.pack(value, MAIL, by), MAIL);

const own = (more: Partial<Serializer> = {}): Serializer => ({
  name: "own",
  codec: 100,
  serialize: (payload) => JSON.stringify(payload),
  deserialize: (stored) => JSON.parse(stored as string) as unknown,
  ...more,
});

/** What an unreadable payload is refused with. */
function unreadable(serializers: Serializers, packed: Packed): QudoError {
  try {
    serializers.unpack(packed, MAIL);
  } catch (error) {
    expect(error).toMatchObject({ code: "QUDO_PAYLOAD_UNREADABLE" });
    return error as QudoError;
  }
  throw new Error("it was read");
}

describe.each([json, v8, messagePack()])("$name", (serializer) => {
  test("carries every JSON value", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        // It is refused, below.
        fc.pre(serializer !== messagePack() || !JSON.stringify(value).includes("__proto__"));
        const packed = all.pack(value, MAIL, serializer);
        expect(packed.codec).toBe(serializer.codec);
        expect(packed.text === null).toBe(packed.bin !== null);
        const arrived = JSON.stringify(all.unpack(packed, MAIL));
        expect(arrived).toBe(JSON.stringify(value));
      }),
    );
  });

  test("is held to 1 MiB as it is stored", () => {
    const large = "x".repeat(LIMITS.payloadBytes);
    expect(refusal(() => all.pack(large, MAIL, serializer)).code).toBe("QUDO_PAYLOAD_TOO_LARGE");
    expect(all.pack(large, MAIL, serializer, 2 * LIMITS.payloadBytes)).toBeTruthy();
    expect(sent(large.slice(100), serializer)).toBe(large.slice(100));
  });

  test("refuses a function, which has no form", () => {
    expect(refusal(() => all.pack({ f: () => 1 }, MAIL, serializer)).code).toBe(
      "QUDO_INVALID_PAYLOAD",
    );
  });
});

test("v8 carries what JSON cannot", () => {
  const value: Record<string, unknown> = {
    map: new Map<unknown, unknown>([["a", new Set([1n])]]),
    date: new Date(0),
    bytes: new Uint8Array([1, 2]),
    not: Number.NaN,
    nothing: undefined,
    pattern: /a+/g,
  };
  value.self = value;
  const arrived = sent(value, v8) as typeof value;
  expect(arrived.self).toBe(arrived);
  expect(isDeepStrictEqual(arrived, value)).toBe(true);
});

describe("MessagePack", () => {
  test("carries bytes, Dates, BigInts of 64 bits and every number", () => {
    const value = {
      bytes: new Uint8Array([0, 255]),
      date: new Date(1_234_567_890_123),
      big: [0n, 2n ** 63n - 1n, -(2n ** 63n)],
      numbers: [2 ** 53, -(2 ** 40), 0.1, Number.POSITIVE_INFINITY, Number.NaN],
      nul: "a\0b",
    };
    expect(isDeepStrictEqual(sent(value, messagePack()), value)).toBe(true);
  });

  test.each([
    ["a Map, which would become {}", { a: new Map([[1, 2]]) }, "payload.a"],
    ["a Set", [new Set()], "payload[0]"],
    ["a larger BigInt, which would be cut off", { a: { b: 2n ** 63n } }, "payload.a.b"],
    ["an object of a class", { a: new URLSearchParams() }, "payload.a"],
    ["an invalid Date", { a: new Date(Number.NaN) }, "payload.a"],
    ["half a surrogate pair", { a: "\ud800" }, "payload.a"],
    ["a name that its decoder refuses", JSON.parse('{"__proto__":1}'), "payload.__proto__"],
  ])("refuses %s, with the path", (_, value, path) => {
    const { code, message } = refusal(() => all.pack(value, MAIL, messagePack()));
    expect(code).toBe("QUDO_INVALID_PAYLOAD");
    expect(message).toContain(path);
  });

  test("refuses what refers back to itself", () => {
    const value: Record<string, unknown> = {};
    value.self = value;
    expect(refusal(() => all.pack(value, MAIL, messagePack())).message).toContain("payload.self");
  });
});

describe("a serializer of one's own", () => {
  test("is told the kind, and its bytes are copied: they may be a part of something larger", () => {
    const shared = new Uint8Array(64);
    const kinds: string[] = [];
    const serializer = own({
      serialize: (payload, { kind }) => {
        kinds.push(kind);
        shared[0] = Number(payload);
        return shared.subarray(0, 1);
      },
      deserialize: (stored, { kind }) => {
        kinds.push(kind);
        return (stored as Uint8Array)[0];
      },
    });
    const serializers = new Serializers();
    const [one, two] = [1, 2].map((n) => serializers.pack(n, MAIL, serializer));
    expect(one!.bin!.buffer.byteLength).toBe(1);
    expect([one, two].map((packed) => serializers.unpack(packed!, MAIL))).toEqual([1, 2]);
    expect(new Set(kinds)).toEqual(new Set(["mail"]));
  });

  test.each([
    ["a promise", (): never => Promise.resolve("x") as never],
    ["nothing", (): never => undefined as never],
    ["text with a NUL", () => "a\0"],
    ["text with half a surrogate pair", () => "\udc00"],
  ])("that answers with %s refuses the job", (_, serialize) => {
    const { code } = refusal(() => new Serializers().pack(1, MAIL, own({ serialize })));
    expect(code).toBe("QUDO_INVALID_PAYLOAD");
  });

  test("is given bytes that are nothing but bytes, also by clients that answer with a part of a Buffer", () => {
    const bin = Buffer.from("xaby").subarray(1, 3);
    const packed = {
      codec: 3,
      text: null,
      bin: Buffer.from(all.pack(bin, MAIL, messagePack()).bin!),
    };
    expect(all.unpack(packed, MAIL)).toStrictEqual(Uint8Array.from([97, 98]));
    const given: unknown[] = [];
    const serializers = serializersOf({
      serializers: [own({ deserialize: (row) => given.push(row) })],
    });
    serializers.unpack({ codec: 100, text: null, bin }, MAIL);
    expect(given).toStrictEqual([Uint8Array.from([97, 98])]);
  });

  test("that throws refuses the job, with the cause and without its words", () => {
    const cause = new Error("it was 'hunter2'");
    const serialize = (): never => {
      throw cause;
    };
    const call = (): unknown => new Serializers().pack(1, MAIL, own({ serialize }));
    expect(call).toThrow(expect.objectContaining({ cause }));
    expect(refusal(call).message).not.toContain("hunter2");
  });

  test("has a number that is its own", () => {
    for (const codec of [0, 1.5, 32_768, "100"])
      expect(refusal(() => checkSerializer(own({ codec: codec as never }), "x")).code).toBe(
        "QUDO_INVALID_OPTION",
      );
    expect(refusal(() => checkSerializer({ name: "x", codec: 100 }, "x")).message).toContain(
      "deserialize",
    );
    const clash = { code: "QUDO_SERIALIZER_CLASH" };
    for (const codec of [1, 2, 3, 4, 99])
      expect(refusal(() => serializersOf({ serializers: [own({ codec })] }))).toMatchObject(clash);
    expect(refusal(() => serializersOf({ serializers: [own(), own()] }))).toMatchObject(clash);
    const one = own();
    expect(() =>
      serializersOf({ serializer: one, serializers: [one, own({ codec: 101 })] }),
    ).not.toThrow();
    expect(
      refusal(() => serializersOf({ serializers: [one, own({ name: "b" })] })).message,
    ).toContain("another number");
  });

  test("reads what it wrote as soon as it has written", () => {
    const serializers = new Serializers();
    const packed = serializers.pack({ a: 1 }, MAIL, own());
    expect(serializers.unpack(packed, MAIL)).toEqual({ a: 1 });
    expect(refusal(() => serializers.pack(1, MAIL, own())).code).toBe("QUDO_SERIALIZER_CLASH");
  });
});

describe("what cannot be read", () => {
  const bin = new Uint8Array([0xc1]);
  test.each<[string, Packed]>([
    ["no JSON", { codec: 1, text: '{"password":"hunter2"', bin: null }],
    ["bytes where JSON should be", { codec: 1, text: null, bin }],
    ["nothing", { codec: 1, text: null, bin: null }],
    ["no structured clone", { codec: 2, text: null, bin }],
    ["text where bytes should be", { codec: 2, text: "hunter2", bin: null }],
    ["no MessagePack", { codec: 3, text: null, bin }],
    ["a number of a newer qudo", { codec: 4, text: "hunter2", bin: null }],
    ["a number that is not known here", { codec: 100, text: "hunter2", bin: null }],
  ])("%s is said without showing it", (_, packed) => {
    const error = unreadable(all, packed);
    expect(`${error.message}${String(error.cause)}`).not.toContain("hunter2");
  });

  test("says which number is missing", () => {
    expect(unreadable(all, { codec: 1_234, text: "1", bin: null }).message).toContain("1234");
  });

  test("is said of one's own by the class of its error, which is the cause", () => {
    const deserialize = vi.fn().mockThrow(new TypeError("hunter2"));
    const serializers = serializersOf({ serializers: [own({ deserialize })] });
    const error = unreadable(serializers, { codec: 100, text: "1", bin: null });
    expect(error.message).toContain("TypeError");
    expect(error.message).not.toContain("hunter2");
    expect(error.cause).toBeInstanceOf(TypeError);
  });
});

describe("shown to people", () => {
  test("whatever it is becomes something that JSON can write", () => {
    const value: Record<string, unknown> = {
      map: new Map([["a", 1]]),
      pairs: new Map([[1, "a"]]),
      set: new Set([1n]),
      date: new Date(0),
      bytes: new Uint8Array(12),
      not: Number.NaN,
      error: new TypeError("no"),
      pattern: /a/g,
    };
    value.self = [value];
    expect(JSON.parse(JSON.stringify(presentable(value)))).toEqual({
      map: { a: 1 },
      pairs: [[1, "a"]],
      set: ["1n"],
      date: "1970-01-01T00:00:00.000Z",
      bytes: "[12 bytes]",
      not: "NaN",
      error: { name: "TypeError", message: "no" },
      pattern: "/a/g",
      self: ["[refers back to itself]"],
    });
  });

  test("its size has an end, however often it holds itself", () => {
    let value: unknown[] = [];
    for (let i = 0; i < 40; i++) value = [value, value];
    let more = presentable(value) as unknown[];
    while (Array.isArray(more.at(-1))) more = more.at(-1) as unknown[];
    expect(more.at(-1)).toBe("[more]");
  }, 60_000);

  test("JSON values are what they were", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(presentable(value)).toStrictEqual(value);
      }),
    );
  });

  test("secrets in it are found and hidden, also in a Map", () => {
    const value = { login: new Map([["password", "hunter2"]]), list: new Set([{ token: "abcd" }]) };
    expect(secretsOf(value, null).toSorted()).toEqual(["abcd", "hunter2"]);
    expect(JSON.stringify(redactPayload(value, ["login.password"]))).not.toContain("hunter2");
  });
});
