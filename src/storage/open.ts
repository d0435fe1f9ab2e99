/** From a database's address to its driver. The engine's code is loaded only when an address asks for it. */
import { resolve } from "node:path";
import { checkOptions, show } from "../core/options.js";
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
  const options = typeof database === "string" ? { url: database } : database;
  checkOptions(options, KNOWN, "databases");
  const { url, handle, thread = true, clock, ...rest } = options;
  if (!["refuse", "allow", undefined].includes(options.networkFileSystem))
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `networkFileSystem is ${show(options.networkFileSystem)}; give "refuse" or "allow".`,
    );
  if (typeof thread !== "boolean")
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `thread is ${show(thread)}; give true or false.`,
    );
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
  const options = typeof database === "string" ? { url: database } : database;
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
  const options = typeof database === "string" ? { url: database } : database;
  checkOptions(options, KNOWN, "databases");
  const { url, handle, clock, synchronous = "FULL", create } = options;
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
  return new Direct({
    path,
    synchronous,
    create,
    clock,
    migrate,
    networkFileSystem: options.networkFileSystem,
  });
}
