/** Every law, for the SQLite engine. */
import { describe, expect, test } from "vitest";
import { laws, runLaw } from "../../src/testing/index.js";
import { sqliteFile, sqliteHandle } from "./support/fixture.js";

describe.each([sqliteFile(), sqliteHandle()])("$name", (fixture) => {
  for (const law of laws)
    test(`${law.id}: ${law.law}`, async ({ skip }) => {
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
