/** Limits as they are declared with kinds and queues, checked, and as the database keeps them. */
import { durationMs, type Duration } from "../duration.js";
import { InvalidInputError } from "../errors.js";
import { checkInteger, checkName, checkOptions, show } from "../options.js";

/** How many jobs may begin in a time: a bucket of tokens, of which each job takes one. */
export interface Rate {
  /** So many begin … */
  tokens: number;
  /** … in each such time, spread over it. At least 1 ms. */
  per: Duration;
  /** What the bucket holds: so many may begin at once after a time of rest. Default: `tokens`. */
  burst?: number;
}

/** Limits of all jobs of a queue, or of a kind. Each database keeps them for itself. */
export interface QueueLimits {
  /** Jobs that are held by workers at once, over all processes and machines. Default: no limit. */
  running?: number;
  /** The same for the workers of one machine, told apart by their host names. Default: no limit. */
  perMachine?: number;
  /** How many may begin in a time. Default: no limit. */
  rate?: Rate;
}

/** Limits of the jobs of a kind that have one key in common: a customer, a host, an account. Keys take turns. */
export interface KeyLimits<Payload> {
  /**
   * The job's key, worked out when it is enqueued and kept with it: text of 1 to 1,024 bytes. A job for which it
   * returns null or undefined has none, and only the limits of its kind and its queue.
   */
  key: (payload: Payload) => string | null | undefined;
  /** Jobs of one key that are held by workers at once. Default: no limit. */
  running?: number;
  /** How many of one key may begin in a time. Default: no limit. */
  rate?: Rate;
}

/** Limits of a kind of job, in whichever queue. */
export interface KindLimits<Payload> extends QueueLimits {
  perKey?: KeyLimits<Payload>;
}

/** A {@link Rate}, checked. */
export interface RateSpec {
  readonly tokens: number;
  readonly perMs: number;
  readonly burst: number;
}

/** Limits as the database keeps them. What is null is not limited. */
export interface LimitSpec {
  readonly running: number | null;
  readonly perMachine: number | null;
  readonly rate: RateSpec | null;
  readonly perKey: { readonly running: number | null; readonly rate: RateSpec | null } | null;
}

/** What a definition holds: the limits, and how a payload's key is found. */
export interface CheckedLimits {
  readonly spec: LimitSpec;
  readonly key: ((payload: unknown) => unknown) | null;
}

/** Numbers above it would be no limits. */
const MOST_RUNNING = 10_000;
const MOST_TOKENS = 1_000_000;
const KEY_BYTES = 1_024;

/** @throws InvalidInputError with the name of the first option that is wrong. */
export function checkKindLimits<Payload>(
  limits: KindLimits<Payload> | undefined,
  where: string,
): CheckedLimits | null {
  if (limits === undefined) return null;
  const { perKey, ...shared } = given(limits, where);
  checkOptions(limits, ["running", "perMachine", "rate", "perKey"], where);
  const spec = { ...sharedSpec(shared, where), perKey: null };
  if (perKey === undefined) return limitsNothing(spec) ? null : { spec, key: null };
  const inKey = `${where}.perKey`;
  checkOptions(given(perKey, inKey), ["key", "running", "rate"], inKey);
  if (typeof perKey.key !== "function")
    throw invalid(`${inKey}.key is ${show(perKey.key)}; give a function: (payload) => text.`);
  if (perKey.running === undefined && perKey.rate === undefined)
    throw invalid(`${inKey} limits nothing; give running, rate, or both.`);
  const each = {
    running: most(perKey.running, `${inKey}.running`),
    rate: rateSpec(perKey.rate, `${inKey}.rate`),
  };
  return { spec: { ...spec, perKey: each }, key: perKey.key as (payload: unknown) => unknown };
}

/** By the queue's name; null takes the limits of a queue away. @throws InvalidInputError */
export function checkQueueLimits(
  queues: Readonly<Record<string, QueueLimits | null>> | undefined,
): ReadonlyMap<string, LimitSpec | null> {
  const checked = new Map<string, LimitSpec | null>();
  if (queues === undefined) return checked;
  for (const [name, limits] of Object.entries(given(queues, "queueLimits"))) {
    const where = `queueLimits of ${show(checkName(name, "queue"))}`;
    if (limits !== null) {
      given(limits, where);
      checkOptions(limits, ["running", "perMachine", "rate"], where);
    }
    const spec = limits && { ...sharedSpec(limits, where), perKey: null };
    checked.set(name, spec === null || limitsNothing(spec) ? null : spec);
  }
  return checked;
}

/** The key that a job is limited by; null for none. @throws InvalidInputError for what is no key. */
export function keyOfPayload(
  limits: CheckedLimits | null,
  payload: unknown,
  kind: string,
): string | null {
  const key = limits?.key?.(payload) ?? null;
  if (key === null || isKey(key)) return key;
  throw invalid(
    `limits.perKey.key of "${kind}" returned ${typeof key === "string" ? "a text that is no key" : `a ${typeof key}`}; a key is text of 1 to ${KEY_BYTES} bytes without NUL, or null for a job without one.`,
  );
}

function isKey(key: unknown): key is string {
  return (
    typeof key === "string" &&
    key.length > 0 &&
    Buffer.byteLength(key) <= KEY_BYTES &&
    key.isWellFormed() &&
    !key.includes("\0")
  );
}

function limitsNothing({ running, perMachine, rate, perKey }: LimitSpec): boolean {
  return [running, perMachine, rate, perKey].every((limit) => limit === null);
}

function sharedSpec(
  { running, perMachine, rate }: QueueLimits,
  where: string,
): Omit<LimitSpec, "perKey"> {
  return {
    running: most(running, `${where}.running`),
    perMachine: most(perMachine, `${where}.perMachine`),
    rate: rateSpec(rate, `${where}.rate`),
  };
}

function most(value: number | undefined, what: string): number | null {
  return value === undefined ? null : checkInteger(value, what, 1, MOST_RUNNING);
}

function rateSpec(rate: Rate | undefined, where: string): RateSpec | null {
  if (rate === undefined) return null;
  checkOptions(given(rate, where), ["tokens", "per", "burst"], where);
  const tokens = checkInteger(rate.tokens, `${where}.tokens`, 1, MOST_TOKENS);
  const perMs = durationMs(rate.per, `${where}.per`);
  if (perMs < 1) throw invalid(`${where}.per is ${show(rate.per)}; give 1 ms at least.`);
  const burst = checkInteger(rate.burst ?? tokens, `${where}.burst`, 1, MOST_TOKENS);
  return { tokens, perMs, burst };
}

function given<T>(value: T, where: string): T {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw invalid(`${where} is ${show(value)}; give an object.`);
}

function invalid(message: string): InvalidInputError {
  return new InvalidInputError("QUDO_INVALID_OPTION", message);
}
