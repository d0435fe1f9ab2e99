/** From a database's address to its driver. The engine's code is loaded only when an address asks for it. */
import { resolve } from "node:path";
import { checkFlag, checkOptions, show } from "../core/options.js";
import { InvalidInputError } from "../core/errors.js";
import { isSharedClock } from "./clock.js";
import type { Driver } from "./driver.js";
import type { HandleLike } from "./sqlite/connection.js";
import { Direct } from "./sqlite/direct.js";
import { userTransaction, type SqliteTransaction } from "./sqlite/transaction.js";
import { sqlitePath } from "./url.js";

/** How a database is named beyond its address. */
export interface DatabaseOptions {
  /** "sqlite:jobs.db", "sqlite:/var/lib/app/jobs.db", "sqlite:C:\\data\\jobs.db", "sqlite::memory:". */
  url?: string;
  /** Your own open SQLite handle (node:sqlite, better-sqlite3, …) instead of an address. It is not closed by qudo. */
  handle?: HandleLike;
  /**
   * SQLite: false for those who only look. A file that is missing stays missing (QUDO_DATABASE_UNREACHABLE), and one
   * without qudo's tables stays as it is. Default true.
   */
  create?: boolean;
  /** SQLite: FULL (default) survives a power cut; NORMAL is faster and may lose the last commits in one. */
  synchronous?: "FULL" | "NORMAL";
  /**
   * SQLite: "allow" for a file on a network file system that one host alone ever opens: its locks hold on one host at best.
   * Default "refuse" (QUDO_NETWORK_FILE_SYSTEM); of file systems that may be anything (FUSE, 9p) a warning tells.
   */
  networkFileSystem?: "refuse" | "allow";
  /** SQLite: milliseconds UTC, for tests: `manualClock()` of qudo/testing, or a function. Default Date.now. */
  clock?: () => number;
  /**
   * SQLite files: true for a thread of its own that does the database's work, so that the main loop stays free and a main
   * loop that is blocked loses no jobs. A database in memory, a handle of yours and a clock that is a plain
   * function are always served where they are. Default true.
   */
  thread?: boolean;
}

/** A database by its address, or with more to say about it. */
export type Database = string | DatabaseOptions;

const KNOWN = [
  "url",
  "handle",
  "create",
  "synchronous",
  "networkFileSystem",
  "clock",
  "thread",
] as const satisfies readonly (keyof DatabaseOptions)[];

/** @throws InvalidInputError QUDO_INVALID_URL for an address of no known kind. */
export async function openDatabase(database: Database): Promise<Driver> {
  const { url, handle, thread = true, clock, ...rest } = checkDatabase(database);
  const path = handle === undefined ? sqlitePath(url) : "your handle";
  const movable = handle === undefined && path !== ":memory:";
  if (thread && movable && (clock === undefined || isSharedClock(clock))) {
    const { openInThread } = await import("./thread/client.js");
    const database = { url, ...rest };
    const again = { ...database, url: `sqlite:${resolve(path)}` };
    return openInThread({ database, again, clock: clock?.shared ?? null });
  }
  const { openSqlite } = await import("./sqlite/index.js");
  return openSqlite({ path, handle, clock, ...rest });
}

/**
 * The queue's operations inside a transaction that is open on the user's own handle. Answers at once, opens nothing.
 * @throws InvalidInputError QUDO_WRONG_DATABASE for a handle that is not on this database.
 */
export function openTransaction(handle: unknown, database: Database): SqliteTransaction {
  const options = checkDatabase(database);
  return userTransaction(handle, options.handle ?? sqlitePath(options.url), options.clock);
}

/** A database's own connection in the caller's thread, opened at once; on a handle of the user's, that handle. */
export interface DirectDatabase extends SqliteTransaction {
  /** Whether what was inserted is committed; false inside a transaction that the user has open on that handle. */
  committed(): boolean;
  close(): void;
}

/**
 * For enqueueSync.
 * @throws InvalidInputError QUDO_WRONG_DATABASE for a database in memory, of which there can be no second connection.
 */
export function openDirect(database: Database, migrate: boolean): DirectDatabase {
  const checked = checkDatabase(database);
  const { url, handle, clock, synchronous = "FULL", create, networkFileSystem } = checked;
  if (handle !== undefined)
    return {
      ...openTransaction(handle, database),
      committed: () => (handle.isTransaction ?? handle.inTransaction) === false,
      close: () => undefined,
    };
  const path = sqlitePath(url);
  if (path === ":memory:")
    throw new InvalidInputError(
      "QUDO_WRONG_DATABASE",
      "A database in memory has one connection only. For enqueueSync give your own handle: databases: { handle }.",
    );
  return new Direct({ path, synchronous, create, clock, migrate, networkFileSystem });
}

/**
 * Checked before anything is opened: what comes from a program's settings may be anything, and `synchronous` becomes part of
 * a statement.
 */
function checkDatabase(database: unknown): DatabaseOptions {
  const given = typeof database === "object" && database !== null ? database : { url: database };
  checkOptions(given, KNOWN, "databases");
  const options = given as DatabaseOptions;
  const { handle, create, thread, clock, synchronous, networkFileSystem } = options;
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
  return options;
}

function isMethod(owner: unknown, name: string): boolean {
  return typeof (owner as Record<string, unknown> | null)?.[name] === "function";
}

function wrong(what: string, value: unknown, wanted: string): InvalidInputError {
  return new InvalidInputError("QUDO_INVALID_OPTION", `${what} is ${show(value)}; give ${wanted}.`);
}
