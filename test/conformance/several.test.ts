/**
 * Every law, for several databases as one. With all jobs in one of them every law holds, whichever it is. With jobs in all of them those
 * of the list below do not: it is the one written exemption, and each law in it is seen to be broken.
 */
import { afterAll, describe, expect, test } from "vitest";
import { LawBrokenError, laws, runLaw, type Fixture } from "../../src/testing/index.js";
import { has, mariadb } from "../servers/index.js";
import { sqliteMemory } from "./support/fixture.js";
import { mysql } from "./support/mysql.js";
import { postgresSchema } from "./support/postgres.js";
import { inTurn, several } from "./support/several.js";

const ORDER =
  "Order holds per database: the first job of one is claimed though an earlier one waits in another.";
const LIMIT = "Limits hold per database: each moves, looks at, or deletes as many as it is told.";
const CHILDREN =
  "What replaces a job is put where that job is: its id and its key are looked for there alone.";

const RULE =
  "Limits of kinds, queues and keys hold per database: each lets as many run, and begin.";

/** Nothing of these holds where each database counts for itself. */
const RULES = [
  "limits.kind",
  "limits.apart",
  "limits.queue",
  "limits.machine",
  "limits.priority",
  "limits.dead-worker",
  "limits.given-back",
  "limits.cancelled-runs",
  "limits.left-in-a-lease",
  "limits.resend",
  "limits.at-once",
  "limits.last-word",
  "limits.shown",
  "keys.running",
  "keys.shares",
  "keys.order",
  "keys.with-their-kind",
  "keys.come-back",
  "keys.dead-worker",
  "keys.operated",
  "keys.whatever-kinds",
  "situation.limits",
  "rates.kind",
  "rates.burst",
  "rates.queue",
  "rates.key",
  "rates.both",
  "rates.resend",
  "rates.clock-set-back",
];

/** Uniqueness holds per database, too, unless jobs are placed by their keys, as they are here. */
const EXEMPT: Readonly<Record<string, string>> = {
  "sets.in-order": ORDER,
  "claim.due-order": ORDER,
  "claim.order-across-kinds": ORDER,
  "claim.whole-line": ORDER,
  "claim.expired": ORDER,
  "fence.not-in-the-lease": ORDER,
  "replace.key-of-another": CHILDREN,
  "replace.known-child": CHILDREN,
  "report.lost": ORDER,
  "reap.innocents": ORDER,
  "release.keeps-its-place": ORDER,
  "cancel.waiting-again": ORDER,
  "cancel.ended": ORDER,
  "retry.refused": ORDER,
  "prune.living": ORDER,
  "look.states": ORDER,
  "look.holder": ORDER,
  "look.counts-next-life": ORDER,
  "look.attempts-of-job": ORDER,
  "situation.ahead": ORDER,
  "list.order": ORDER,
  "list.last-word": ORDER,
  "promote.limit": LIMIT,
  "prune.limit": LIMIT,
  "prune.dry-run": LIMIT,
  "prune.counts": LIMIT,
  "list.bounded": LIMIT,
  ...Object.fromEntries(RULES.map((id) => [id, RULE])),
};

interface Case {
  readonly fixture: Fixture;
  readonly there: boolean;
  readonly exempt: Readonly<Record<string, string>>;
}

const sqlite = sqliteMemory();
const mixed = [
  sqlite,
  postgresSchema("PostgreSQL"),
  mysql("MariaDB", () => mariadb({ durable: false })),
];
const servers = (await has("postgres")) && (await has("mariadb"));

const cases: readonly Case[] = [
  ...[0, 1].map((active) => ({
    fixture: several(`two SQLite databases, jobs in number ${active}`, [sqlite, sqlite], active),
    there: true,
    exempt: {},
  })),
  { fixture: inTurn("two SQLite databases", [sqlite, sqlite]), there: true, exempt: EXEMPT },
  ...["SQLite", "PostgreSQL", "MariaDB"].map((engine, active) => ({
    fixture: several(`SQLite, PostgreSQL and MariaDB, jobs in ${engine}`, mixed, active),
    there: servers,
    exempt: {},
  })),
  {
    fixture: inTurn("SQLite, PostgreSQL and MariaDB", mixed),
    there: servers,
    // Of three databases one has nothing else to look at.
    exempt: {
      ...EXEMPT,
      "prune.past-the-leased": LIMIT,
      "limits.settle-and-claim": RULE,
      "keys.of-their-kind": RULE,
      "keys.turns": RULE,
    },
  },
];

const skipped = new Set<string>();

describe.each(cases)("$fixture.name", ({ fixture, there, exempt }) => {
  for (const law of laws)
    test.skipIf(!there)(`${law.id}: ${law.law}`, async ({ skip }) => {
      const reason = exempt[law.id];
      // An exemption that is not needed is one that hides something.
      if (reason !== undefined)
        return await expect(runLaw(law, fixture), reason).rejects.toThrow(LawBrokenError);
      const result = await runLaw(law, fixture);
      if (result.status === "held") return;
      skipped.add(`${law.id}: ${result.reason}`);
      skip(result.reason);
    });
});

test("every exemption is of a law", () => {
  const known = new Set(laws.map(({ id }) => id));
  expect(Object.keys(EXEMPT).filter((id) => !known.has(id))).toEqual([]);
});

afterAll(() => {
  const exempt = Object.entries(EXEMPT).map(([id, reason]) => `${id}: ${reason}`);
  console.log(["Exempt where jobs are in all of them:", ...exempt].join("\n  "));
  console.log(["Skipped:", ...skipped].join("\n  "));
});
