import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  idBytes,
  idFromName,
  idText,
  invalidId,
  isUuid,
  layoutV7,
  uniqueHash,
} from "../../src/core/ids.js";
import { refusal, UNSHOWABLE } from "./support/refusal.js";

const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const UUID = "0190abcd-1234-7abc-8def-0123456789ab";

describe("a UUID", () => {
  it("survives being written as text and read again", () => {
    fc.assert(
      fc.property(bytes16, (bytes) => {
        const text = idText(bytes);
        expect(isUuid(text)).toBe(true);
        expect([...idBytes(text)]).toEqual([...bytes]);
      }),
    );
  });

  it("survives being read and written again, in small letters", () => {
    fc.assert(
      fc.property(fc.uuid(), (id) => {
        expect(idText(idBytes(id))).toBe(id);
        expect(idText(idBytes(id.toUpperCase()))).toBe(id);
      }),
    );
  });

  it("is read from the middle of a larger block", () => {
    const block = Buffer.concat([Buffer.alloc(20, 1), idBytes(UUID), Buffer.alloc(4, 2)]);
    expect(idText(block.subarray(20, 36))).toBe(UUID);
  });

  it.each([
    "",
    "x",
    UUID.slice(1),
    `${UUID}0`,
    // Buffer.from(…, "hex") stops in silence at the first bad digit: these had the same bytes as UUID.
    `${UUID}zz`,
    `${UUID}\n`,
    UUID.replaceAll("-", ""),
    `{${UUID}}`,
    UUID.replace("a", "g"),
    // Its low byte is the digit's.
    UUID.replace("a", "\u0161"),
  ])("is not %j", (text) => {
    expect(isUuid(text)).toBe(false);
    expect(refusal(() => idBytes(text)).code).toBe("QUDO_INVALID_ID");
  });

  it("is text, and what is not is refused in a typed error", () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    for (const value of [undefined, null, 5, 5n, {}, cycle, UNSHOWABLE, Buffer.alloc(16)]) {
      expect(isUuid(value)).toBe(false);
      expect(refusal(() => idBytes(value as string)).code).toBe("QUDO_INVALID_ID");
    }
  });

  it("that is none is named, and the way out too", () => {
    const { message } = invalidId("order 5");
    expect(message).toContain('"order 5"');
    expect(message).toContain("idFromName");
  });
});

describe("the layout of version 7", () => {
  const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });
  const counter = fc.integer({ min: 0, max: 0xfff });
  const random = fc.uint8Array({ minLength: 8, maxLength: 8 });

  it("has its version, its variant, its time and its counter where RFC 9562 wants them", () => {
    fc.assert(
      fc.property(time, counter, random, (ms, count, dice) => {
        const hex = layoutV7(ms, count, dice).replaceAll("-", "");
        expect(Number.parseInt(hex.slice(0, 12), 16)).toBe(ms);
        expect(hex[12]).toBe("7");
        expect(Number.parseInt(hex.slice(13, 16), 16)).toBe(count);
        expect("89ab").toContain(hex[16]);
        expect(hex.slice(18)).toBe(Buffer.from(dice).toString("hex").slice(2));
      }),
    );
  });

  it("sorts by time, then by counter, whatever the dice said", () => {
    fc.assert(
      fc.property(time, counter, random, time, counter, random, (t1, c1, r1, t2, c2, r2) => {
        fc.pre(t1 !== t2 || c1 !== c2);
        const before = t1 < t2 || (t1 === t2 && c1 < c2);
        expect(layoutV7(t1, c1, r1) < layoutV7(t2, c2, r2)).toBe(before);
      }),
    );
    const [low, high] = [new Uint8Array(8), new Uint8Array(8).fill(255)];
    expect(layoutV7(5, 1, high) < layoutV7(5, 2, low)).toBe(true);
    expect(layoutV7(5, 0xfff, high) < layoutV7(6, 0, low)).toBe(true);
  });

  it("leaves the dice it was given alone", () => {
    const dice = new Uint8Array(8).fill(255);
    layoutV7(1, 1, dice);
    expect([...dice]).toEqual(Array(8).fill(255));
  });
});

describe("an id from a name", () => {
  const parts = fc.array(fc.string({ unit: "grapheme" }), { minLength: 1, maxLength: 4 });

  it("is the same for the same parts, a UUID of version 8", () => {
    fc.assert(
      fc.property(parts, (names) => {
        const id = idFromName(...names);
        expect(id).toBe(idFromName(...names));
        expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      }),
    );
  });

  it("differs for different parts", () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        fc.pre(JSON.stringify(a) !== JSON.stringify(b));
        expect(idFromName(...a)).not.toBe(idFromName(...b));
      }),
    );
  });

  it("is made of texts and bytes, at least one, and not of half a character", () => {
    for (const bad of [[], [5], ["a", null], [undefined], ["\ud800"], [{}]])
      expect(refusal(() => idFromName(...(bad as string[]))).code).toBe("QUDO_INVALID_ID");
  });

  it("keeps its parts apart", () => {
    const ids = [["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["", "abc"], ["1:a"], ["a", "1:"]];
    expect(new Set(ids.map((names) => idFromName(...names))).size).toBe(ids.length);
  });

  it("is the same for text and for its bytes in UTF-8", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (name) => {
        expect(idFromName(name)).toBe(idFromName(new TextEncoder().encode(name)));
      }),
    );
    expect(idFromName(new Uint8Array([0, 255]))).not.toBe(idFromName(new Uint8Array([0, 254])));
  });

  it("never changes from one release to the next", () => {
    // These ids stand in users' databases: another value here means every job twice.
    const digest = createHash("sha256").update("5:order2:17").digest("hex");
    const expected = idFromName("order", "17").replaceAll("-", "");
    expect(expected).toBe("23537ffec1f38f37aa6f29b11d508b99");
    expect(expected.slice(0, 12)).toBe(digest.slice(0, 12));
  });
});

describe("the hash of a unique key", () => {
  it("is 32 bytes that depend on kind and key, and on where one ends", () => {
    expect(uniqueHash("a", "b")).toHaveLength(32);
    expect(uniqueHash("a", "b")).toEqual(uniqueHash("a", "b"));
    expect(uniqueHash("ab", "c")).not.toEqual(uniqueHash("a", "bc"));
    expect(uniqueHash("a", "b")).not.toEqual(uniqueHash("b", "a"));
    expect(uniqueHash("k", "v")).toEqual(createHash("sha256").update("k\0v").digest());
  });
});
