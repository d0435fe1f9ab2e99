/** A bucket of tokens: filled evenly, up to its brim. Whole numbers only, so that every database keeps it alike. */
import type { RateSpec } from "./spec.js";

/** How full a bucket was at a moment. One that nobody keeps is full. */
export interface Bucket {
  /** In millionths. */
  readonly tokens: number;
  /** Milliseconds UTC of the database. */
  readonly refilledAt: number;
}

const ONE = 1_000_000;

/** Millionths that flow in each millisecond. */
const flow = ({ tokens, perMs }: RateSpec): number => (tokens * ONE) / perMs;

const inflow = (ms: number, rate: RateSpec): number => Math.floor(ms * flow(rate));

/** The shortest time in which so much flows in, however the division is rounded. */
function timeFor(amount: number, rate: RateSpec): number {
  const about = Math.ceil(amount / flow(rate));
  if (inflow(about, rate) < amount) return about + 1;
  return about > 0 && inflow(about - 1, rate) >= amount ? about - 1 : about;
}

/**
 * Where the clock was set back, nothing flows in until it has come to where it was. Where that is longer than the bucket takes to
 * be full, what it says is forgotten: it is full then.
 */
function kept(bucket: Bucket | undefined, rate: RateSpec, now: number): Bucket {
  const brim = rate.burst * ONE;
  if (bucket === undefined || bucket.refilledAt > now + brim / flow(rate))
    return { tokens: brim, refilledAt: now };
  return bucket;
}

function filledBy(bucket: Bucket | undefined, rate: RateSpec, now: number): Bucket {
  const { tokens, refilledAt } = kept(bucket, rate, now);
  const since = Math.max(0, now - refilledAt);
  const all = Math.min(rate.burst * ONE, tokens + inflow(since, rate));
  return { tokens: all, refilledAt: refilledAt + since };
}

/** Whole tokens that may be taken now. */
export function tokensIn(bucket: Bucket | undefined, rate: RateSpec, now: number): number {
  return Math.floor(filledBy(bucket, rate, now).tokens / ONE);
}

/** What is left when so many were taken; never less than nothing. */
export function afterTaking(
  n: number,
  bucket: Bucket | undefined,
  rate: RateSpec,
  now: number,
): Bucket {
  const { tokens, refilledAt } = filledBy(bucket, rate, now);
  return { tokens: Math.max(0, tokens - n * ONE), refilledAt };
}

/** Milliseconds until one token may be taken; 0: now. */
export function untilNextToken(bucket: Bucket | undefined, rate: RateSpec, now: number): number {
  const { tokens, refilledAt } = kept(bucket, rate, now);
  const missing = Math.max(0, ONE - tokens);
  return Math.max(0, refilledAt + timeFor(missing, rate) - now);
}

/** When it will be full again, and need not be kept any more. */
export function fullAt({ tokens, refilledAt }: Bucket, rate: RateSpec): number {
  return refilledAt + timeFor(rate.burst * ONE - tokens, rate);
}
