/**
 * One connection to one SQLite file: the only place that knows a client library. node:sqlite, @photostructure/sqlite,
 * better-sqlite3 and whatever else offers exec and prepare(run, get, all) look alike from here on.
 *
 * Writes are BEGIN IMMEDIATE, always: a deferred transaction that upgrades ignores the busy time-out. The time-out itself
 * is short, because SQLite waits by blocking the thread, and unfairly; behind it we try again with jitter, between
 * which the event loop runs. Writes of one connection take turns: whoever waits for other processes waits for all of ours,
 * and many processes do not keep the machine busy with trying.
 */
import { closeSync, existsSync, openSync } from "node:fs";
import { createRequire } from "node:module";
import { DEFAULTS } from "../../core/defaults.js";
import { closedError, DatabaseError, QudoError } from "../../core/errors.js";
import type { HandleLike, StatementLike, Value } from "../handle.js";
import { asDatabaseError, isBusy, isDiskError, isFromDatabase } from "./errors.js";
import { checkFileSystem } from "./filesystem.js";
import { Nudge, nudgeFile } from "./nudge.js";

export type { HandleLike, Value } from "../handle.js";

export type Synchronous = "FULL" | "NORMAL";

export interface ConnectionOptions {
  /** File path, or ":memory:". */
  path: string;
  synchronous: Synchronous;
  /** A user's own open handle: its settings are respected, and it is not closed here. */
  handle?: HandleLike;
  /** False: a missing file stays missing, and the journal mode of one that is there is left alone. */
  create?: boolean;
  busyDeadlineMs?: number;
  /** "allow": the file may be on a file system that hosts share. Default "refuse". */
  networkFileSystem?: "refuse" | "allow";
}

const BUSY_TIMEOUT_MS = 5;
const RETRY_MAX_MS = 150;
const URGENT_RETRY_MAX_MS = 10;
/** Whoever has waited for so long tries as often as a heartbeat: SQLite keeps no line, and newcomers would pass it for ever. */
const PATIENCE_MS = 2_000;

export interface WriteOptions {
  /** Called in the same turn as the commit, before another transaction can begin. */
  readonly committed?: () => void;
  /** A heartbeat: it waits for no other write of ours, and tries more often than others. Default false. */
  readonly urgent?: boolean;
}

export class Connection {
  readonly path: string;
  private readonly prepared = new Map<string, StatementLike>();
  private closed = false;
  /** The end of the last write that was asked for; null when none is under way. */
  private lastWrite: Promise<unknown> | null = null;
  /** Set by {@link announce} in the transaction that is open. */
  announced = false;
  private nudge: Nudge | null = null;

  private constructor(
    readonly handle: HandleLike,
    private readonly options: ConnectionOptions,
  ) {
    this.path = options.path;
  }

  static async open(options: ConnectionOptions): Promise<Connection> {
    if (options.handle) {
      options.handle.exec("pragma foreign_keys=on");
      return new Connection(options.handle, options);
    }
    const connection = new Connection(await openHandle(options), options);
    try {
      await connection.patiently(() => connection.configure());
    } catch (error) {
      connection.handle.close();
      throw error;
    }
    return connection;
  }

  /** At once, for callers who cannot wait: SQLite itself waits for other processes, and blocks the thread meanwhile. */
  static openNow(options: ConnectionOptions): Connection {
    const connection = new Connection(openHandleNow(options), options);
    try {
      connection.configure(DEFAULTS.busySyncMs);
    } catch (error) {
      connection.handle.close();
      throw asDatabaseError(error, options.path);
    }
    return connection;
  }

  /** For statements on a handle of the user's, inside transactions of the user's: its settings stay as they are. */
  static onHandle(handle: HandleLike, path: string): Connection {
    return new Connection(handle, { path, handle, synchronous: "FULL" });
  }

  private configure(busyTimeoutMs = BUSY_TIMEOUT_MS): void {
    this.handle.exec(`pragma busy_timeout=${busyTimeoutMs}`);
    this.handle.exec(`pragma synchronous=${this.options.synchronous}`);
    this.handle.exec("pragma foreign_keys=on");
    this.handle.exec("pragma journal_size_limit=67108864");
    this.handle.exec("pragma cache_size=-16384");
  }

  /**
   * The journal mode is kept in the file: it is set where our tables are or are about to be made, and by nobody who only looks.
   * A file that is not ours, opened by mistake, stays as it is to the last byte.
   */
  async useWal(): Promise<void> {
    await this.outside(() => this.useWalNow());
  }

  useWalNow(): void {
    if (this.options.handle !== undefined || this.options.create === false) return;
    this.handle.exec("pragma journal_mode=wal");
  }

  /** The statement of this text, prepared once. */
  sql(text: string): StatementLike {
    let statement = this.prepared.get(text);
    if (statement === undefined) {
      statement = this.handle.prepare(text);
      this.prepared.set(text, statement);
    }
    return statement;
  }

  all<T>(text: string, ...values: Value[]): T[] {
    return this.sql(text).all(...values) as T[];
  }

  /** The same as {@link all}, each row as a list: making objects is what long lists of rows cost most. For statements that are read in no other way. */
  rows<T extends readonly unknown[]>(text: string, ...values: Value[]): T[] {
    const statement = this.sql(text);
    if (statement.setReturnArrays === undefined)
      return this.all<object>(text, ...values).map((row) => Object.values(row) as unknown as T);
    statement.setReturnArrays(true);
    return statement.all(...values) as T[];
  }

  get<T>(text: string, ...values: Value[]): T | undefined {
    return (this.sql(text).get(...values) ?? undefined) as T | undefined;
  }

  /** Rows changed. */
  run(text: string, ...values: Value[]): number {
    return Number(this.sql(text).run(...values).changes);
  }

  /** Where this database's wake-ups come and go; null in memory. */
  get nudgePath(): string | null {
    const list = this.all<{ name: string; file: string | null }>("pragma database_list");
    return nudgeFile(list.find(({ name }) => name === "main")?.file ?? "");
  }

  /** What this transaction writes can be worked on at once: after its commit other processes are told. */
  announce(): void {
    this.announced = true;
  }

  private nudgeOthers(): void {
    if (!this.announced) return;
    this.nudge ??= new Nudge(this.nudgePath);
    this.nudge.ring();
  }

  /** One write transaction. The body is synchronous: nothing of ours stays open across an await. */
  write<T>(
    body: () => T,
    { committed = () => undefined, urgent = false }: WriteOptions = {},
  ): Promise<T> {
    const work = (): T => {
      this.announced = false;
      const value = this.transaction("begin immediate", body, "commit");
      committed();
      this.nudgeOthers();
      return value;
    };
    return urgent ? this.patiently(work, URGENT_RETRY_MAX_MS) : this.inTurn(work);
  }

  /** After the writes that were asked for before; its patience begins now. */
  private inTurn<T>(work: () => T): Promise<T> {
    const deadline = this.deadline();
    const start = (): Promise<T> => this.patiently(work, RETRY_MAX_MS, this.path, deadline);
    const done = this.lastWrite === null ? start() : this.lastWrite.then(start);
    const over = (): void => {
      if (this.lastWrite === ended) this.lastWrite = null;
    };
    const ended = done.then(over, over);
    this.lastWrite = ended;
    return done;
  }

  /** The same at once. */
  writeNow<T>(body: () => T): T {
    try {
      return this.transaction("begin immediate", body, "commit");
    } catch (error) {
      if (error instanceof QudoError || !isFromDatabase(error)) throw error;
      throw asDatabaseError(error, this.path);
    }
  }

  /** One consistent look. */
  read<T>(body: () => T): Promise<T> {
    return this.patiently(() => this.transaction("begin", body, "commit"));
  }

  /** A write that proves the database takes writes, and leaves nothing. */
  rehearse<T>(body: () => T): Promise<T> {
    return this.inTurn(() => this.transaction("begin immediate", body, "rollback"));
  }

  /** What SQLite allows in no transaction. `path` is what errors name when it is not this file that the work is about. */
  outside<T>(work: () => T, path = this.path): Promise<T> {
    return this.patiently(work, RETRY_MAX_MS, path);
  }

  private transaction<T>(begin: string, body: () => T, end: "commit" | "rollback"): T {
    this.run(begin);
    let committing = false;
    try {
      const value = body();
      committing = end === "commit";
      this.run(end);
      return value;
    } catch (error) {
      this.rollback();
      throw committing && isDiskError(error) ? asDatabaseError(error, this.path, "perhaps") : error;
    }
  }

  private rollback(): void {
    try {
      this.handle.exec("rollback");
    } catch {
      // SQLite has rolled back by itself (full disk, I/O error): there is nothing left to undo.
    }
  }

  private deadline(): number {
    return performance.now() + (this.options.busyDeadlineMs ?? DEFAULTS.busyDeadlineMs);
  }

  private async patiently<T>(
    work: () => T,
    longestPauseMs = RETRY_MAX_MS,
    path = this.path,
    deadline = this.deadline(),
  ): Promise<T> {
    const impatient = performance.now() + PATIENCE_MS;
    for (let tries = 1; ; tries++) {
      if (this.closed) throw closedError();
      const expired = performance.now() > deadline;
      try {
        // A transaction that the user opened on a shared handle is theirs: wait for its end as for anybody's.
        if (expired || !this.inTransaction()) return work();
      } catch (error) {
        if (error instanceof QudoError || !isFromDatabase(error)) throw error;
        if (!isBusy(error) || expired) throw asDatabaseError(error, path);
      }
      const longest = performance.now() > impatient ? URGENT_RETRY_MAX_MS : longestPauseMs;
      await pause(Math.random() * Math.min(longest, 2 ** Math.min(tries, 10)));
    }
  }

  private inTransaction(): boolean {
    return this.handle.isTransaction === true || this.handle.inTransaction === true;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.prepared.clear();
    this.nudge?.close();
    if (!this.options.handle) this.handle.close();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

type Opener = (path: string) => HandleLike;

async function openHandle(options: ConnectionOptions): Promise<HandleLike> {
  return openWith(await loadLibrary(), options);
}

function openHandleNow(options: ConnectionOptions): HandleLike {
  return openWith(loadNodeSqlite() ?? loadPackageNow(), options);
}

function openWith(
  open: Opener,
  { path, create, networkFileSystem }: ConnectionOptions,
): HandleLike {
  if (path !== ":memory:" && networkFileSystem !== "allow") checkFileSystem(path);
  if (create === false && path !== ":memory:" && !existsSync(path)) throw missingFile(path);
  try {
    if (path !== ":memory:") createPrivately(path);
    return open(path);
  } catch (error) {
    throw asDatabaseError(error, path);
  }
}

function missingFile(path: string): DatabaseError {
  return new DatabaseError(
    "QUDO_DATABASE_UNREACHABLE",
    `The database file ${path} does not exist. Check the path, or make it: qudo migrate --database sqlite:${path}`,
    false,
  );
}

/** Only its owner may read a new file; SQLite gives the files beside it the same rights. */
function createPrivately(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

let library: Promise<Opener> | undefined;

/** node:sqlite where Node has it unflagged (≥ 22.13), else the package with the same API. */
function loadLibrary(): Promise<Opener> {
  library ??= Promise.resolve(loadNodeSqlite() ?? loadPackage());
  return library;
}

const require = createRequire(import.meta.url);

function loadNodeSqlite(): Opener | null {
  const emitWarning = process.emitWarning;
  // Node 22 warns that its SQLite is experimental. It is the one warning withheld, and only while it is loaded.
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    if (!String(warning).includes("SQLite is an experimental feature"))
      Reflect.apply(emitWarning, process, [warning, ...rest]);
  }) as typeof process.emitWarning;
  try {
    const { DatabaseSync } = require("node:sqlite") as SqliteModule;
    return (path) => new DatabaseSync(path);
  } catch {
    return null;
  } finally {
    process.emitWarning = emitWarning;
  }
}

interface SqliteModule {
  DatabaseSync: new (path: string) => HandleLike;
}

const PACKAGE = "@photostructure/sqlite";

async function loadPackage(): Promise<Opener> {
  try {
    const { DatabaseSync } = (await import(PACKAGE)) as SqliteModule;
    return (path) => new DatabaseSync(path);
  } catch (cause) {
    throw packageMissing(cause);
  }
}

function loadPackageNow(): Opener {
  try {
    const { DatabaseSync } = require(PACKAGE) as SqliteModule;
    return (path) => new DatabaseSync(path);
  } catch (cause) {
    throw packageMissing(cause);
  }
}

function packageMissing(cause: unknown): DatabaseError {
  return new DatabaseError(
    "QUDO_PACKAGE_MISSING",
    `Node ${process.versions.node} has no SQLite of its own (22.13 and newer do). Run: npm install ${PACKAGE}@1`,
    false,
    { cause },
  );
}
