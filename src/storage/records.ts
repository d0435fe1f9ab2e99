/** What the operations of a driver take and answer. Part of the contract, driver.ts, which passes these types on. */
import type { Decision } from "../core/outcome.js";
import type { JobState, LogLevel, RunState } from "../core/states.js";

/** What {@link Driver.migrate} found and left. */
export interface MigrationReport {
  /** Version found, null for none, and version now. */
  readonly from: number | null;
  readonly to: number;
}

/**
 * What one of several databases is used for. "active": everything. "drain": it gets no new jobs, and those in it are worked off.
 * "off": nothing of it is claimed either; what is held may still be settled.
 */
export type DatabaseMode = "active" | "drain" | "off";

/** Who a database is, as it says itself. */
export interface Identity {
  /** Random, made with its tables: two names for one database are found out by it. */
  readonly id: string;
  /** What it was called when it was first used as one of several; null: it never was. */
  readonly name: string | null;
  readonly mode: DatabaseMode;
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
export type InsertOutcome = (
  | { readonly status: "inserted" | "duplicate" }
  | { readonly status: "unique"; readonly holder: string }
) & {
  /** Name of the one that was asked, of several databases. */
  readonly database?: string;
};

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
  /** Name of the one it works on, of several databases. */
  readonly database?: string;
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
  /**
   * Jobs that take its place: inserted by the same transaction, if and only if this settlement is accepted, and never by one that
   * is sent again. Goes with "done" only. A unique key of the job itself is handed over to the first child that wants it.
   */
  readonly children?: readonly NewJob[];
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

/**
 * What became of a child: "unique" was not inserted, another living job has its key, which is `holder` (null: not any more, by the time
 * the same settlement was sent again). "duplicate": its id was known, or the settlement is sent again.
 */
export type ChildOutcome =
  | { readonly status: "inserted" | "duplicate" }
  | { readonly status: "unique"; readonly holder: string | null };

/** A run that was done and left children in its place; one outcome for each of them, in order. */
export interface Replacement extends RunKey {
  readonly children: readonly ChildOutcome[];
}

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
  /** One for each accepted settlement with children, in order. Absent where there is none. */
  readonly replaced?: readonly Replacement[];
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

/** "abandoned": it was shown as running; its worker learns of it by its heartbeat. The others as in {@link CancelOutcome}. */
export type PurgeOutcome = CancelOutcome | "abandoned";

/** Another time, or another priority, for a job that waits. What is null stays. */
export interface Reschedule {
  readonly id: string;
  /** Milliseconds UTC; what is past means now. Ignored where `delayMs` is given. */
  readonly runAt: number | null;
  /** From now. */
  readonly delayMs: number | null;
  readonly priority: number | null;
}

/** "refused": it does not wait, because it is held, or has ended. */
export type RescheduleOutcome =
  | { readonly status: "rescheduled" | "absent" }
  | { readonly status: "refused"; readonly state: JobState };

/** A failed run, and the id of the new job that is to be made of it. */
export interface Revival extends RunKey {
  readonly id: string;
}

/**
 * "already": a job was made of this run before, and is `by`; "refused": the run has not failed; "absent": the run is unknown, or
 * pruned; "duplicate": the new id was known; "unique": another living job has the key.
 */
export type RevivalOutcome =
  | { readonly status: "inserted" | "duplicate" | "absent" }
  | { readonly status: "already"; readonly by: string }
  | { readonly status: "refused"; readonly state: RunState }
  | { readonly status: "unique"; readonly holder: string };

/** What becomes of all that a dismissed session holds: it goes back to its place, or is abandoned (worker_cancelled). */
export type Dismissal = "released" | "abandoned";

/** `runs`: how many were decided. */
export type DismissOutcome =
  | { readonly status: "absent" }
  | { readonly status: "dismissed"; readonly runs: number };
