/** SQLite's result codes in the words of the product. Told apart by number wherever there is one. */
import { DatabaseError } from "../../core/errors.js";

const ERROR = 1;
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;

const byName: ReadonlyMap<string, number> = new Map([
  ["SQLITE_ERROR", ERROR],
  ["SQLITE_BUSY", BUSY],
  ["SQLITE_LOCKED", LOCKED],
  ["SQLITE_READONLY", READONLY],
  ["SQLITE_IOERR", IOERR],
  ["SQLITE_CORRUPT", CORRUPT],
  ["SQLITE_FULL", FULL],
  ["SQLITE_CANTOPEN", CANTOPEN],
  ["SQLITE_NOTADB", NOTADB],
]);

/**
 * SQLite's own fixed words for a code (sqlite3_errstr), asked only where a client gives no number: @photostructure/sqlite 1.2
 * forgets it for what goes wrong while `all()` steps.
 */
const byWords: ReadonlyMap<string, number> = new Map([
  ["database is locked", BUSY],
  ["database table is locked", LOCKED],
  ["attempt to write a readonly database", READONLY],
  ["disk I/O error", IOERR],
  ["database disk image is malformed", CORRUPT],
  ["database or disk is full", FULL],
  ["unable to open database file", CANTOPEN],
  ["file is not a database", NOTADB],
]);

/** The primary result code: node:sqlite and its twin give numbers, better-sqlite3 gives names. */
function primaryCode(error: unknown): number | null {
  if (!(error instanceof Error)) return null;
  if ("errcode" in error && typeof error.errcode === "number") return error.errcode & 0xff;
  if (!("code" in error) || typeof error.code !== "string") return null;
  const name = /^SQLITE_[A-Z]+/.exec(error.code)?.[0];
  if (name !== undefined) return byName.get(name) ?? null;
  return error.code === "ERR_SQLITE_ERROR" ? (byWords.get(error.message) ?? null) : null;
}

/** It came from SQLite or the file system, not from a mistake in our own code: that is thrown on as it is. */
export function isFromDatabase(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? String(error.code) : "";
  return "errcode" in error || code.includes("SQLITE") || isFileError(error);
}

/** Somebody else is writing: nothing happened, try again. */
export function isBusy(error: unknown): boolean {
  const code = primaryCode(error);
  return code === BUSY || code === LOCKED;
}

/** The statement itself was wrong at this moment: a "begin" inside a transaction is answered so. */
export function isRefused(error: unknown): boolean {
  return primaryCode(error) === ERROR;
}

/** The disk failed. At a commit: what was written may be found again when the file is next opened. */
export function isDiskError(error: unknown): boolean {
  return primaryCode(error) === IOERR;
}

export function asDatabaseError(
  cause: unknown,
  path: string,
  happened: DatabaseError["happened"] = "no",
): DatabaseError {
  const because = cause instanceof Error ? cause.message : String(cause);
  const file = path === ":memory:" ? "The in-memory database" : `The database file ${path}`;
  switch (primaryCode(cause)) {
    case BUSY:
    case LOCKED:
      return new DatabaseError(
        "QUDO_DATABASE_BUSY",
        `${file} was held by other processes for too long. Look for a program that keeps a transaction open on it.`,
        true,
        { cause },
      );
    case FULL:
      return new DatabaseError(
        "QUDO_DATABASE_FULL",
        `${file} has no room to grow. Nothing was written; make space on its disk and try again.`,
        true,
        { cause },
      );
    case READONLY:
      return new DatabaseError(
        "QUDO_DATABASE_READ_ONLY",
        `${file} cannot be written. Check the rights of the file and of its folder.`,
        false,
        { cause },
      );
    case CORRUPT:
    case NOTADB:
      return new DatabaseError(
        "QUDO_DATABASE_UNREADABLE",
        `${file} is damaged or no SQLite database (${because}). It was left as it is; restore a backup or give another path.`,
        false,
        { cause },
      );
    case CANTOPEN:
      return unreachable(file, because, cause);
    case IOERR:
      return new DatabaseError(
        "QUDO_DATABASE_FAILED",
        `${file} could not be read or written (${because}). Check its disk.`,
        true,
        { cause, happened },
      );
    default:
      return isFileError(cause)
        ? unreachable(file, because, cause)
        : new DatabaseError(
            "QUDO_DATABASE_FAILED",
            `${file} refused a statement: ${because}. Run "qudo doctor" to check it.`,
            false,
            { cause },
          );
  }
}

function unreachable(file: string, because: string, cause: unknown): DatabaseError {
  return new DatabaseError(
    "QUDO_DATABASE_UNREACHABLE",
    `${file} cannot be opened (${because}). Does its folder exist, and may this user write there?`,
    false,
    { cause },
  );
}

function isFileError(cause: unknown): boolean {
  return cause instanceof Error && "syscall" in cause;
}
