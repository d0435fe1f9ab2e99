/** One queue as one worker sees it: jobs held, jobs running, and how many more to ask for. */
import { DEFAULTS } from "../core/defaults.js";
import { isSuspect } from "../core/outcome.js";
import type { ClaimedJob, Want } from "../storage/driver.js";

export interface HeldJob {
  readonly job: ClaimedJob;
  readonly lease: string;
}

/** Weight of the newest duration in the running mean. */
const NEWEST = 0.1;
/** Held jobs that did not move for so long are better off elsewhere. */
const STALLED_MS = 1_000;

export class HeldQueue {
  running = 0;
  /** There may be jobs that were not claimed yet. Kept for each queue: what one was told, another one may not know. */
  mayBeMore = true;
  private buffer: HeldJob[] = [];
  private at = 0;
  private meanMs: number | null = null;
  /** When a job was last started, or put in. */
  private movedAt = 0;

  constructor(
    readonly name: string,
    readonly concurrency: number,
    private readonly kinds: readonly string[],
  ) {}

  get held(): number {
    return this.buffer.length - this.at;
  }

  hold(job: HeldJob): void {
    this.buffer.push(job);
    this.movedAt = performance.now();
  }

  /** The next job that may start now, if a place is free. */
  next(): HeldJob | undefined {
    if (this.running >= this.concurrency || this.at === this.buffer.length) return undefined;
    const job = this.buffer[this.at++];
    this.movedAt = performance.now();
    if (this.at === this.buffer.length) {
      this.buffer = [];
      this.at = 0;
    }
    return job;
  }

  /** Gives up all that has not started. */
  drop(): HeldJob[] {
    const dropped = this.buffer.slice(this.at);
    this.buffer = [];
    this.at = 0;
    return dropped;
  }

  /** Gives up what stands behind handlers that suddenly take long: other workers may have places free. */
  dropStalled(): HeldJob[] {
    const stoodMs = performance.now() - this.movedAt;
    if (this.held === 0 || stoodMs < STALLED_MS) return [];
    this.meanMs = Math.max(this.meanMs ?? 0, stoodMs);
    return this.drop();
  }

  ran(ms: number): void {
    this.meanMs = this.meanMs === null ? ms : this.meanMs + NEWEST * (ms - this.meanMs);
  }

  /** Jobs worth having here: about 50 ms of work, never less than the places, so that slow handlers hoard nothing. */
  private get goal(): number {
    if (this.meanMs === null) return this.concurrency;
    const keepsBusy = (this.concurrency * DEFAULTS.holdMs) / Math.max(this.meanMs, 0.01);
    return Math.ceil(Math.max(this.concurrency, Math.min(keepsBusy, DEFAULTS.claimLimit)));
  }

  get room(): number {
    return Math.max(0, this.goal - this.held - this.running);
  }

  /** Low enough to fetch for its own sake: half the goal is used up, or a place stands idle. */
  get hungry(): boolean {
    const room = this.room;
    return (
      room > 0 && (room * 2 >= this.goal || (this.held === 0 && this.running < this.concurrency))
    );
  }

  want(): Want {
    return { queue: this.name, kinds: this.kinds, limit: Math.min(this.room, DEFAULTS.claimLimit) };
  }
}

export const mustRunAlone = ({ job }: HeldJob): boolean => isSuspect(job);
