/** What looking into a database shows. Part of the contract, driver.ts, which passes these types on. */
import type { JobState, LogLevel, Reason, RunState } from "../core/states.js";
import type { DatabaseMode, RunKey, StoredPayload } from "./records.js";

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
  /** The failed run of which it was made, by {@link Driver.enqueueFromFailed}. Only {@link Driver.getJobs} says so. */
  readonly origin?: RunKey;
  /** Name of the one it is in, of several databases. */
  readonly database?: string;
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

/** Where a job was found, in the order in which they are listed: in a lease, waiting and due, waiting until it is due, in the log. */
export type JobSource = "held" | "ready" | "delayed" | "ended";

/** One page of {@link Driver.listJobs}. */
export interface JobPage {
  readonly rows: readonly JobRow[];
  /** Of each row: where it was found. */
  readonly sources: readonly JobSource[];
  /** Of each row: the cursor behind it. Pages of several databases are merged, and cut anywhere. */
  readonly cursors: readonly string[];
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
  /** The job that was made of it by {@link Driver.enqueueFromFailed}. Only {@link Driver.listAttempts} says so. */
  readonly retriedBy?: string;
  /** Name of the one it is in, of several databases. */
  readonly database?: string;
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
  /** Of each row: the cursor behind it. */
  readonly cursors: readonly string[];
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

/** One of several databases as this process sees it. */
export interface DatabaseStatus {
  readonly name: string;
  /** Engine and place, never a password. */
  readonly label: string;
  /** "out": left in peace until `retryAt`; "probing": that moment has come, and one write tries whether it is back. */
  readonly state: "healthy" | "out" | "probing";
  /** The stricter one of what the configuration says and what the database says. */
  readonly mode: DatabaseMode;
  /** Why it is out; null while it is healthy. */
  readonly reason: string | null;
  /** Since when it is in this state, and when it is tried again: milliseconds UTC of this process. */
  readonly since: number;
  readonly retryAt: number | null;
}

/** A breach of an invariant, found by {@link Driver.audit}. Each is a bug, or the work of another program. */
export interface Violation {
  readonly invariant: "I1" | "I2" | "I3" | "I4" | "I5" | "I6";
  readonly job: string | null;
  readonly run: number | null;
  readonly detail: string;
  /** Name of the one it was found in, of several databases. */
  readonly database?: string;
}
