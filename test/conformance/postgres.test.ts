/** Every law, for the PostgreSQL engine. */
import { afterAll, describe, test } from "vitest";
import { laws, runLaw } from "../../src/testing/index.js";
import { has } from "../servers/index.js";
import { postgresSchema } from "./support/postgres.js";

const skipped: string[] = [];

describe.skipIf(!(await has("postgres")))("PostgreSQL", () => {
  const fixture = postgresSchema("PostgreSQL");
  for (const law of laws)
    test(`${law.id}: ${law.law}`, async ({ skip }) => {
      const result = await runLaw(law, fixture);
      if (result.status === "held") return;
      skipped.push(`${law.id}: ${result.reason}`);
      skip(result.reason);
    });
});

afterAll(() => console.log(`Skipped:\n${skipped.join("\n")}`));
