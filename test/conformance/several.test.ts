/** Every law, for several databases as one; and what does not hold for them, with the reasons. */
import { describe, test } from "vitest";
import { laws, runLaw } from "../../src/testing/index.js";
import { sqliteMemory } from "./support/fixture.js";
import { several } from "./support/several.js";

const one = { fixture: sqliteMemory() };
const draining = { fixture: sqliteMemory(), mode: "drain" } as const;
const fixtures = [
  several("two SQLite databases, one of which drains", [draining, one], "hash"),
  several("two SQLite databases, hash", [one, one], "hash"),
  several("two SQLite databases, spread", [one, one], "spread"),
];

describe.each(fixtures)("$name", (fixture) => {
  for (const law of laws)
    test(`${law.id}: ${law.law}`, async ({ skip }) => {
      const result = await runLaw(law, fixture);
      if (result.status !== "held") skip(result.reason);
    });
});
