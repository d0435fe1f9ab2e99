/** A database in trouble: wait longer and longer, and say so once in a while instead of at every try. */
import { QudoError } from "../core/errors.js";
import type { Time } from "../core/time.js";
import { REAL } from "../storage/time.js";
import type { Logger } from "./options.js";

const FIRST_MS = 50;
const LONGEST_MS = 5_000;
const ONE_LINE_PER_MS = 30_000;

/**
 * When each kind of trouble was last told of, by logger: a full disk is met by everything that a worker does, and is one line
 * all the same.
 */
const told = new WeakMap<Logger, Map<string, number>>();

export class Trouble {
  private tries = 0;

  /** `onMet` hears of every try that failed. `isTold`: others have told that the database is out, and will tell when it is back. */
  constructor(
    private readonly logger: Logger,
    private readonly onMet: (what: string, error: Error) => void = () => undefined,
    private readonly isTold: () => boolean = () => false,
    private readonly time: Time = REAL,
  ) {}

  /** Milliseconds to wait before the next try. */
  met(what: string, error: unknown): number {
    // What was refused without a try is no news, of any kind.
    if (!isOut(error)) this.onMet(what, error instanceof Error ? error : new Error(String(error)));
    if (!isOut(error) && !this.isTold() && this.isNews(error)) {
      const message = error instanceof Error ? error.message : String(error);
      this.logger.error(`qudo: ${what} failed and is tried again: ${message}`);
    }
    this.tries++;
    const bound = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(this.tries, 10));
    return bound / 2 + (this.time.chance() * bound) / 2;
  }

  over(): void {
    this.tries = 0;
  }

  private isNews(error: unknown): boolean {
    const now = this.time.now();
    const kind = error instanceof QudoError ? error.code : "other";
    const times = told.get(this.logger) ?? new Map<string, number>();
    told.set(this.logger, times);
    if (now - (times.get(kind) ?? Number.NEGATIVE_INFINITY) < ONE_LINE_PER_MS) return false;
    times.set(kind, now);
    return true;
  }
}

/** Refused without being asked, because it is known to be out. */
export const isOut = (error: unknown): boolean =>
  error instanceof QudoError && error.code === "QUDO_DATABASE_OUT";
