/** The example of a serializer of one's own: nobody reads a payload without its key, and keys can be changed. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { encrypted } from "../../examples/encrypted/encrypted.js";
import { main } from "../../examples/encrypted/main.js";
import { defineJob } from "../../src/index.js";
import { newPath, newQudo } from "./support.js";

const MAIL = { kind: "mail" };
const SECRET = "the butler did it";
const keys = () => ({
  all: new Map([
    ["old", randomBytes(32)],
    ["new", randomBytes(32)],
  ]),
  current: "new",
});

describe("an encrypted payload", () => {
  test("is read with the key that wrote it, also after another one is in use", () => {
    const ring = keys();
    const before = encrypted({ ...ring, current: "old" }).serialize({ a: SECRET }, MAIL);
    const after = encrypted(ring).serialize({ a: SECRET }, MAIL);
    for (const row of [before, after])
      expect(encrypted(ring).deserialize(row, MAIL)).toEqual({ a: SECRET });
    const [old, fresh] = [before, after].map((row) => Buffer.from(row as Uint8Array));
    expect(old!.includes("old")).toBe(true);
    expect(fresh!.includes("new")).toBe(true);
    expect(fresh!.includes("butler")).toBe(false);
    ring.all.delete("old");
    expect(() => encrypted(ring).deserialize(before, MAIL)).toThrow('There is no key "old".');
  });

  test("is never written twice in the same way", () => {
    const serializer = encrypted(keys());
    const rows = Array.from({ length: 100 }, () => String(serializer.serialize(SECRET, MAIL)));
    expect(new Set(rows).size).toBe(100);
  });

  test("cannot be read after any of its bytes was changed, cut off, or moved to another kind", () => {
    const serializer = encrypted(keys());
    const row = Buffer.from(serializer.serialize({ a: SECRET }, MAIL) as Uint8Array);
    for (let at = 0; at < row.length; at++) {
      const changed = Buffer.from(row);
      changed[at]! ^= 1;
      expect(() => serializer.deserialize(changed, MAIL), `byte ${at}`).toThrow();
    }
    for (let length = 0; length < row.length; length++)
      expect(() => serializer.deserialize(row.subarray(0, length), MAIL)).toThrow();
    expect(() => serializer.deserialize(row, { kind: "other" })).toThrow();
  });

  test("needs keys of the right size", () => {
    const all = new Map([["short", randomBytes(16)]]);
    expect(() => encrypted({ all, current: "short" })).toThrow("32 bytes");
    expect(() => encrypted({ all, current: "none" })).toThrow("no key");
  });
});

test("nothing of it is in the file", async () => {
  const path = newPath();
  const job = defineJob("mail", { serializer: encrypted(keys()), run: () => undefined });
  const qudo = newQudo([job], path);
  const { id } = await qudo.enqueue(job, { a: SECRET });
  expect((await qudo.jobs.get(id))?.payload).toEqual({ a: SECRET });
  await qudo.close();
  expect(readFileSync(path).includes("butler")).toBe(false);
});

test("the program says what it should", async () => {
  const lines: string[] = [];
  await main(`sqlite:${newPath()}`, (line) => lines.push(line));
  expect(lines.slice(0, 2)).toEqual([
    'with the keys: {"name":"Ada","diagnosis":"curiosity"}',
    'with the keys: {"name":"Grace","diagnosis":"a bug"}',
  ]);
  for (const line of lines.slice(2, 4))
    expect(line).toMatch(/^without them: null, .* number 1000, which is not known here/);
  expect(lines.slice(4).toSorted()).toEqual(["told Ada", "told Grace"]);
});
