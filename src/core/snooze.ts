/** What a handler returns, or throws, to be run again later. */
import { durationMs, type Duration } from "./duration.js";

/** Made by {@link snooze}. */
export class Snooze {
  readonly #delayMs: number;

  constructor(delayMs: number) {
    this.#delayMs = delayMs;
  }

  get delayMs(): number {
    return this.#delayMs;
  }

  /** By its private field: a handler may return or throw anything, also what throws when it is looked at. */
  static is(value: unknown): value is Snooze {
    return typeof value === "object" && value !== null && #delayMs in value;
  }
}

/**
 * `return snooze("5m")` ends this run of a handler and asks for another one later. It is no failure, uses up no attempt,
 * and there may be any number of them.
 * @throws InvalidInputError QUDO_INVALID_DURATION.
 */
export function snooze(delay: Duration): Snooze {
  return new Snooze(durationMs(delay, "snooze"));
}
