/** `qudo migrate`: creates or upgrades the tables. */
import type { Command } from "commander";
import { Qudo } from "../qudo.js";
import { addCommand, type CommonOptions } from "./command.js";
import { EXIT, type ExitCode } from "./exit.js";
import { print, printJson } from "./output.js";

export function addMigrate(program: Command): void {
  addCommand(
    program,
    {
      name: "migrate",
      summary: "create or upgrade qudo's tables",
      description:
        "Creates qudo's tables, or upgrades them to this release. A SQLite file that is not there is made.\n\n" +
        "Safe to run at any time and by many at once: when the tables are current, nothing is changed.",
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
          "qudo migrate --database mysql://db.example/app --print-grants",
          "roles with the least rights, as SQL for the administrator; changes nothing",
        ],
      ],
    },
    migrate,
  ).option(
    "--print-grants",
    "servers: print roles with the least rights as SQL, and change nothing",
  );
}

interface MigrateFlags extends CommonOptions {
  printGrants?: true;
}

async function migrate({ database, json, printGrants }: MigrateFlags): Promise<ExitCode> {
  await using qudo = new Qudo({ databases: database });
  if (printGrants === true) {
    const grants = await qudo.grants();
    if (json) printJson({ database: await qudo.label(), grants });
    else print(grants.trimEnd());
    return EXIT.ok;
  }
  const { from, to } = await qudo.migrate();
  const label = await qudo.label();
  if (json) printJson({ database: label, from, to });
  else print(`${label}: ${whatHappened(from, to)}`);
  return EXIT.ok;
}

function whatHappened(from: number | null, to: number): string {
  if (from === null) return `tables created, at version ${to}`;
  return from === to ? `already at version ${to}` : `upgraded from version ${from} to ${to}`;
}
