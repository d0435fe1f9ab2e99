/** Every law, for the SQLite engine. */
import { describe, expect, test } from "vitest";
import { laws, runLaw } from "../../src/testing/index.js";
import { sqliteFile, sqliteHandle } from "./support/fixture.js";
import { KNOWN_BUGS } from "./support/known-bugs.js";

describe.each([sqliteFile(), sqliteHandle()])("$name", (fixture) => {
  for (const law of laws)
    // A known bug must fail: when it is mended this test says so, and its entry goes.
    test(`${law.id}: ${law.law}`, { fails: KNOWN_BUGS.has(law.id) }, async ({ skip }) => {
      const result = await runLaw(law, fixture);
      if (result.status === "skipped") skip(result.reason);
    });
});

test("ids of laws are unique, and each law is one sentence", () => {
  expect(new Set(laws.map((law) => law.id)).size).toBe(laws.length);
  for (const { id, law } of laws) {
    expect(id).toMatch(/^[a-z]+\.[a-z-]+$/);
    expect(law).toMatch(/^[A-Z`].*[.]$/);
  }
});

test("every known bug names a law", () => {
  const ids = new Set(laws.map((law) => law.id));
  for (const id of KNOWN_BUGS.keys()) expect(ids).toContain(id);
});
