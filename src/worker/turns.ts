/**
 * Handlers that compute instead of waiting run one after the other without the event loop coming round: heartbeats, timers
 * and sockets would starve. Whoever is about to start one lets the loop turn first when it has not for a while.
 */
import type { Time } from "../core/time.js";

const LONGEST_MS = 10;

export class Turns {
  private at: number;
  private coming: Promise<void> | null = null;

  constructor(private readonly time: Time) {
    this.at = time.now();
  }

  /**
   * `while (turns.due) await turns.next();` stands directly before the handler, with no await between: of those who
   * waited together the first one starts, and the next one waits again for what that one took.
   */
  get due(): boolean {
    return this.time.now() - this.at >= LONGEST_MS;
  }

  /** Resolves after the loop has turned. */
  next(): Promise<void> {
    this.coming ??= new Promise((resolve) => {
      this.time.soon(() => {
        this.coming = null;
        this.at = this.time.now();
        resolve();
      });
    });
    return this.coming;
  }
}
