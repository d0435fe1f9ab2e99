/** What `qudo migrate` would do, as SQL. A SQLite file that is not there is not made for it. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { QudoError } from "../core/errors.js";
import { Qudo } from "../qudo.js";
import type { Databases, ListedDatabase } from "../storage/database.js";
import { openExisting } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { print, printJson } from "./output.js";

interface Planned {
  readonly database: string;
  /** "" where there is nothing to do. */
  readonly sql: string;
}

/** Prints it; a database that has its tables already adds nothing to it. */
export async function dryRun(databases: Databases, json: true | undefined): Promise<ExitCode> {
  const list = Array.isArray(databases) ? (databases as readonly ListedDatabase[]) : null;
  const planned: Planned[] = [];
  for (const one of list ?? [databases]) planned.push(await plan(one as Databases));
  if (json) printJson(list === null ? planned[0] : { databases: planned });
  else for (const { database, sql } of planned) print(text(database, sql));
  return EXIT.ok;
}

async function plan(databases: Databases): Promise<Planned> {
  const one = typeof databases === "string" ? databases : [databases as ListedDatabase];
  try {
    await using qudo = openExisting(one);
    return { database: await qudo.label(), sql: await qudo.migrationSql() };
  } catch (error) {
    const file = missingFile(typeof one === "string" ? one : one[0]!.url, error);
    if (file === null) throw error;
    await using fresh = new Qudo({ databases: "sqlite::memory:" });
    return { database: file, sql: await fresh.migrationSql() };
  }
}

/** Its address, where it could be made. */
function missingFile(url: string | undefined, error: unknown): string | null {
  if (!(error instanceof QudoError) || error.code !== "QUDO_DATABASE_UNREACHABLE") return null;
  const path = url?.startsWith("sqlite:") ? url.slice("sqlite:".length) : null;
  if (path === null || existsSync(path) || !existsSync(dirname(path))) return null;
  return `sqlite:${path}`;
}

function text(database: string, sql: string): string {
  return `-- ${database}${sql === "" ? ": nothing to do" : `\n${sql.trimEnd()}`}`;
}
