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
import type { Decision } from "../core/outcome.js";
import type { JobState, LogLevel, Reason, RunState } from "../core/states.js";

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

  // — files only
  /** A consistent copy, made while others go on. Refuses a path that exists. */
  backup?(path: string): Promise<{ bytes: number }>;
  /** Gives unused space back to the file system. */
  compact?(): Promise<{ bytesBefore: number; bytesAfter: number }>;

  /** Calls back, soon after other connections have written. A hint only; polling stands behind. Returns the way to stop it. */
  subscribe?(onChange: () => void): () => void;
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

/** What a database can do beyond the contract. Positive, each with what follows from it. */
export interface Capabilities {
  /** `subscribe` exists: idle workers are woken by writes of others. Default false: they poll. */
  readonly wakeups: boolean;
}

/** What {@link Driver.migrate} found and left. */
export interface MigrationReport {
  /** Version found, null for none, and version now. */
  readonly from: number | null;
  readonly to: number;
}

/** A payload as it is stored: text or bytes, one of them null. */
export interface StoredPayload {
  /** Which codec wrote it: {@link CODEC_JSON}. */
  readonly codec: number;
  readonly text: string | null;
  readonly bin: Uint8Array | null;
}

/** A job to be inserted, everything about it decided and checked. */
export interface NewJob {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly priority: number;
  /** Milliseconds from now; ignored where `runAt` is given. */
  readonly delayMs: number;
  readonly runAt: number | null;
  /** Not started after this moment, but abandoned(expired). */
  readonly expiresAt: number | null;
  readonly maxAttempts: number;
  readonly timeoutMs: number | null;
  /** How long it is kept, and shown, after it is done; null: the policy of whoever prunes. */
  readonly keepDoneMs: number | null;
  /** The same where it is abandoned or cancelled. */
  readonly keepOtherMs: number | null;
  /** Paths in its payload that nobody is shown; null for none. */
  readonly redact: readonly string[] | null;
  readonly payload: StoredPayload;
  /** At most one living job per (kind, key). */
  readonly uniqueKey: string | null;
}

/** What became of one job of {@link Driver.insertJobs}; `holder` is the living job that has the unique key. */
export type InsertOutcome =
  | { readonly status: "inserted" | "duplicate" }
  | { readonly status: "unique"; readonly holder: string };

/** A worker that begins: one session from its start to its end, with a new id each time. */
export interface NewSession {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly pid: number;
  /** Boot id, pid namespace, pid and start time where known: lets others on this host see its death at once. */
  readonly process: string | null;
  readonly kinds: readonly string[];
  readonly version: string;
  /** How old its last heartbeat must be before others may end it: its own word, not the reaper's. */
  readonly leaseMs: number;
}

/** How {@link Driver.keepAlive} beats. */
export interface KeepAlive {
  readonly everyMs: number;
  readonly watchdogMs: number;
}

/** A session as the database knows it. Times are the database's, in milliseconds UTC. */
export interface SessionRow extends NewSession {
  readonly beat: number;
  readonly seenAt: number;
  readonly startedAt: number;
  /** Leases it holds. */
  readonly leases: number;
}

/** One run of one job: the fence's key. */
export interface RunKey {
  readonly job: string;
  readonly run: number;
}

/** A run, and the lease through which its session holds it. */
export interface HeldRun extends RunKey {
  readonly lease: string;
  readonly session: string;
}

/** A sign of life of a session, with what it believes to be its own. */
export interface Heartbeat {
  readonly session: string;
  /** Runs the worker believes it is running. */
  readonly running: readonly RunKey[];
}

/** What a heartbeat learns. */
export interface HeartbeatOutcome {
  readonly alive: boolean;
  /** Every lease the database has for this session with unfinished runs in it. Finished ones were removed. */
  readonly leases: readonly string[];
  /** Those of `running` that others have decided: abort them. */
  readonly fenced: readonly RunKey[];
}

/** What a claimer can do: jobs of these kinds in this queue, at most so many. */
export interface Want {
  readonly queue: string;
  readonly kinds: readonly string[];
  readonly limit: number;
}

/** Jobs that a session asks for, to be put into one lease. */
export interface ClaimRequest {
  /** Made by the caller, so that a lost answer can be looked up. */
  readonly lease: string;
  readonly session: string;
  readonly wants: readonly Want[];
}

/** A job in the hands of the session that asked, with what is needed to run it. */
export interface ClaimedJob extends RunKey {
  readonly fails: number;
  readonly crashes: number;
  readonly queue: string;
  readonly kind: string;
  readonly priority: number;
  readonly createdAt: number;
  readonly maxAttempts: number;
  readonly timeoutMs: number | null;
  readonly redact: readonly string[] | null;
  /** Null when it has to be fetched by `payloads` (large, or the trip was full). */
  readonly payload: StoredPayload | null;
}

/** The end of one run: what was decided, and what is kept of it. */
export interface Settlement extends RunKey, Decision {
  /** Time since the handler started; null when it never did. */
  readonly elapsedMs: number | null;
  readonly result: string | null;
  readonly error: string | null;
  /** Log lines that no report has carried yet. Kept also where the run is lost. */
  readonly lines?: readonly LogLine[];
  /**
   * The handler recorded this run as done in a transaction of its own (`completeIn`): if that is there, it is accepted;
   * if not, it was rolled back, and this settlement counts.
   */
  readonly completed?: true;
}

/** One line of a handler's log. */
export interface LogLine {
  /** Counts from 1 within the run. */
  readonly seq: number;
  /** How long ago it was written: the database's clock makes a moment of it. */
  readonly agoMs: number;
  readonly level: LogLevel;
  readonly text: string;
}

/** News of a run that goes on. */
export interface RunReport extends HeldRun {
  /** JSON; null for no news. */
  readonly progress: string | null;
  readonly lines: readonly LogLine[];
}

/** Settlements of one lease. At most one group per lease is under way at a time. */
export interface SettleGroup {
  readonly lease: string;
  readonly session: string;
  readonly settlements: readonly Settlement[];
  /** True for the group that settles the last open run of the lease. */
  readonly close: boolean;
}

/** Whether this settlement decided its run, or somebody else had. */
export type SettleOutcome = "accepted" | "lost";

/** Ends of runs, and a claim in the same transaction. */
export interface Trip {
  readonly settle: readonly SettleGroup[];
  /** @throws SessionLostError, with nothing written, when the session is gone. */
  readonly claim: ClaimRequest | null;
}

/** What a trip brought back. */
export interface TripOutcome {
  /** One list per group, one outcome per settlement. */
  readonly settled: readonly (readonly SettleOutcome[])[];
  /** In claim order: priority, then due time, within each queue. */
  readonly claimed: readonly ClaimedJob[];
  /** True when the claim stopped early (it ended many expired jobs): claim again, do not wait. */
  readonly more: boolean;
}

/** A session that its reaper takes for dead, and why. */
export interface DeadSession {
  readonly id: string;
  /** The beat at which it was judged dead: any other means that it lives. */
  readonly beat: number;
  /** "expired" also needs a heartbeat older than `leaseMs` (or one from the future); "gone" is a process known to be dead. */
  readonly cause: "expired" | "gone";
  readonly leaseMs: number;
}

/** What became of a session that was to be reaped; `decided` counts its unfinished runs by their new state. */
export type ReapOutcome =
  | { readonly status: "alive" | "absent" }
  | { readonly status: "reaped"; readonly decided: Readonly<Partial<Record<RunState, number>>> };

/** What one call of {@link Driver.promote} did. */
export interface Promotion {
  readonly moved: number;
  /** Milliseconds until the next delayed job is due; null when none waits. */
  readonly nextDueMs: number | null;
}

/**
 * "done" and "other" (abandoned, cancelled) scan the outcomes of jobs without a keep time of their own, oldest first, and
 * what was kept longer than `keepMs`; "own" scans those with one; "counts" deletes minutes of the tally. At least ten minutes
 * are kept always: a resend must find its job, a late worker its outcome. Living jobs keep their last 20 runs ("done" drops older ones).
 */
export interface PruneStep {
  readonly scan: "done" | "other" | "own" | "counts";
  /** Ignored by "own". */
  readonly keepMs: number;
  /** Where the step before ended; null to begin. */
  readonly after: string | null;
  /** Rows looked at, at most. */
  readonly limit: number;
  /** Counts only. Default false. */
  readonly dryRun?: boolean;
}

/** What one step of {@link Driver.prune} did. */
export interface PruneOutcome {
  /** Jobs deleted ("counts": rows). */
  readonly pruned: number;
  /** To go on from: rows before it need not be looked at again by this scan. */
  readonly after: string | null;
  /** There is more to look at now. */
  readonly more: boolean;
}

/** "cancelled": it never runs again; "already": it had ended; "absent": unknown, or pruned. */
export type CancelOutcome = "cancelled" | "already" | "absent";

/** "refused": its state allows no other life; "unique": another living job has its key. */
export type RetryOutcome =
  | { readonly status: "requeued" | "absent" }
  | { readonly status: "refused"; readonly state: JobState }
  | { readonly status: "unique"; readonly holder: string };

/** One job as {@link Driver.getJobs} and {@link Driver.listJobs} show it. Times are milliseconds UTC. */
export interface JobRow {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly state: JobState;
  readonly priority: number;
  readonly createdAt: number;
  /** When it may run, or may have run first. */
  readonly runAt: number;
  /** The run that is waiting, held, or was the last. */
  readonly run: number;
  readonly fails: number;
  readonly crashes: number;
  readonly maxAttempts: number;
  readonly timeoutMs: number | null;
  readonly expiresAt: number | null;
  readonly uniqueKey: string | null;
  readonly redact: readonly string[] | null;
  readonly payload: StoredPayload;
  readonly last: AttemptRow | null;
  /** The session that holds it, while it is reserved or running. */
  readonly session: string | null;
  /** Since when it is shown as running. */
  readonly startedAt: number | null;
  /** JSON: what its handler last said of its progress. */
  readonly progress: string | null;
}

/** Which jobs {@link Driver.listJobs} shows. What is left out restricts nothing. */
export interface JobQuery {
  readonly queue?: string;
  readonly kind?: string;
  readonly states?: readonly JobState[];
  /** Created at or after, and before. */
  readonly since?: number;
  readonly until?: number;
  /** Cursor of an earlier page. Jobs that move between two pages may be seen twice or not at all. */
  readonly after?: string;
  readonly limit: number;
}

/** One page of {@link Driver.listJobs}. */
export interface JobPage {
  readonly rows: readonly JobRow[];
  /** Cursor for the next page; null at the end. A page may be short, or empty, before the end. */
  readonly next: string | null;
}

/** How a job ended; "living" has not yet, "absent" is unknown or pruned. */
export type Ending =
  | { readonly status: "living" | "absent" }
  | { readonly status: "ended"; readonly attempt: AttemptRow };

/** Which lines {@link Driver.listLog} shows: of one job, of one of its runs, from a place on. */
export interface LogQuery {
  readonly job: string;
  readonly run?: number;
  /** Only lines after this one. */
  readonly after?: { readonly run: number; readonly seq: number };
  readonly limit: number;
}

/** One line of a job's log; `at` is milliseconds UTC. */
export interface LogRow {
  readonly run: number;
  readonly seq: number;
  readonly at: number;
  readonly level: LogLevel;
  readonly text: string;
}

/** What is counted: every end of a run, and every enqueue. */
export type TallyEvent = "enqueued" | RunState;

/** How often something happened in one minute in one queue and kind. */
export interface TallyRow {
  /** Its first millisecond. */
  readonly minute: number;
  readonly queue: string;
  readonly kind: string;
  readonly event: TallyEvent;
  readonly n: number;
}

/** One outcome: what became of one run, or of an operator's cancel or retry. Times are milliseconds UTC. */
export interface AttemptRow extends RunKey {
  readonly queue: string;
  readonly kind: string;
  readonly state: RunState;
  readonly reason: Reason | null;
  readonly session: string | null;
  readonly startedAt: number | null;
  readonly endedAt: number;
  readonly fails: number;
  readonly crashes: number;
  readonly nextAt: number | null;
  readonly result: string | null;
  readonly error: string | null;
}

/** Which outcomes {@link Driver.listAttempts} shows. What is left out restricts nothing. */
export interface AttemptQuery {
  /** Of this job only. */
  readonly job?: string;
  readonly queue?: string;
  readonly kind?: string;
  readonly states?: readonly RunState[];
  /** Cursor of an earlier page. */
  readonly after?: string;
  readonly limit: number;
}

/** One page of {@link Driver.listAttempts}. */
export interface AttemptPage {
  readonly rows: readonly AttemptRow[];
  /** Cursor for the next page; null at the end. */
  readonly next: string | null;
}

/** How many jobs of one queue and kind are in each state. */
export interface LaneCounts {
  readonly queue: string;
  readonly kind: string;
  readonly paused: boolean;
  /** Waiting, by the outcome of the run before. */
  readonly pending: number;
  readonly failed: number;
  /** Of the waiting ones, those not yet due. */
  readonly delayed: number;
  readonly reserved: number;
  readonly running: number;
  readonly done: number;
  readonly abandoned: number;
  readonly cancelled: number;
}

/** A breach of an invariant, found by {@link Driver.audit}. Each is a bug, or the work of another program. */
export interface Violation {
  readonly invariant: "I1" | "I2" | "I3" | "I4" | "I5" | "I6";
  readonly job: string | null;
  readonly run: number | null;
  readonly detail: string;
}
