/** Waiting for handlers to come to their end. */
import { DEFAULTS } from "../core/defaults.js";
import { timerMs } from "../core/duration.js";

/** What is done to those that take longer. */
export interface Impatience {
  interrupt(): void;
  /** They ignore their signal. */
  giveUp(): void;
}

/** Resolves with `ended`. After the grace what runs is interrupted, and given up a little later. */
export async function waitFor(
  ended: Promise<void>,
  graceMs: number,
  { interrupt, giveUp }: Impatience,
): Promise<void> {
  const timers = [
    setTimeout(interrupt, timerMs(graceMs)),
    setTimeout(giveUp, timerMs(graceMs + DEFAULTS.abortGraceMs)),
  ];
  try {
    await ended;
  } finally {
    timers.forEach(clearTimeout);
  }
}
