/** What is used of the limits that one waiting job has to pass. Pure: engines read the slots and buckets. */
import { tokensIn, untilNextToken, type Bucket } from "./bucket.js";
import { limitsOf, limitsOfKey, type Limit, type LimitedLane } from "./gate.js";
import type { LimitSpec } from "./spec.js";

/** Which limit it is. */
export interface LimitName {
  /** "key": of the jobs of its kind that have the same key. */
  readonly scope: "kind" | "queue" | "key";
  /** The kind, the queue, or the key itself. */
  readonly name: string;
  /** Of the workers on this machine; null for those of all. */
  readonly host: string | null;
}

/** One limit that a waiting job has to pass, and what is used of it now. */
export interface LimitUse extends LimitName {
  /** How many may be held at once, and how many are; null where that is not limited. */
  readonly running: { readonly most: number; readonly held: number } | null;
  /** How many may begin in a time, and milliseconds until the next one may, 0 for at once; null without a rate. */
  readonly rate: {
    readonly tokens: number;
    readonly perMs: number;
    readonly nextInMs: number;
  } | null;
}

/** A limit, and what people call it. */
export interface NamedLimit extends LimitName {
  readonly limit: Limit;
}

/** The key of a job: as it is kept, and as it was given. */
export interface NamedKey {
  readonly hash: string;
  readonly text: string;
}

/** All that a job has to pass, the machines' limits once for each of these hosts. */
export function namedLimits(
  { queue, kind, ofKind, ofQueue }: LimitedLane,
  key: NamedKey | null,
  hosts: readonly string[],
): NamedLimit[] {
  const ofKey = key === null ? [] : limitsOfKey(ofKind, key.hash);
  return [
    ...ofScope("kind", kind, ofKind, hosts),
    ...ofScope("queue", queue, ofQueue, hosts),
    ...ofKey.map((limit) => ({ scope: "key" as const, name: key!.text, host: null, limit })),
  ];
}

function ofScope(
  scope: "kind" | "queue",
  name: string,
  spec: LimitSpec | null,
  hosts: readonly string[],
): NamedLimit[] {
  if (spec === null) return [];
  const shared = limitsOf(scope, name, { ...spec, perMachine: null }, "");
  const each = { ...spec, running: null, rate: null };
  return [
    ...shared.map((limit) => ({ scope, name, host: null, limit })),
    ...hosts.flatMap((host) =>
      limitsOf(scope, name, each, host).map((limit) => ({ scope, name, host, limit })),
    ),
  ];
}

/** `held`: how many slots are taken. */
export function useOf(
  { limit: { most, rate }, ...name }: NamedLimit,
  held: number,
  bucket: Bucket | undefined,
  now: number,
): LimitUse {
  const { scope, name: called, host } = name;
  return {
    scope,
    name: called,
    host,
    running: most === null ? null : { most, held },
    rate: rate && {
      tokens: rate.tokens,
      perMs: rate.perMs,
      nextInMs: tokensIn(bucket, rate, now) > 0 ? 0 : untilNextToken(bucket, rate, now),
    },
  };
}
