/**
 * When an idle worker looks for jobs again. Where wake-ups arrive that is the poll behind them. Where they do not, a look comes
 * soon after work was seen and then less and less often: the gap is a share of the time without work, so that a job that came by
 * itself waits for a small part of the time that passed before it. Time is what the caller says it is.
 */
import { DEFAULTS } from "../core/defaults.js";
import type { Time } from "../core/time.js";

/**
 * Milliseconds from one look to the next, after so many without work, where nothing wakes. `chance`, from 0 to below 1, shortens it
 * by up to a half: workers that began together do not look together.
 */
export function lookGapMs(idleMs: number, chance: number): number {
  const { lookFirstMs, lookLastMs, lookShare } = DEFAULTS;
  const longest = Math.min(lookLastMs, Math.max(lookFirstMs, idleMs * lookShare));
  return longest * (1 - chance / 2);
}

export class Looks {
  private lookedAt: number;
  private workedAt: number;
  private chance = 0;
  /** When something will be there that was missing. */
  private promisedAt = Infinity;

  /**
   * `woken`: whether writes of others are told at this moment. `sleepMs`: so long from one look to the next, whatever wakes; null: as
   * the database allows.
   */
  constructor(
    private readonly time: Pick<Time, "now" | "chance">,
    private readonly woken: () => boolean,
    private readonly sleepMs: number | null = null,
  ) {
    this.lookedAt = -Infinity;
    this.workedAt = time.now();
  }

  /** A look begins. */
  looked(): void {
    this.lookedAt = this.time.now();
    this.promisedAt = Infinity;
    this.chance = this.time.chance();
  }

  /** Jobs were found, or have ended. */
  worked(): void {
    this.workedAt = this.time.now();
  }

  /** Jobs wait for something that will be there in so many milliseconds; Infinity: they do not. */
  promised(ms = Infinity): void {
    this.promisedAt = this.time.now() + ms;
  }

  /** Milliseconds until the next look is due; none left, or fewer, when it is. */
  get dueInMs(): number {
    const gap = this.sleepMs ?? this.usualGap;
    return Math.min(this.lookedAt + gap, this.promisedAt) - this.time.now();
  }

  private get usualGap(): number {
    if (this.woken()) return DEFAULTS.pollMs;
    return lookGapMs(this.lookedAt - this.workedAt, this.chance);
  }
}
