/** Waiting for handlers to come to their end. */
import { DEFAULTS } from "../core/defaults.js";
import { timerMs } from "../core/duration.js";
import type { Time } from "../core/time.js";

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
  time: Time,
  { interrupt, giveUp }: Impatience,
): Promise<void> {
  const timers = [
    time.later(interrupt, timerMs(graceMs)),
    time.later(giveUp, timerMs(graceMs + DEFAULTS.abortGraceMs)),
  ];
  try {
    await ended;
  } finally {
    timers.forEach((cancel) => cancel());
  }
}
