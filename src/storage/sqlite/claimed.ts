/** What a connection has claimed, kept in memory so that a settle need not look at each job again. */

/** A run that a lease lists. */
export interface ListedRun {
  readonly id: Uint8Array;
  readonly run: number;
  /** Undefined where it has to be looked up. */
  readonly lane?: number;
  /** Its job has no keep times of its own; undefined where that is not known. */
  readonly plain?: boolean;
}

/** By the job's id as text. */
export type ListedRuns = ReadonlyMap<string, ListedRun>;

/** So many runs are remembered: more than a worker holds at a time. */
const MOST = 10_000;

/**
 * A lease lists the same runs as long as it is there, and a job's lane and keep times never change: what is remembered is true whatever
 * became of the lease, and what is not is read from it.
 */
export class ClaimedLeases {
  private readonly known = new Map<string, ListedRuns>();
  private runs = 0;

  remember(lease: string, runs: ListedRuns): void {
    this.forget(lease);
    this.known.set(lease, runs);
    this.runs += runs.size;
    for (const oldest of this.known.keys()) {
      if (this.runs <= MOST || oldest === lease) break;
      this.forget(oldest);
    }
  }

  of(lease: string): ListedRuns | undefined {
    return this.known.get(lease);
  }

  forget(lease: string): void {
    this.runs -= this.known.get(lease)?.size ?? 0;
    this.known.delete(lease);
  }
}
