/** A database in trouble: wait longer and longer, and say so once in a while instead of at every try. */
import type { Logger } from "./options.js";

const FIRST_MS = 50;
const LONGEST_MS = 5_000;
const ONE_LINE_PER_MS = 30_000;

export class Trouble {
  private tries = 0;
  private loggedAt = Number.NEGATIVE_INFINITY;

  /** `onMet` hears of every try that failed. */
  constructor(
    private readonly logger: Logger,
    private readonly onMet: (what: string, error: Error) => void = () => undefined,
  ) {}

  /** Milliseconds to wait before the next try. */
  met(what: string, error: unknown): number {
    const now = performance.now();
    this.onMet(what, error instanceof Error ? error : new Error(String(error)));
    if (now - this.loggedAt >= ONE_LINE_PER_MS) {
      this.loggedAt = now;
      const message = error instanceof Error ? error.message : String(error);
      this.logger.error(`qudo: ${what} failed and is tried again: ${message}`);
    }
    this.tries++;
    const bound = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(this.tries, 10));
    return bound / 2 + (Math.random() * bound) / 2;
  }

  over(): void {
    this.tries = 0;
  }
}
