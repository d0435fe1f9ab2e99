/** Jobs, runs and lines of logs as users see them: moments are Dates, what was stored as JSON is a value again. */
import { decode } from "../core/codec.js";
import { invalidId, isUuid } from "../core/ids.js";
import type { Serializers } from "../core/serializer.js";
import type { JobState, LogLevel, Reason, RunState } from "../core/states.js";
import type { AttemptRow, JobRow, LogRow } from "../storage/driver.js";

/** A job as users see it. */
export interface JobInfo {
  readonly id: string;
  readonly kind: string;
  readonly queue: string;
  readonly state: JobState;
  readonly priority: number;
  readonly createdAt: Date;
  /** When it may run, or might have run first. */
  readonly runAt: Date;
  /** Not started after this moment. */
  readonly expiresAt: Date | null;
  /** Its run that is waiting, held, or was the last. */
  readonly run: number;
  /** Failed tries so far. */
  readonly fails: number;
  readonly crashes: number;
  readonly maxAttempts: number;
  /** Seconds that a run may take. */
  readonly timeout: number | null;
  readonly uniqueKey: string | null;
  /** As it was enqueued, also what {@link redact} names. Null where it cannot be read here. */
  readonly payload: unknown;
  /** Why the payload cannot be read here; null where it can. */
  readonly unreadable: string | null;
  /** Paths in the payload that are not to be shown to people. */
  readonly redact: readonly string[] | null;
  /** The worker's session that holds it, while it is reserved or running. */
  readonly worker: string | null;
  /** Since when it is running. Shown after a second, as the state is. */
  readonly startedAt: Date | null;
  /** What its handler last said with `job.progress`, while it is running. */
  readonly progress: unknown;
  readonly last: AttemptInfo | null;
  /** The failed run of which it was made (`enqueueFromFailed`). Only `jobs.get` and lists say so. */
  readonly origin?: { readonly job: string; readonly run: number };
  /** Name of the one it is in, of several databases. */
  readonly database?: string;
}

/** What became of one run of a job. */
export interface AttemptInfo {
  readonly job: string;
  readonly run: number;
  readonly kind: string;
  readonly queue: string;
  readonly state: RunState;
  /** Why it was abandoned. */
  readonly reason: Reason | null;
  readonly worker: string | null;
  readonly startedAt: Date | null;
  readonly endedAt: Date;
  /** When the job runs next, if it does. */
  readonly nextAt: Date | null;
  readonly result: unknown;
  readonly error: string | null;
  /** The job that was made of it (`enqueueFromFailed`). Only the list of attempts says so. */
  readonly retriedBy?: string;
  /** Name of the one it is in, of several databases. */
  readonly database?: string;
}

/** What a handler wrote with `job.log`. */
export interface JobLogLine {
  readonly run: number;
  /** Counts from 1 within the run. */
  readonly seq: number;
  readonly at: Date;
  readonly level: LogLevel;
  readonly text: string;
}

/** `database`: where it was asked for, when one of several was. */
export function jobInfo(row: JobRow, serializers: Serializers, database = row.database): JobInfo {
  return {
    id: row.id,
    kind: row.kind,
    queue: row.queue,
    state: row.state,
    priority: row.priority,
    createdAt: new Date(row.createdAt),
    runAt: new Date(row.runAt),
    expiresAt: dateOf(row.expiresAt),
    run: row.run,
    fails: row.fails,
    crashes: row.crashes,
    maxAttempts: row.maxAttempts,
    timeout: row.timeoutMs === null ? null : row.timeoutMs / 1_000,
    uniqueKey: row.uniqueKey,
    ...readPayload(row, serializers),
    redact: row.redact,
    worker: row.session,
    startedAt: dateOf(row.startedAt),
    progress: readable(row.progress),
    last: row.last === null ? null : attemptInfo(row.last, database),
    ...(row.origin && { origin: row.origin }),
    ...(database !== undefined && { database }),
  };
}

/** `database`: where it was asked for, when one of several was. */
export function attemptInfo(row: AttemptRow, database = row.database): AttemptInfo {
  return {
    job: row.job,
    run: row.run,
    kind: row.kind,
    queue: row.queue,
    state: row.state,
    reason: row.reason,
    worker: row.session,
    startedAt: dateOf(row.startedAt),
    endedAt: new Date(row.endedAt),
    nextAt: dateOf(row.nextAt),
    result: readable(row.result),
    error: row.error,
    ...(row.retriedBy !== undefined && { retriedBy: row.retriedBy }),
    ...(database !== undefined && { database }),
  };
}

export function logLine({ at, ...row }: LogRow): JobLogLine {
  return { ...row, at: new Date(at) };
}

/** @throws InvalidInputError QUDO_INVALID_ID. */
export function checkId(id: unknown): string {
  if (!isUuid(id)) throw invalidId(id);
  return id.toLowerCase();
}

function dateOf(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}

/** One unreadable row must not hide the others. */
function readPayload(
  { payload, kind }: JobRow,
  serializers: Serializers,
): Pick<JobInfo, "payload" | "unreadable"> {
  try {
    return { payload: serializers.unpack(payload, { kind }), unreadable: null };
  } catch (error) {
    const unreadable = error instanceof Error ? error.message : String(error);
    return { payload: null, unreadable };
  }
}

function readable(text: string | null): unknown {
  if (text === null) return null;
  try {
    return decode(text);
  } catch {
    return null;
  }
}
