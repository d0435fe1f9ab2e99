/** Every law, for the SQLite engine, on every way to open it. */
import { afterAll, describe, expect, test } from "vitest";
import { laws, runLaw } from "../../src/testing/index.js";
import { sqliteFile, sqliteHandle, sqliteThread } from "./support/fixture.js";

const skipped: string[] = [];

describe.each([sqliteFile(), sqliteThread(), sqliteHandle()])("$name", (fixture) => {
  for (const law of laws)
    test(`${law.id}: ${law.law}`, async ({ skip }) => {
      const result = await runLaw(law, fixture);
      if (result.status === "held") return;
      skipped.push(`${law.id}: ${result.reason}`);
      skip(result.reason);
    });
});

test("ids of laws are unique, and each law is one sentence", () => {
  expect(new Set(laws.map((law) => law.id)).size).toBe(laws.length);
  for (const { id, law } of laws) {
    expect(id).toMatch(/^[a-z]+\.[a-z-]+$/);
    expect(law).toMatch(/^[A-Z`].*[.]$/);
  }
});

afterAll(() => console.log(`Skipped:\n${skipped.join("\n")}`));
