/** From a database's address to its driver. The engine's code is loaded only when an address asks for it. */
import { checkOptions } from "../core/options.js";
import type { Driver } from "./driver.js";
import type { HandleLike } from "./sqlite/connection.js";
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
  /** SQLite: milliseconds UTC, for tests. Default Date.now. */
  clock?: () => number;
}

/** A database by its address, or with more to say about it. */
export type Database = string | DatabaseOptions;

const KNOWN = ["url", "handle", "create", "synchronous", "clock"] as const;

/** @throws InvalidInputError QUDO_INVALID_URL for an address of no known kind. */
export async function openDatabase(database: Database): Promise<Driver> {
  const options = typeof database === "string" ? { url: database } : database;
  checkOptions(options, KNOWN, "databases");
  const { url, handle, ...rest } = options;
  const { openSqlite } = await import("./sqlite/index.js");
  if (handle !== undefined) return openSqlite({ path: "your handle", handle, ...rest });
  return openSqlite({ path: sqlitePath(url), ...rest });
}
