/** Every law, on every server that can be had; and, at the end, one table of what does not hold where, and why. */
import { afterAll, describe, test } from "vitest";
import { laws, runLaw, type Fixture } from "../../src/testing/index.js";
import { has, mariadb, mysql as theMysql } from "../servers/index.js";
import { mysql } from "./support/mysql.js";
import { postgresSchema } from "./support/postgres.js";

interface Server {
  readonly fixture: Fixture;
  readonly there: boolean;
}

const NEWER = { newerThan: 15 } as const;
const OLDER = { version: 15 } as const;

const servers: readonly Server[] = [
  { fixture: postgresSchema("PostgreSQL 15", OLDER), there: await has("postgres", OLDER) },
  { fixture: postgresSchema("PostgreSQL, newer", NEWER), there: await has("postgres", NEWER) },
  {
    fixture: mysql("MariaDB", () => mariadb({ durable: false })),
    there: await has("mariadb"),
  },
  { fixture: mysql("MySQL", theMysql), there: await has("mysql") },
];

/** Not laws by themselves: what the same laws promise of one call, and an engine does in more. */
const WORKINGS = [
  "MariaDB, MySQL: jobs with unique keys are added one by one, each in a transaction of its own: several rows that meet on a unique index there deadlock (test/conformance/statements.test.ts)",
];

const exempt = new Set<string>();

describe.each(servers)("$fixture.name", ({ fixture, there }) => {
  for (const law of laws)
    test.skipIf(!there)(`${law.id}: ${law.law}`, async ({ skip }) => {
      const result = await runLaw(law, fixture);
      if (result.status === "held") return;
      exempt.add(`${law.id}: ${result.reason}`);
      skip(result.reason);
    });
});

afterAll(() => console.log(["Exempt:", ...exempt, ...WORKINGS].join("\n  ")));
