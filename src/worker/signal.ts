/** A bell: rung by anybody, waited for by one. Ringing before the wait is remembered. */
import type { Cancel, Time } from "../core/time.js";

export class Bell {
  private rung = false;
  private wake: (() => void) | null = null;

  constructor(private readonly time: Time) {}

  ring(): void {
    this.rung = true;
    this.wake?.();
  }

  /** Resolves when rung, or after so many milliseconds. */
  async wait(ms: number | null): Promise<void> {
    if (!this.rung) {
      let cancel: Cancel | undefined;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        if (ms !== null) cancel = this.time.later(resolve, ms);
      });
      cancel?.();
      this.wake = null;
    }
    this.rung = false;
  }

  /** So many milliseconds, for as long as this is so; each ring asks whether it still is. */
  async waitWhile(waits: () => boolean, ms: number): Promise<void> {
    const until = this.time.now() + ms;
    for (let left = ms; left > 0 && waits(); left = until - this.time.now()) await this.wait(left);
  }
}
