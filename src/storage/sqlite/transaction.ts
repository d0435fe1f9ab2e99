/**
 * The user's own transaction: jobs that commit and roll back with the user's rows, on the user's handle and in the caller's
 * thread. Nothing is remembered from one call to the next but prepared statements: what was written may be rolled back.
 */
import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { DatabaseError, InvalidInputError, QudoError, RunLostError } from "../../core/errors.js";
import { idBytes } from "../../core/ids.js";
import { afterSuccess } from "../../core/outcome.js";
import type { HeldRun, UserTransaction } from "../driver.js";
import { startOf } from "../sql/fence.js";
import { decodeLease } from "../sql/lease.js";
import { Connection, type HandleLike } from "./connection.js";
import { countersOf, newEngine, record, within } from "./engine.js";
import { insertJob } from "./enqueue.js";
import { asDatabaseError, isBusy, isFromDatabase, isRefused } from "./errors.js";
import { Nudge } from "./nudge.js";
import { schemaVersion, SCHEMA_VERSION, refuseNewer } from "./schema.js";
import { SQL } from "./statements.js";

/** The queue's database, as it was given to Qudo: a path, or a handle of the user's. */
export type QueueDatabase = string | HandleLike;

/** What {@link UserTransaction} says, and that SQLite answers at once. */
export interface SqliteTransaction extends UserTransaction {
  insertJobs(
    ...args: Parameters<UserTransaction["insertJobs"]>
  ): Awaited<ReturnType<UserTransaction["insertJobs"]>>;
  complete(...args: Parameters<UserTransaction["complete"]>): void;
}

/** @throws InvalidInputError QUDO_WRONG_DATABASE for what is no handle, or a handle on another database than the queue's. */
export function userTransaction(
  given: unknown,
  queue: QueueDatabase,
  clock: () => number = Date.now,
): SqliteTransaction {
  const handle = asHandle(given);
  const file = mainFile(handle);
  checkDatabase(handle, file, queue);
  const db = connectionOf(handle, file);
  return {
    insertJobs: (jobs) =>
      atomically(db, () => {
        // Its own lanes: those that are new here are gone when the user rolls back.
        const engine = newEngine(db, clock);
        return within(engine, (now) => jobs.map((job) => insertJob(engine, job, now)));
      }),
    complete: (run, { elapsedMs, result }) =>
      atomically(db, () => {
        const engine = newEngine(db, clock);
        const { job, run: number, session } = run;
        const [id, worker] = [idBytes(job), idBytes(session)];
        if (!isListed(db, run)) throw new RunLostError(job, number);
        const decision = afterSuccess(countersOf(db, id, number));
        const event = { id, run: number, decision, writer: worker, worker, result, error: null };
        // The lease, the running row and the unique key stay: the worker gives them up when it settles the run.
        const recorded = within(engine, (now) => {
          const startedAt = startOf({ elapsedMs }, now);
          return record(engine, { ...event, startedAt }, now);
        });
        if (!recorded) throw new RunLostError(job, number);
      }),
  };
}

/** The lease is there, belongs to this session and holds this run. */
function isListed(db: Connection, { job, run, lease, session }: HeldRun): boolean {
  const row = db.get<{ worker: Uint8Array; jobs: Uint8Array }>(SQL.lease, idBytes(lease));
  if (row === undefined || !idBytes(session).equals(row.worker)) return false;
  const id = idBytes(job);
  return decodeLease(row.jobs).some((entry) => entry.run === run && id.equals(entry.id));
}

// — which database

function asHandle(given: unknown): HandleLike {
  const handle = given as Partial<HandleLike> | null | undefined;
  if (typeof handle?.exec === "function" && typeof handle.prepare === "function")
    return handle as HandleLike;
  throw wrongDatabase(
    "That is no SQLite handle. Give the open handle of node:sqlite, @photostructure/sqlite or better-sqlite3 on which your transaction runs.",
  );
}

/** Empty for a database in memory. */
function mainFile(handle: HandleLike): string {
  let rows: unknown;
  try {
    rows = handle.prepare("pragma database_list").all();
  } catch (cause) {
    throw wrongDatabase("That handle is closed, or does not answer as a SQLite handle.", cause);
  }
  const list = Array.isArray(rows) ? (rows as { name?: unknown; file?: unknown }[]) : [];
  const main = list.find(({ name }) => name === "main");
  if (main === undefined)
    throw wrongDatabase(
      "That handle does not answer at once as a SQLite handle does. Clients that answer by callback or promise cannot be used.",
    );
  return typeof main.file === "string" ? main.file : "";
}

function checkDatabase(handle: HandleLike, file: string, queue: QueueDatabase): void {
  if (handle === queue) return;
  const wanted =
    typeof queue !== "string" ? mainFile(queue) : queue === ":memory:" ? "" : resolve(queue);
  if (wanted === "")
    throw wrongDatabase(
      "The queue is in a database in memory, which only its own handle can reach. Give that handle to Qudo (databases: { handle }) and here.",
    );
  if (file === "" || realPath(file) !== realPath(wanted))
    throw wrongDatabase(
      `The handle is on ${file === "" ? "a database in memory" : file}, the queue on ${wanted}. A transaction can hold both only in one file.`,
    );
}

/** A file that is not there (any more) is known by its name. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function wrongDatabase(message: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError("QUDO_WRONG_DATABASE", message, { cause });
}

/** Statements prepared once per handle, and gone with it. */
const connections = new WeakMap<HandleLike, Connection>();

function connectionOf(handle: HandleLike, file: string): Connection {
  let connection = connections.get(handle);
  if (connection === undefined) {
    connection = Connection.onHandle(handle, file === "" ? ":memory:" : file);
    connections.set(handle, connection);
  }
  return connection;
}

// — all or nothing

const BEGIN = { begin: "begin immediate", commit: "commit", undo: "rollback" };
/** Inside a transaction of the user's: it stays open, and what one call of ours did can be taken back alone. */
const NEST = {
  begin: "savepoint qudo",
  commit: "release qudo",
  undo: "rollback to qudo; release qudo",
};

function atomically<T>(db: Connection, body: () => T): T {
  try {
    const bracket = enter(db.handle);
    db.announced = false;
    try {
      checkTables(db);
      const value = body();
      db.handle.exec(bracket.commit);
      if (bracket === BEGIN && db.announced) nudgeOnce(db);
      return value;
    } catch (error) {
      undo(db.handle, bracket.undo);
      throw error;
    }
  } catch (error) {
    if (error instanceof QudoError || !isFromDatabase(error)) throw error;
    throw isBusy(error) ? busy(db.path, error) : asDatabaseError(error, db.path);
  }
}

function enter(handle: HandleLike): typeof BEGIN {
  const open = handle.isTransaction ?? handle.inTransaction;
  if (open === true) return begin(handle, NEST);
  if (open === false) return begin(handle, BEGIN);
  // A client that does not tell: SQLite itself refuses a transaction within a transaction.
  try {
    return begin(handle, BEGIN);
  } catch (error) {
    if (!isRefused(error)) throw error;
    return begin(handle, NEST);
  }
}

function begin(handle: HandleLike, bracket: typeof BEGIN): typeof BEGIN {
  handle.exec(bracket.begin);
  return bracket;
}

function undo(handle: HandleLike, sql: string): void {
  try {
    handle.exec(sql);
  } catch {
    // SQLite has rolled back by itself (full disk, I/O error): there is nothing left to undo.
  }
}

/** Only after a commit of ours: of the user's we are not told, and polling finds what it brought. No file is kept open. */
function nudgeOnce(db: Connection): void {
  const nudge = new Nudge(db.nudgePath);
  nudge.ring();
  nudge.close();
}

/** The user's transaction makes no tables: they would go with its rollback, under the feet of everybody else. */
function checkTables(db: Connection): void {
  const version = schemaVersion(db);
  refuseNewer(version, db.path);
  if (version === SCHEMA_VERSION) return;
  const state = version === null ? "no qudo tables yet" : `qudo tables of schema ${version}`;
  throw new DatabaseError(
    "QUDO_SCHEMA_MISSING",
    `${db.path} has ${state}. Run "await qudo.migrate()" once, before the first transaction.`,
    false,
  );
}

function busy(path: string, cause: unknown): DatabaseError {
  return new DatabaseError(
    "QUDO_DATABASE_BUSY",
    `The database file ${path} is being written by others. Begin your transaction with "begin immediate", give your handle a busy time-out ("pragma busy_timeout=5000"), and repeat the whole transaction.`,
    true,
    { cause },
  );
}
