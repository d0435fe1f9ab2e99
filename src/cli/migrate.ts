/** `qudo migrate`: creates or upgrades the tables. */
import type { Command } from "commander";
import { QudoError } from "../core/errors.js";
import { Qudo } from "../qudo.js";
import type { Databases, ListedDatabase } from "../storage/database.js";
import { addCommand, type CommonOptions } from "./command.js";
import { dryRun } from "./dry-run.js";
import { silent } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { print, printJson, say } from "./output.js";
import { safe, safeLines } from "./text.js";

export function addMigrate(program: Command): void {
  addCommand(
    program,
    {
      name: "migrate",
      summary: "create or upgrade qudo's tables",
      description:
        "Creates qudo's tables, or upgrades them to this release. A SQLite file that is not there is made.\n\n" +
        "Safe to run at any time and by many at once: when the tables are current, nothing is changed. Of several databases " +
        "each is done by itself, and gets the name that stands before its address, unless it has one.",
      examples: [
        ["qudo migrate", "make or upgrade ./qudo.db"],
        [
          "qudo migrate --database sqlite:/var/lib/app/jobs.db",
          "another file, as a step of a deployment",
        ],
        [
          "qudo migrate --database 'postgres://app@db.example/app?sslmode=verify-full&schema=jobs'",
          "on a server; the password is in PGPASSWORD",
        ],
        [
          "QUDO_DATABASE=sqlite:jobs.db qudo migrate --json",
          '{"database":"sqlite:jobs.db","from":null,"to":2}',
        ],
        [
          "qudo migrate --dry-run",
          "the SQL that would be run, for those who run migrations by hand; changes nothing",
        ],
        [
          "qudo migrate --database mysql://db.example/app --print-grants",
          "roles with the least rights, as SQL for the administrator; changes nothing",
        ],
      ],
    },
    migrate,
  )
    .option("--dry-run", "print the SQL that would be run, and change nothing")
    .option(
      "--print-grants",
      "servers: print roles with the least rights as SQL, and change nothing",
    );
}

interface MigrateFlags extends CommonOptions {
  dryRun?: true;
  printGrants?: true;
}

async function migrate(flags: MigrateFlags): Promise<ExitCode> {
  const { database, json, printGrants } = flags;
  if (flags.dryRun === true) return dryRun(database, json);
  if (printGrants === true) return grants(database, json);
  if (!Array.isArray(database)) {
    const done = await migrateOne(database);
    if (json) printJson(done);
    else print(told(done));
    return EXIT.ok;
  }
  await checkAll(database);
  const all: ({ readonly name: string } & (Migrated | Failed))[] = [];
  for (const one of database as readonly ListedDatabase[]) {
    const { name } = one;
    const done = await migrateOne([one]).catch(failed);
    all.push({ name, ...done });
    if (json) continue;
    if ("error" in done) say(`${name}: ${safeLines(done.error.message)}`);
    else print(told(done));
  }
  if (json) printJson({ databases: all });
  return all.some((done) => "error" in done) ? EXIT.failed : EXIT.ok;
}

interface Migrated {
  readonly database: string;
  readonly from: number | null;
  readonly to: number;
}

interface Failed {
  readonly error: { readonly code: string; readonly message: string };
}

/** All of a list is checked before anything is done to the first. */
async function checkAll(databases: Databases): Promise<void> {
  await new Qudo({ databases }).close();
}

/** Each by itself: one that cannot be had is no matter of the others. */
async function migrateOne(databases: Databases): Promise<Migrated> {
  await using qudo = new Qudo({ databases, logger: silent });
  const { from, to } = await qudo.migrate();
  return { database: await qudo.label(), from, to };
}

function failed(error: unknown): Failed {
  if (!(error instanceof QudoError)) throw error;
  return { error: { code: error.code, message: error.message } };
}

function told({ database, from, to }: Migrated): string {
  return `${safe(database)}: ${whatHappened(from, to)}`;
}

async function grants(databases: Databases, json: true | undefined): Promise<ExitCode> {
  await using qudo = new Qudo({ databases });
  const text = await qudo.grants();
  if (json) printJson({ database: await qudo.label(), grants: text });
  else print(text.trimEnd());
  return EXIT.ok;
}

function whatHappened(from: number | null, to: number): string {
  if (from === null) return `tables created, at version ${to}`;
  return from === to ? `already at version ${to}` : `upgraded from version ${from} to ${to}`;
}
