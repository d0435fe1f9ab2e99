/** How far a scan of pruning has come, and what it judges: what all engines do alike. */
import { LIMITS } from "../../core/defaults.js";
import { isTerminal, RUN_STATES, runStateOf } from "../../core/states.js";
import type { PruneStep } from "../driver.js";

/** A resend must still find its job, and a late worker its outcome: nothing is pruned before this age. */
export const KEEP_AT_LEAST_MS = 600_000;

const MINUTE_MS = 60_000;

/** Up to which end rows of a scan are due. */
export function dueUpTo({ scan, keepMs }: PruneStep, now: number): number {
  if (scan === "own") return now;
  const due = now - Math.max(keepMs, KEEP_AT_LEAST_MS);
  // A minute is counted by its first millisecond.
  return scan === "counts" ? due - MINUTE_MS : due;
}

/** Where a row stands in its scan: the columns of the index, ids as text. */
export type Position = readonly (number | string)[];

/**
 * How far a scan has come, and what it passed by on its way because others had it in hand: those are asked for again each
 * time, as nothing else would come back to them.
 */
export interface ScanCursor {
  readonly at: Position | null;
  readonly waiting: readonly Position[];
}

const MOST_WAITING = 500;

export function parseCursor(after: string | null): ScanCursor {
  return after === null ? { at: null, waiting: [] } : (JSON.parse(after) as ScanCursor);
}

export function cursorText({ at, waiting }: ScanCursor): string | null {
  // Past the bound the oldest are forgotten until some scan begins anew: a cursor is a short text.
  const kept = waiting.slice(-MOST_WAITING);
  return at === null && kept.length === 0 ? null : JSON.stringify({ at, waiting: kept });
}

/** An outcome that a scan has come to, and the last run of its job. */
export interface EndOfRun {
  readonly run: number;
  readonly state: number;
  readonly prune_at: number | null;
  readonly last: number;
}

/** It is the job's last word, and this scan's to judge: those with a keep time of their own carry when they go. */
export function endsJob(
  { run, last, state, prune_at }: EndOfRun,
  scan: PruneStep["scan"],
): boolean {
  if (run !== last || !isTerminal(runStateOf(state))) return false;
  if (scan === "own") return true;
  return prune_at === null && (state === RUN_STATES.done) === (scan === "done");
}

/**
 * Up to which run a job's history goes, 0 for none of it: of a job with many runs the last ones stay, and what a lease lists with
 * all that follows it (I5). All up to the row that was come to go, not it alone: what was passed by while the job was young
 * goes with it, so that a history is cut at its front only and grows no further.
 */
export function dropUpTo({ run, last }: EndOfRun, firstLeased: number | undefined): number {
  return Math.max(0, Math.min(run, last - LIMITS.runsKept, (firstLeased ?? Infinity) - 1));
}
