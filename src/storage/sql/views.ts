/** What was read as the contract shows it: what all engines do alike, once ids are text. */
import {
  isTerminal,
  reasonOf,
  runStateOf,
  type JobState,
  type RunState,
} from "../../core/states.js";
import type { AttemptRow, JobRow, LaneCounts } from "../driver.js";
import type { KeepColumns } from "./hidden.js";
import { redactedPaths } from "./options.js";

export interface AttemptColumns {
  readonly job_id: string;
  readonly run: number;
  readonly queue: string;
  readonly kind: string;
  readonly state: number;
  readonly reason: number | null;
  readonly worker: string | null;
  readonly started_at: number | null;
  readonly ended_at: number;
  readonly fails: number;
  readonly crashes: number;
  readonly next_at: number | null;
  readonly result: string | null;
  readonly error: string | null;
  /** Only where it was asked for. */
  readonly retried_by?: string | null;
}

export function attemptRow(row: AttemptColumns): AttemptRow {
  return {
    job: row.job_id,
    run: row.run,
    queue: row.queue,
    kind: row.kind,
    state: runStateOf(row.state),
    reason: reasonOf(row.reason),
    session: row.worker,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    fails: row.fails,
    crashes: row.crashes,
    nextAt: row.next_at,
    result: row.result,
    error: row.error,
    ...(row.retried_by != null && { retriedBy: row.retried_by }),
  };
}

export interface JobColumns extends KeepColumns {
  readonly queue: string;
  readonly kind: string;
  readonly prio: number;
  readonly run_at: number;
  readonly created_at: number;
  readonly max_attempts: number;
  readonly timeout_ms: number | null;
  readonly expires_at: number | null;
  readonly opts: string | null;
  readonly unique_text: string | null;
  readonly codec: number;
  readonly payload_text: string | null;
  readonly payload_bin: Uint8Array | null;
  readonly origin_run: number | null;
}

/** What somebody knows of a held run; the rest of its row is as for any job. */
export type Hold = Pick<JobRow, "session" | "startedAt" | "progress">;

export const NOBODYS: Hold = { session: null, startedAt: null, progress: null };

/** How things stand with a job. */
export interface Situation {
  readonly state: JobState;
  readonly last: AttemptRow | null;
  /** Where the run that is shown stands, or stood. */
  readonly place: { readonly prio: number; readonly run_at: number };
  readonly hold: Hold;
  /** Of the failed run of which it was made. */
  readonly origin: string | null;
}

export function jobRow(
  id: string,
  job: JobColumns,
  { state, last, place, hold, origin }: Situation,
): JobRow {
  return {
    id,
    queue: job.queue,
    kind: job.kind,
    state,
    priority: 0 - place.prio,
    createdAt: job.created_at,
    runAt: place.run_at,
    run: shownRun(last),
    fails: last?.fails ?? 0,
    crashes: last?.crashes ?? 0,
    maxAttempts: job.max_attempts,
    timeoutMs: job.timeout_ms,
    expiresAt: job.expires_at,
    uniqueKey: job.unique_text,
    redact: redactedPaths(job.opts),
    payload: { codec: job.codec, text: job.payload_text, bin: job.payload_bin },
    last,
    ...hold,
    ...(origin !== null && { origin: { job: origin, run: job.origin_run! } }),
  };
}

/** The run that waits or is held; of a job that has ended its last one. */
export function shownRun(last: { readonly run: number; readonly state: RunState } | null): number {
  if (last === null) return 1;
  return isTerminal(last.state) ? last.run : last.run + 1;
}

export interface LaneColumns {
  readonly id: number;
  readonly queue: string;
  readonly kind: string;
  readonly paused: boolean;
}

type Counts = { -readonly [K in keyof LaneCounts]: LaneCounts[K] };
type CountedState = Exclude<keyof LaneCounts, "queue" | "kind" | "paused">;

/** Counts of the lanes that are asked for; what is counted in others is left out. */
export class Totals {
  private readonly byLane = new Map<number, Counts>();

  constructor(lanes: readonly LaneColumns[], filter: { queue?: string; kind?: string }) {
    for (const lane of lanes.filter((lane) => isOf(lane, filter)))
      this.byLane.set(lane.id, emptyCounts(lane));
  }

  add(lane: number, state: CountedState, n: number): void {
    const counts = this.byLane.get(lane);
    if (counts !== undefined) counts[state] += n;
  }

  /** By queue, then by kind. */
  get rows(): LaneCounts[] {
    return [...this.byLane.values()].toSorted((a, b) =>
      a.queue === b.queue ? compare(a.kind, b.kind) : compare(a.queue, b.queue),
    );
  }
}

/** Whether a lane passes a filter. What the filter leaves out restricts nothing. */
export function isOf(
  lane: { readonly queue: string; readonly kind: string },
  { queue, kind }: { readonly queue?: string; readonly kind?: string },
): boolean {
  return (queue ?? lane.queue) === lane.queue && (kind ?? lane.kind) === lane.kind;
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function emptyCounts({ queue, kind, paused }: LaneColumns): Counts {
  return {
    queue,
    kind,
    paused,
    pending: 0,
    failed: 0,
    delayed: 0,
    reserved: 0,
    running: 0,
    done: 0,
    abandoned: 0,
    cancelled: 0,
  };
}
