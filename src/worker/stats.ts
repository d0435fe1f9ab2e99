/** What a worker has done so far. */
import type { Settlement, SettleOutcome } from "../storage/driver.js";

/** Runs by what the database accepted, and trips. */
export interface WorkerStats {
  readonly done: number;
  readonly failed: number;
  readonly abandoned: number;
  readonly released: number;
  /** Ended here, but decided by others before: what came of them does not count. */
  readonly lost: number;
  readonly trips: number;
}

export class Counters {
  private readonly counts = { done: 0, failed: 0, abandoned: 0, released: 0, lost: 0, trips: 0 };

  get stats(): WorkerStats {
    return { ...this.counts };
  }

  trip(): void {
    this.counts.trips++;
  }

  lost(runs: number): void {
    this.counts.lost += runs;
  }

  settled({ state }: Settlement, outcome: SettleOutcome): void {
    if (outcome === "lost") this.counts.lost++;
    else if (
      state === "done" ||
      state === "failed" ||
      state === "abandoned" ||
      state === "released"
    )
      this.counts[state]++;
  }
}
