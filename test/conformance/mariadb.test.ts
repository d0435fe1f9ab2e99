/** Every law, for the MySQL and MariaDB engine on MariaDB. */
import { afterAll, describe, test } from "vitest";
import { laws, runLaw } from "../../src/testing/index.js";
import { has, mariadb } from "../servers/index.js";
import { mysql } from "./support/mysql.js";

const skipped: string[] = [];
const fixtures = [mysql("MariaDB", () => mariadb({ durable: false }))];

describe.skipIf(!(await has("mariadb"))).each(fixtures)("$name", (fixture) => {
  for (const law of laws)
    test(`${law.id}: ${law.law}`, async ({ skip }) => {
      const result = await runLaw(law, fixture);
      if (result.status === "held") return;
      skipped.push(`${law.id}: ${result.reason}`);
      skip(result.reason);
    });
});

afterAll(() => console.log(`Skipped:\n${skipped.join("\n")}`));
