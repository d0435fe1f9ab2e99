/**
 * From what a user says about a database to what its engine is opened with. All of it is checked before anything is
 * opened: what comes from a program's settings may be anything, and some of it becomes part of statements.
 */
import { InvalidInputError } from "../core/errors.js";
import { checkFlag, checkOptions, show } from "../core/options.js";
import type {
  DatabaseOptions,
  Listing,
  MysqlDatabase,
  PostgresDatabase,
  SqliteDatabase,
} from "./database.js";
import { mysqlSettings, type MysqlPlan } from "./mysql-settings.js";
import { postgresSettings, type PostgresPlan } from "./postgres-settings.js";
import { kindOf, sqlitePath, type Kind } from "./url.js";

export type Checked =
  | { readonly kind: "sqlite"; readonly options: SqliteDatabase; readonly path: string }
  | { readonly kind: "postgres"; readonly settings: PostgresPlan }
  | { readonly kind: "mysql"; readonly settings: MysqlPlan };

const SERVER = [
  "url",
  "pool",
  "password",
  "ssl",
  "prefix",
  "connections",
  "connectTimeout",
  "statementTimeout",
] as const satisfies readonly (keyof MysqlDatabase)[];

const KNOWN = {
  sqlite: ["url", "handle", "create", "synchronous", "networkFileSystem", "clock", "thread"],
  postgres: [...SERVER, "schema", "listen", "prepare"],
  mysql: SERVER,
} as const satisfies {
  sqlite: readonly (keyof SqliteDatabase)[];
  postgres: readonly (keyof PostgresDatabase)[];
  mysql: readonly (keyof MysqlDatabase)[];
};

/** What is said of one of several, beside the rest. */
const LISTING = ["name", "weight", "mode"] as const satisfies readonly (keyof Listing)[];

/** One of these says where the jobs are. */
const NEEDED = ["url", "handle", "pool"] as const;

const NAMES: Readonly<Record<Kind, string>> = {
  sqlite: "SQLite",
  postgres: "PostgreSQL",
  mysql: "MySQL and MariaDB",
};

/** @throws InvalidInputError QUDO_INVALID_URL, QUDO_INVALID_OPTION or QUDO_UNKNOWN_OPTION; none shows a password. */
export function checkDatabase(database: unknown): Checked {
  const options = optionsOf(database);
  for (const name of LISTING)
    if (name in options)
      throw new InvalidInputError(
        "QUDO_UNKNOWN_OPTION",
        `databases: ${name} is for one of several databases. Give a list: databases: [{ name: "a", url: … }, …].`,
      );
  return checkOne(options, "databases");
}

/** One database, without what is said of it as one of several; `where` is how messages call it. */
export function checkOne(given: DatabaseOptions, where: string): Checked {
  const options = withoutUndefined(given);
  // Nothing says of which database: what nobody knows is a better word than "no url".
  if (NEEDED.every((name) => options[name] === undefined))
    checkOptions(options, [...new Set(Object.values(KNOWN).flat())], where);
  const kind = kindOfOptions(options);
  refuseForeign(options, kind, where);
  checkOptions(options, KNOWN[kind], where);
  switch (kind) {
    case "sqlite":
      return checkSqlite(options);
    case "postgres":
      return { kind, settings: postgresSettings(options as PostgresDatabase) };
    case "mysql":
      return { kind, settings: mysqlSettings(options as MysqlDatabase) };
  }
}

function optionsOf(database: unknown): DatabaseOptions {
  if (Array.isArray(database)) throw invalid("databases is a list; give one database here.");
  if (typeof database !== "object" || database === null) return { url: database as string };
  return withoutUndefined(database as DatabaseOptions);
}

/** It makes no difference whether they are written. */
function withoutUndefined(options: DatabaseOptions): DatabaseOptions {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as DatabaseOptions;
}

function kindOfOptions({ url, handle, pool }: DatabaseOptions): Kind {
  if (handle !== undefined) return "sqlite";
  if (url !== undefined || pool === undefined) return kindOf(url);
  if (isMethod(pool, "getConnection")) return "mysql";
  if (isMethod(pool, "connect")) return "postgres";
  throw invalid("pool is no pool. Give a Pool of pg, or what createPool of mysql2 returns.");
}

/** Before those that nobody knows are looked for: who has moved to another database is told so. */
function refuseForeign(options: DatabaseOptions, kind: Kind, where: string): void {
  const own: readonly string[] = KNOWN[kind];
  for (const name of Object.keys(options).filter((one) => !own.includes(one))) {
    const others = (Object.keys(KNOWN) as Kind[]).filter((other) =>
      (KNOWN[other] as readonly string[]).includes(name),
    );
    if (others.length > 0)
      throw new InvalidInputError(
        "QUDO_UNKNOWN_OPTION",
        `${where}: ${name} is for ${others.map((other) => NAMES[other]).join(", ")}; ${NAMES[kind]} knows: ${own.join(", ")}.`,
      );
  }
}

function checkSqlite(options: SqliteDatabase): Checked {
  const { url, handle, create, thread, clock, synchronous, networkFileSystem } = options;
  if (create !== undefined) checkFlag(create, "create");
  if (thread !== undefined) checkFlag(thread, "thread");
  if (clock !== undefined && typeof clock !== "function")
    throw wrong("clock", clock, "a function that returns milliseconds");
  if (synchronous !== undefined && synchronous !== "FULL" && synchronous !== "NORMAL")
    throw wrong("synchronous", synchronous, '"FULL" or "NORMAL"');
  if (!["refuse", "allow", undefined].includes(networkFileSystem))
    throw wrong("networkFileSystem", networkFileSystem, '"refuse" or "allow"');
  if (handle !== undefined && !(isMethod(handle, "exec") && isMethod(handle, "prepare")))
    throw wrong("handle", handle, "an open SQLite handle, with exec and prepare");
  return { kind: "sqlite", options, path: handle === undefined ? sqlitePath(url) : "your handle" };
}

function isMethod(owner: unknown, name: string): boolean {
  return typeof (owner as Record<string, unknown> | null)?.[name] === "function";
}

function wrong(what: string, value: unknown, wanted: string): InvalidInputError {
  return invalid(`${what} is ${show(value)}; give ${wanted}.`);
}

function invalid(message: string): InvalidInputError {
  return new InvalidInputError("QUDO_INVALID_OPTION", message);
}
