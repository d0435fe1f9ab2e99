/** One queue as one worker sees it: jobs held, jobs running, and how many more to ask for. */
import type { Time } from "../core/time.js";
import type { ClaimedJob, Want } from "../storage/driver.js";
import type { Places, Seat } from "./places.js";

export interface HeldJob {
  readonly job: ClaimedJob;
  readonly lease: string;
}

/** Held jobs that did not move for so long are better off elsewhere. */
const STALLED_MS = 1_000;

/** What a queue needs of its worker. */
export interface HeldQueueOf {
  readonly time: Time;
  mayClaim(): boolean;
  opening(): boolean;
  /** The database answers promptly. */
  readonly prompt: boolean;
  startOne(queue: HeldQueue): boolean;
  look(): void;
}

export class HeldQueue implements Seat {
  running = 0;
  /** Jobs asked for of which nothing is known yet. */
  asking = 0;
  /** There may be jobs that were not claimed yet. Kept for each queue: what one was told, another one may not know. */
  mayBeMore = true;
  private buffer: HeldJob[] = [];
  private at = 0;
  /** When a job was last started, or put in. */
  private movedAt = 0;

  constructor(
    readonly name: string,
    readonly places: Places,
    private readonly kinds: readonly string[] | null,
    private readonly worker: HeldQueueOf,
  ) {
    places.join(this);
  }

  get held(): number {
    return this.buffer.length - this.at;
  }

  hold(job: HeldJob): void {
    this.buffer.push(job);
    this.movedAt = this.worker.time.now();
  }

  /** The next job that may start now, if a place is free. */
  next(): HeldJob | undefined {
    if (this.places.full || this.at === this.buffer.length) return undefined;
    const job = this.buffer[this.at++];
    this.movedAt = this.worker.time.now();
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
    const stoodMs = this.worker.time.now() - this.movedAt;
    if (this.held === 0 || stoodMs < STALLED_MS) return [];
    this.places.stalled(stoodMs);
    return this.drop();
  }

  started(): void {
    this.running++;
    this.places.took(this);
  }

  /** Its handler has returned, after so many milliseconds. */
  ended(ms: number): void {
    this.running--;
    this.places.freed(ms);
  }

  get prompt(): boolean {
    return this.worker.prompt;
  }

  get eager(): boolean {
    return this.mayBeMore && this.worker.mayClaim();
  }

  get opening(): boolean {
    return this.worker.opening();
  }

  startOne(): boolean {
    return this.worker.startOne(this);
  }

  look(): void {
    this.worker.look();
  }

  get room(): number {
    return this.places.room(this);
  }

  /** Low enough to fetch for its own sake: half the goal is used up, or a place stands idle. */
  get hungry(): boolean {
    const { room, places } = this;
    return room > 0 && (room * 2 >= places.goal(this) || (this.held === 0 && !places.full));
  }

  want(): Want {
    return { queue: this.name, kinds: this.kinds, limit: Math.min(this.room, this.places.most) };
  }
}
