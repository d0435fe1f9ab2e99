/**
 * How long a worker works, over all its databases: until so many runs have ended, or there has been nothing to do for so long, or a
 * handler says so. Where nothing of that was asked for it only counts.
 */
import { timerMs } from "../core/duration.js";
import type { Cancel, Time } from "../core/time.js";

/** When a shift is over by itself; null: never. */
export interface ShiftTimes {
  readonly maxJobs: number | null;
  readonly idleMs: number | null;
}

export class Shift {
  private started = 0;
  private endedRuns = 0;
  private running = 0;
  private idleSince: number;
  private cancelWatch: Cancel | null = null;
  private hasLooked = false;
  private isOver = false;

  /** `onOver` is called once: whoever hears it takes no more jobs and lets those that run come to their end. */
  constructor(
    private readonly times: ShiftTimes,
    private readonly onOver: () => void,
    private readonly time: Time,
  ) {
    this.idleSince = time.now();
  }

  /** A database has been asked for jobs, whatever came of it: the first time idle time begins to count. */
  looked(): void {
    if (this.hasLooked) return;
    this.hasLooked = true;
    this.idleSince = this.time.now();
    this.watch();
  }

  /** Runs that may still be started. */
  get left(): number {
    const { maxJobs } = this.times;
    return maxJobs === null ? Infinity : maxJobs - this.started;
  }

  /** Runs that have ended here, but for those that were given back. */
  get worked(): number {
    return this.endedRuns;
  }

  /** A run begins; `ended` must follow. */
  took(): void {
    this.started++;
    this.running++;
  }

  /** Its handler has returned, or never started. `counts`: it was not given back for others to run. */
  ended(counts: boolean): void {
    this.running--;
    this.idleSince = this.time.now();
    if (!counts) this.started--;
    else if (++this.endedRuns === this.times.maxJobs) this.finish();
  }

  /** It is over now. */
  finish(): void {
    if (this.isOver) return;
    this.stop();
    this.onOver();
  }

  /** Whoever worked has stopped. */
  stop(): void {
    this.isOver = true;
    this.cancelWatch?.();
  }

  /** One timer for all the jobs of an idle time: it looks how long there has been nothing, and waits for the rest. */
  private watch(): void {
    const { idleMs } = this.times;
    if (idleMs === null || this.isOver) return;
    const leftMs = this.running > 0 ? idleMs : Math.ceil(this.idleSince + idleMs - this.time.now());
    if (leftMs <= 0) return this.finish();
    this.cancelWatch = this.time.aside(() => this.watch(), timerMs(leftMs));
  }
}
