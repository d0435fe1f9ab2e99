/**
 * Moves the time of a stage: from timer to timer, and over a time in which nothing can happen in one leap, so that a day costs no more than
 * a minute. For those who are leapt over it is as if their machine had slept.
 */
import type { AutoStage } from "./auto-stage.js";
import { Outlook, type Work } from "./outlook.js";

/** Whatever was set for a short time has fired after so long in which nothing happened. */
const CALM_MS = 1_500;

export class Mover {
  private readonly outlook: Outlook;
  /** What had happened when something happened last, and when that was. */
  private last = { changes: -1, running: -1, at: 0 };

  constructor(
    private readonly stage: AutoStage,
    /** Real milliseconds for which a handler is waited for. */
    private readonly patienceMs: number,
  ) {
    this.outlook = new Outlook(stage, () => this.quiet());
  }

  quiet(): Promise<void> {
    return this.stage.quiet(this.patienceMs);
  }

  work(): Promise<Work> {
    return this.outlook.ask();
  }

  /** One step on, and what follows from it. False when there is nothing to come up to that moment. */
  async step(end = Infinity): Promise<boolean> {
    const { timeline } = this.stage;
    const leap = await this.leapTo();
    const target = leap === null ? timeline.now : Math.min(leap, end);
    // Nothing at all, or nothing but looking around, for ever.
    if (target === Infinity) return false;
    // What is overdue fires first: whoever slept wakes up to it.
    if (target > Math.max(timeline.now, timeline.nextAt ?? Infinity)) timeline.moveTo(target);
    else if (!timeline.fire(end)) return false;
    await this.quiet();
    return true;
  }

  /**
   * When something comes that matters, where nothing can happen before: all that is held is in the hands of handlers that wait for
   * time to pass, and there are no two workers of which one might take the other for dead. Null where timers have to be followed
   * one by one.
   */
  private async leapTo(): Promise<number | null> {
    const { ledger, handlers, timeline } = this.stage;
    if (ledger.sessions !== 1 || !this.isCalm()) return null;
    const { now, nextMs } = await this.work();
    if (now > handlers.running) return null;
    const due = nextMs === null ? Infinity : timeline.now + nextMs;
    return Math.min(due, timeline.nextLongAt ?? Infinity);
  }

  private isCalm(): boolean {
    const { ledger, handlers, timeline } = this.stage;
    const { changes } = ledger;
    const { running } = handlers;
    if (changes !== this.last.changes || running !== this.last.running)
      this.last = { changes, running, at: timeline.now };
    return running === 0 || timeline.now - this.last.at >= CALM_MS;
  }
}
