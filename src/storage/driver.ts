/**
 * THE contract between the queue and a database. Everything above knows this file only.
 *
 * Rules for every implementation (the conformance suite in `qudo/testing` proves them):
 * - Sets go in, one outcome per input comes out, in order. One operation is one transaction, and takes the same number of
 *   commits for 1 and for 100 items.
 * - Every operation is idempotent under its ids: sent again after an unknown answer it changes nothing more.
 * - Times are the database's clock, in milliseconds UTC. Durations go in, moments come out.
 * - The fence: every event of a job takes run number last + 1 and inserts the outcome (job, run). Only the
 *   transaction that inserted it may move the job.
 * - Nothing here is JavaScript's: no callbacks into the caller, no live objects. A driver can stand behind a thread or a wire.
 */
import type {
  CancelOutcome,
  DatabaseMode,
  DeadSession,
  Dismissal,
  DismissOutcome,
  Heartbeat,
  HeartbeatOutcome,
  HeldRun,
  Identity,
  InsertOutcome,
  KeepAlive,
  MigrationReport,
  NewJob,
  NewSession,
  Promotion,
  PruneOutcome,
  PruneStep,
  PurgeOutcome,
  ReapOutcome,
  Reschedule,
  RescheduleOutcome,
  RetryOutcome,
  Revival,
  RevivalOutcome,
  RunReport,
  SessionRow,
  Settlement,
  StoredPayload,
  Trip,
  TripOutcome,
} from "./records.js";
import type {
  AttemptPage,
  AttemptQuery,
  DatabaseStatus,
  Ending,
  JobPage,
  JobQuery,
  JobRow,
  LaneCounts,
  LogQuery,
  LogRow,
  TallyRow,
  Violation,
} from "./views.js";

export type {
  DatabaseMode,
  Identity,
  MigrationReport,
  StoredPayload,
  NewJob,
  InsertOutcome,
  NewSession,
  KeepAlive,
  SessionRow,
  RunKey,
  HeldRun,
  Heartbeat,
  HeartbeatOutcome,
  Want,
  ClaimRequest,
  ClaimedJob,
  Settlement,
  LogLine,
  RunReport,
  SettleGroup,
  SettleOutcome,
  Trip,
  TripOutcome,
  DeadSession,
  ReapOutcome,
  Promotion,
  PruneStep,
  PruneOutcome,
  CancelOutcome,
  RetryOutcome,
  ChildOutcome,
  Replacement,
  PurgeOutcome,
  Reschedule,
  RescheduleOutcome,
  Revival,
  RevivalOutcome,
  Dismissal,
  DismissOutcome,
} from "./records.js";
export type {
  JobRow,
  JobQuery,
  JobPage,
  JobSource,
  Ending,
  LogQuery,
  LogRow,
  TallyEvent,
  TallyRow,
  AttemptRow,
  AttemptQuery,
  AttemptPage,
  LaneCounts,
  DatabaseStatus,
  Violation,
} from "./views.js";

/** One open database. Every operation is one transaction, and may be called while others are on their way. */
export interface Driver {
  /** "sqlite", "postgres", … and where: for people. Never holds a password. */
  readonly label: string;
  readonly capabilities: Capabilities;

  // — life
  /** Creates or upgrades the tables. Safe to call by many at once; does nothing when they are current. */
  migrate(): Promise<MigrationReport>;
  /** Null when there are no tables yet. */
  schemaVersion(): Promise<number | null>;
  /** Proves by a write that is rolled back that the database takes writes. */
  ping(): Promise<{ now: number }>;
  close(): Promise<void>;

  // — producers
  /** Absent ids are inserted, known ones are `duplicate` (finished or not). Jobs of one call share one commit. */
  insertJobs(jobs: readonly NewJob[]): Promise<InsertOutcome[]>;

  // — sessions of workers
  openSession(session: NewSession): Promise<void>;
  /** An update, never an upsert: `alive: false` means that the session was ended by others, and all it held is lost. */
  heartbeat(beat: Heartbeat): Promise<HeartbeatOutcome>;
  /** Ends a session that holds nothing any more. False when it still holds leases: its reaper will come. */
  closeSession(session: string): Promise<boolean>;
  /**
   * Optional. From now on beats for this session also from a place that a blocked main loop does not reach, until the
   * session is closed or lost; but no longer than `watchdogMs` after the main loop's last sign of life, so that a hung
   * process does lose its jobs. The worker's own heartbeats go on beside it: only they learn anything.
   */
  keepAlive?(session: string, times: KeepAlive): Promise<void>;
  sessions(): Promise<SessionRow[]>;
  /** Ends dead sessions: their unfinished runs are decided by `afterWorkerDeath`, their jobs placed again. */
  reap(dead: readonly DeadSession[]): Promise<ReapOutcome[]>;

  // — the hot path
  /** Settles, then claims, in one transaction. Handlers start only after this has resolved. */
  trip(trip: Trip): Promise<TripOutcome>;
  /** Shows runs as running. False where the lease is gone or the run already has an outcome: do not start it. */
  markStarted(runs: readonly HeldRun[]): Promise<boolean[]>;
  /** Payloads that were too large to come with the claim; null for a job that is gone. */
  payloads(ids: readonly string[]): Promise<(StoredPayload | null)[]>;
  /** Gives back every unfinished run of these leases of this session. Returns how many. */
  release(session: string, leases: readonly string[]): Promise<number>;
  /** Progress and log lines of runs that go on. False for those that are not ours any more (also with nothing to report): abort them. */
  report(reports: readonly RunReport[]): Promise<boolean[]>;

  // — maintenance: idempotent, any worker may do it
  /** Moves due jobs from delayed to ready. */
  promote(limit: number): Promise<Promotion>;
  /** One small step of a scan over what has ended: deletes what has been kept for long enough. */
  prune(step: PruneStep): Promise<PruneOutcome>;

  // — operators
  cancel(ids: readonly string[]): Promise<CancelOutcome[]>;
  /** Another life for abandoned or cancelled jobs, with a clean slate. */
  retry(ids: readonly string[]): Promise<RetryOutcome[]>;
  /** Like {@link cancel}, but a run that is shown as running is abandoned (purged). */
  purge(ids: readonly string[]): Promise<PurgeOutcome[]>;
  /** Moves jobs that wait. Their counters stay. */
  reschedule(changes: readonly Reschedule[]): Promise<RescheduleOutcome[]>;
  /**
   * New jobs like those of these failed runs: same queue, kind, payload, options and unique key, due now, without their expiry. Of each run
   * at most one job is ever made.
   */
  enqueueFromFailed(revivals: readonly Revival[]): Promise<RevivalOutcome[]>;
  /**
   * Ends sessions without asking whether they live: what they hold is given back or abandoned, and the worker, if it lives, learns by
   * its heartbeat that its session is gone. One transaction for each, which waits for what is being settled at this moment.
   */
  dismiss(sessions: readonly string[], how: Dismissal): Promise<DismissOutcome[]>;
  /** Nothing of a paused queue, or of one kind in it, is claimed; what runs goes on. False when it was so already. */
  setPaused(target: { queue: string; kind: string | null }, paused: boolean): Promise<boolean>;

  // — looking. A finished job past its own keep time is hidden from getJobs, listJobs, listAttempts and counts
  getJobs(ids: readonly string[]): Promise<(JobRow | null)[]>;
  /** Those that are held, then those that wait in claim order, then those that have ended, newest first. */
  listJobs(query: JobQuery): Promise<JobPage>;
  /** The last word on jobs, hidden ones too: what somebody who waits for a result asks. */
  endings(ids: readonly string[]): Promise<Ending[]>;
  /** Lines that handlers wrote, by run and number. */
  listLog(query: LogQuery): Promise<LogRow[]>;
  /** What happened per minute, queue and kind, from this moment on. */
  tally(since: number): Promise<TallyRow[]>;
  /** Outcomes, oldest first by (ended_at, job, run). */
  listAttempts(query: AttemptQuery): Promise<AttemptPage>;
  counts(filter: { queue?: string; kind?: string }): Promise<LaneCounts[]>;
  /** Checks invariants I1 to I6 over the whole database: what `qudo doctor` prints. */
  audit(): Promise<Violation[]>;

  // — one of several databases
  /**
   * Who this database is. `name`: written down where it has none yet; where it has another one nothing changes, and that is told.
   * Whoever may not write it is told what is there.
   */
  identify(name?: string): Promise<Identity>;
  /** Another name from now on. `copy`: another id too, for a database that was made as a copy of another one. */
  rename(name: string, copy: boolean): Promise<Identity>;
  /** Whether it takes new jobs, and gives any out: kept in the database, for all who use it, and obeyed by them. */
  setMode(mode: DatabaseMode): Promise<void>;
  /** Several databases as one: each of them by itself, for whoever must not wait for all of them. Absent: it is one database. */
  readonly parts?: readonly Part[];

  // — servers only
  /** SQL that makes roles with the least rights: to migrate, to produce, to work, to view. Changes nothing. */
  grants?(): Promise<string>;

  // — files only
  /** A consistent copy, made while others go on. Refuses a path that exists. */
  backup?(path: string): Promise<{ bytes: number }>;
  /** Gives unused space back to the file system. */
  compact?(): Promise<{ bytesBefore: number; bytesAfter: number }>;

  /** Calls back, soon after other connections have written. A hint only; polling stands behind. Returns the way to stop it. */
  subscribe?(onChange: () => void): () => void;
  /** Whether `subscribe` would tell of a write at this moment: where it would not, workers poll as if there were none. Default: yes. */
  listens?(): boolean;
}

/**
 * Operations on a connection of the user's, inside the transaction that is open on it: they commit and roll back with
 * it. Engines whose clients are synchronous answer at once, so that a synchronous transaction can hold them.
 */
export interface UserTransaction {
  insertJobs(jobs: readonly NewJob[]): InsertOutcome[] | Promise<InsertOutcome[]>;
  /**
   * Records one run as done. Its worker settles it afterwards with `completed`, which closes the lease.
   * @throws RunLostError, which must roll the transaction back, when the run is not ours any more.
   */
  complete(run: HeldRun, end: Pick<Settlement, "elapsedMs" | "result">): void | Promise<void>;
}

/** One of several databases that are used as one. */
export interface Part {
  /** Stable, and stored in the database. */
  readonly name: string;
  /**
   * This database alone. It is opened when it is first needed; while it is out, everything but what settles and keeps alive what is
   * held there is refused at once: DatabaseError QUDO_DATABASE_OUT, transient.
   */
  readonly driver: Driver;
  status(): DatabaseStatus;
  /** Calls back after the status has changed. Returns the way to stop it. */
  watch(onChange: (status: DatabaseStatus) => void): () => void;
}

/** What a database can do beyond the contract. Positive, each with what follows from it. */
export interface Capabilities {
  /** `subscribe` exists: idle workers are woken by writes of others, and look once a second behind that. Default false: they look more often. */
  readonly wakeups: boolean;
}
