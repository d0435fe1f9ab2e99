/**
 * Time that passes only when it is told to: one clock for the database and for every process on the stage, and the timers that they
 * have set. Wall and monotonic time go together.
 */
import { DEFAULTS } from "../../core/defaults.js";
import type { Cancel } from "../../core/time.js";
import { manualClock, type ManualClock } from "../clock.js";

/** Whose timer it is: those of a frozen process wait, those of a dead one are gone. */
export interface Owner {
  readonly life: "alive" | "frozen" | "dead";
}

interface Timer {
  readonly at: number;
  /** Of two that are due at one moment the first that was set comes first. */
  readonly order: number;
  readonly owner: Owner;
  readonly act: () => void;
  /** Set for longer than a worker looks around: a time-out, a handler that sleeps. */
  readonly long: boolean;
  cancelled: boolean;
}

/** One whose moment has come. */
export interface DueTimer {
  readonly owner: Owner;
  fire(): void;
}

export class Timeline {
  /** The database's. */
  readonly clock: ManualClock;
  private readonly startMs: number;
  private elapsedMs = 0;
  private order = 0;
  private readonly timers = new Set<Timer>();

  constructor(start: Date | number = Date.now()) {
    this.startMs = Math.round(+start);
    this.clock = manualClock(this.startMs);
  }

  /** Monotonic milliseconds. */
  get now(): number {
    return this.elapsedMs;
  }

  /** No timer fires before a millisecond has passed, as in Node: whoever waits for nothing again and again would stop time. */
  set(owner: Owner, act: () => void, ms: number, aside = false): Cancel {
    const at = this.elapsedMs + Math.max(1, ms);
    const long = !aside && ms > DEFAULTS.pollMs;
    const timer: Timer = { at, order: this.order++, owner, act, long, cancelled: false };
    this.timers.add(timer);
    return () => {
      timer.cancelled = true;
      this.timers.delete(timer);
    };
  }

  /** When the next timer is due; null when there is none. It may be in the past, of a process that was frozen. */
  get nextAt(): number | null {
    return this.next()?.at ?? null;
  }

  /** The next one that somebody waits for, and that was set for long. */
  get nextLongAt(): number | null {
    return this.next(({ long }) => long)?.at ?? null;
  }

  /** Moves time to the next timer and fires it. False when there is none up to that moment. */
  fire(until = Infinity): boolean {
    const timer = this.next();
    if (timer === null || timer.at > until) return false;
    this.moveTo(Math.max(this.elapsedMs, timer.at));
    this.timers.delete(timer);
    timer.act();
    return true;
  }

  /** All that are due at this moment, in order, to be fired by whoever asks: each may be cancelled until then. */
  takeDue(): DueTimer[] {
    const due = [...this.timers].filter(
      ({ at, owner }) => at <= this.elapsedMs && owner.life === "alive",
    );
    for (const timer of due) this.timers.delete(timer);
    return due.toSorted(inOrder).map((timer) => ({
      owner: timer.owner,
      fire: () => (timer.cancelled ? undefined : timer.act()),
    }));
  }

  /** Time has passed without anybody looking: what is due meanwhile fires afterwards. Never back. */
  moveTo(elapsedMs: number): void {
    this.elapsedMs = elapsedMs;
    this.clock.set(this.startMs + Math.floor(elapsedMs));
  }

  forget(owner: Owner): void {
    for (const timer of this.timers) if (timer.owner === owner) this.timers.delete(timer);
  }

  private next(isMeant: (timer: Timer) => boolean = () => true): Timer | null {
    let first: Timer | null = null;
    for (const timer of this.timers)
      if (timer.owner.life === "alive" && isMeant(timer))
        if (first === null || inOrder(timer, first) < 0) first = timer;
    return first;
  }
}

const inOrder = (one: Timer, other: Timer): number => one.at - other.at || one.order - other.order;
