/** The SQLite engine: one file, many processes. */
import type { Driver } from "../driver.js";
import { listAttempts } from "./attempts.js";
import { audit } from "./audit.js";
import { Connection, type HandleLike, type Synchronous } from "./connection.js";
import { counts, tally } from "./counts.js";
import { insertJobs } from "./enqueue.js";
import { newEngine, read, type Engine } from "./engine.js";
import { backup, compact } from "./file.js";
import { identify, rename, setMode } from "./identity.js";
import { listJobs } from "./list.js";
import { endings, getJobs, payloads } from "./look.js";
import { promote } from "./maintain.js";
import { cancel, purge, reschedule, retry } from "./operate.js";
import { setPaused } from "./pause.js";
import { prune } from "./prune.js";
import { listLog, report } from "./report.js";
import { enqueueFromFailed } from "./revive.js";
import { migrate, refuseNewer, schemaVersion } from "./schema.js";
import { closeSession, dismiss, heartbeat, openSession, reap, sessions } from "./sessions.js";
import { markStarted, release, trip } from "./settle.js";
import { subscribe } from "./subscribe.js";

export type { HandleLike } from "./connection.js";

/** What {@link openSqlite} takes. */
export interface SqliteOptions {
  /** File path, or ":memory:". */
  path: string;
  /** A user's own open handle (node:sqlite, better-sqlite3, …): its settings are respected and it is not closed. */
  handle?: HandleLike;
  /** False: a missing file stays missing, and one without tables stays as it is. Default true. */
  create?: boolean;
  /**
   * FULL: an acknowledged job survives a power cut. NORMAL is faster and may lose the last commits in one (never
   * in a crash of the process). Default FULL.
   */
  synchronous?: Synchronous;
  /** Milliseconds UTC; tests give their own. Default Date.now. */
  clock?: () => number;
  /** How long a write waits for other processes. Default 30 s. */
  busyDeadlineMs?: number;
  /** "allow": the file may be on a file system that hosts share, because one host alone ever opens it. Default "refuse". */
  networkFileSystem?: "refuse" | "allow";
}

/** Opens the file; does not create its tables: that is `migrate()`. */
export async function openSqlite(options: SqliteOptions): Promise<Driver> {
  const db = await Connection.open({ synchronous: "FULL", ...options });
  const engine = newEngine(db, options.clock ?? Date.now);
  try {
    await checkVersion(engine);
  } catch (error) {
    db.close();
    throw error;
  }
  return {
    label: `sqlite:${options.path}`,
    capabilities: { wakeups: true },
    migrate: () => migrate(db),
    schemaVersion: () => read(engine, () => schemaVersion(db)),
    ping: () => ping(engine),
    close: async () => db.close(),
    insertJobs: (jobs) => insertJobs(engine, jobs),
    openSession: (session) => openSession(engine, session),
    heartbeat: (beat) => heartbeat(engine, beat),
    closeSession: (session) => closeSession(engine, session),
    sessions: () => sessions(engine),
    reap: (dead) => reap(engine, dead),
    trip: (request) => trip(engine, request),
    markStarted: (runs) => markStarted(engine, runs),
    payloads: (ids) => payloads(engine, ids),
    release: (session, leases) => release(engine, session, leases),
    promote: (limit) => promote(engine, limit),
    prune: (step) => prune(engine, step),
    report: (reports) => report(engine, reports),
    setPaused: (target, paused) => setPaused(engine, target, paused),
    listJobs: (query) => listJobs(engine, query),
    endings: (ids) => endings(engine, ids),
    listLog: (query) => listLog(engine, query),
    tally: (since) => tally(engine, since),
    cancel: (ids) => cancel(engine, ids),
    retry: (ids) => retry(engine, ids),
    purge: (ids) => purge(engine, ids),
    reschedule: (changes) => reschedule(engine, changes),
    enqueueFromFailed: (revivals) => enqueueFromFailed(engine, revivals),
    dismiss: (sessions, how) => dismiss(engine, sessions, how),
    getJobs: (ids) => getJobs(engine, ids),
    listAttempts: (query) => listAttempts(engine, query),
    counts: (filter) => counts(engine, filter),
    audit: () => audit(engine),
    identify: (name) => identify(engine, name),
    rename: (name, copy) => rename(engine, name, copy),
    setMode: (mode) => setMode(engine, mode),
    backup: (path) => backup(db, path),
    compact: () => compact(db),
    subscribe: (onChange) => subscribe(db, onChange),
  };
}

async function checkVersion(engine: Engine): Promise<void> {
  const version = await read(engine, () => schemaVersion(engine.db));
  refuseNewer(version, engine.db.path);
  if (version !== null) await engine.db.useWal();
}

/** More than its cache may hold meanwhile: what is rolled back would else never reach the disk, and a full one go unnoticed. */
const PAGES = 32;

async function ping(engine: Engine): Promise<{ now: number }> {
  const { db } = engine;
  await db.rehearse(() => {
    const { cache_size: pages } = db.get<{ cache_size: number }>("pragma cache_size")!;
    const { page_size: bytes } = db.get<{ page_size: number }>("pragma page_size")!;
    db.handle.exec("pragma cache_size=1");
    try {
      db.handle.exec(
        `create table qudo_ping (b blob); insert into qudo_ping values (zeroblob(${PAGES * bytes}))`,
      );
    } finally {
      db.handle.exec(`pragma cache_size=${pages}`);
    }
  });
  return { now: engine.clock() };
}
