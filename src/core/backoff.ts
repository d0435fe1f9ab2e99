/** How long a job waits before it is tried again. */
import { durationMs, type Duration } from "./duration.js";
import { InvalidInputError } from "./errors.js";
import { LIMITS } from "./defaults.js";
import { checkOptions, show } from "./options.js";

/** The job that failed, as a backoff function sees it. */
export interface FailedJob {
  readonly id: string;
  readonly kind: string;
  readonly queue: string;
  /** As it was enqueued; undefined where it cannot be read. */
  readonly payload: unknown;
  /** What the handler threw, or the error of its time-out. */
  readonly error: unknown;
}

/**
 * Milliseconds until the next attempt. `fails` counts failures so far, 1 at the first; `random` is a number in [0, 1)
 * from the caller, for jitter. One that throws is a minute for each failure.
 */
export type Backoff = (fails: number, random: number, job: FailedJob) => number;

/** A backoff that looks at nothing but the number of failures, and chance. */
export type PlainBackoff = (fails: number, random: number) => number;

/** What {@link linearThenExponential} takes. */
export interface LinearThenExponentialOptions {
  /** Wait after the first failure. Default 60 s. */
  delay?: Duration;
  /** Failures with linear growth (delay × n) before it doubles. Default 5. */
  linear?: number;
  /** Longest wait. Default one day. */
  max?: Duration;
}

/**
 * delay × n for the first five failures, then doubling: 1, 2, 3, 4, 5, 10, 20 … minutes.
 * The default. (Rule of the seed DBIx::TaskQueue, T6.)
 */
export function linearThenExponential(options: LinearThenExponentialOptions = {}): PlainBackoff {
  checkOptions(options, ["delay", "linear", "max"], "linearThenExponential");
  const delay = durationMs(options.delay ?? "60s", "backoff delay");
  const max = durationMs(options.max ?? "1d", "backoff max");
  const linear = positiveInteger(options.linear ?? 5, "backoff linear");
  return (fails) => {
    const grown = fails <= linear ? fails : linear * 2 ** (fails - linear);
    return capped(delay, grown, max);
  };
}

/** The same wait after every failure. */
export function fixed(delay: Duration): PlainBackoff {
  const ms = durationMs(delay, "backoff delay");
  return () => ms;
}

/** What {@link exponential} takes. */
export interface ExponentialOptions {
  /** Wait after the first failure. Default 1 s. */
  delay?: Duration;
  /** Growth from one failure to the next. Default 2. */
  factor?: number;
  /** Longest wait. Default one day. */
  max?: Duration;
  /** Share of the wait that is left to chance: 0 none, 1 all of it ("full jitter"). Default 1. */
  jitter?: number;
}

/** delay × factorⁿ⁻¹, with jitter so that jobs that failed together do not come back together. */
export function exponential(options: ExponentialOptions = {}): PlainBackoff {
  checkOptions(options, ["delay", "factor", "max", "jitter"], "exponential");
  const delay = durationMs(options.delay ?? "1s", "backoff delay");
  const max = durationMs(options.max ?? "1d", "backoff max");
  const factor = options.factor ?? 2;
  const jitter = options.jitter ?? 1;
  if (!isWithin(factor, 1, 100)) throw invalid("factor", factor, "a number from 1 to 100");
  if (!isWithin(jitter, 0, 1)) throw invalid("jitter", jitter, "a number from 0 to 1");
  return (fails, random) => {
    const wait = capped(delay, factor ** (fails - 1), max);
    return Math.round(wait * (1 - jitter + jitter * random));
  };
}

/**
 * A wait that the database can store, whatever a user's own function returned. What grew past all numbers
 * (Infinity) waits longest: at once would be a busy loop.
 */
export function clampDelay(ms: number): number {
  return typeof ms === "number" && ms > 0 ? Math.min(Math.round(ms), LIMITS.delayMs) : 0;
}

/** Growth overflows to Infinity after a thousand failures, and nothing × Infinity is NaN. */
function capped(delay: number, growth: number, max: number): number {
  return delay === 0 ? 0 : Math.min(delay * growth, max);
}

/** Text that compares like a number is none. */
function isWithin(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && value >= min && value <= max;
}

function positiveInteger(value: number, what: string): number {
  if (!Number.isInteger(value) || value < 1) throw invalid(what, value, "a whole number from 1");
  return value;
}

function invalid(what: string, value: unknown, wanted: string): InvalidInputError {
  return new InvalidInputError("QUDO_INVALID_OPTION", `${what} is ${show(value)}; give ${wanted}.`);
}
