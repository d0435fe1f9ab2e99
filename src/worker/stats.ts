/** What a worker has done so far. */
import type { RunState } from "../core/states.js";

/** Runs by what the database accepted, and trips. */
export interface WorkerStats {
  readonly done: number;
  readonly failed: number;
  readonly abandoned: number;
  readonly snoozed: number;
  readonly released: number;
  /** Ended here, but decided by others before: what came of them does not count. */
  readonly lost: number;
  readonly trips: number;
}

export const NOTHING_DONE: WorkerStats = {
  done: 0,
  failed: 0,
  abandoned: 0,
  snoozed: 0,
  released: 0,
  lost: 0,
  trips: 0,
};

type Counts = { -readonly [K in keyof WorkerStats]: number };

export function sumOf(all: readonly WorkerStats[]): WorkerStats {
  const sum: Counts = { ...NOTHING_DONE };
  for (const stats of all) for (const key of KEYS) sum[key] += stats[key];
  return sum;
}

const KEYS = Object.keys(NOTHING_DONE) as (keyof WorkerStats)[];

export class Counters {
  private readonly counts: Counts = { ...NOTHING_DONE };

  get stats(): WorkerStats {
    return { ...this.counts };
  }

  trip(): void {
    this.counts.trips++;
  }

  ended(state: RunState | "lost"): void {
    if (state in this.counts) this.counts[state as keyof WorkerStats]++;
  }
}
