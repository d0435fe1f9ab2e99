/**
 * Which jobs a claim may take: what is counted for each limit, and what one claim adds to it. Pure: engines read the slots and
 * buckets that a claim may need into it, ask it, and write down what it took.
 *
 * A slot is a numbered place, and its number is never above the limit: nothing is counted that could be counted wrong, and what a
 * dead worker leaves goes with its runs.
 */
import { createHash } from "node:crypto";
import { idText } from "../ids.js";
import { afterTaking, fullAt, tokensIn, untilNextToken, type Bucket } from "./bucket.js";
import type { LimitSpec, RateSpec } from "./spec.js";

/** One limit that a job has to pass. */
export interface Limit {
  /** What its slots and its bucket are kept under: 16 bytes of SHA-256, as an id's text. */
  readonly hash: string;
  /** Slots; null for no limit. */
  readonly most: number | null;
  readonly rate: RateSpec | null;
}

/** What a lane's jobs are limited by. */
export interface LimitedLane {
  readonly queue: string;
  readonly kind: string;
  readonly ofKind: LimitSpec | null;
  readonly ofQueue: LimitSpec | null;
}

/** A slot of a limit that a run holds. Ids are whatever the engine keeps them as. */
export interface Slot<Id> {
  readonly limit: Limit;
  readonly n: number;
  readonly id: Id;
  readonly run: number;
}

/** A bucket after this claim. */
export interface Drawn {
  readonly limit: Limit;
  readonly bucket: Bucket;
  readonly fullAt: number;
}

/** What the jobs of one key, of a kind, wait and are counted under. */
export function keyHash(kind: string, key: string): string {
  return hashOf("key", kind, key);
}

function hashOf(...parts: readonly string[]): string {
  return idText(createHash("sha256").update(parts.join("\0")).digest());
}

/** The limits of all jobs of this lane; `host` is the machine of whoever claims. */
export function limitsOfLane(lane: LimitedLane, host: string): Limit[] {
  return [
    ...limitsOf("kind", lane.kind, lane.ofKind, host),
    ...limitsOf("queue", lane.queue, lane.ofQueue, host),
  ];
}

/** The limits of a kind, or of a queue, on this machine. */
export function limitsOf(
  scope: "kind" | "queue",
  name: string,
  spec: LimitSpec | null,
  host: string,
): Limit[] {
  if (spec === null) return [];
  const { running, perMachine, rate } = spec;
  return [
    ...limit(hashOf(scope, name), running, rate),
    ...limit(hashOf(scope, name, host), perMachine, null),
  ];
}

/** The limits of a key, beside those of its lane. */
export function limitsOfKey(ofKind: LimitSpec | null, hash: string): Limit[] {
  const perKey = ofKind?.perKey;
  return perKey == null ? [] : limit(hash, perKey.running, perKey.rate);
}

function limit(hash: string, most: number | null, rate: RateSpec | null): Limit[] {
  return most === null && rate === null ? [] : [{ hash, most, rate }];
}

/** How much of one limit is used. */
interface Use {
  readonly taken: Set<number>;
  readonly bucket: Bucket | undefined;
  drawn: number;
  /** No number below it is free. */
  from: number;
}

/** One claim at its limits. */
export class Gate<Id> {
  private readonly uses = new Map<string, Use>();
  private readonly limits = new Map<string, Limit>();
  private readonly given: Slot<Id>[] = [];

  constructor(private readonly now: number) {}

  /** What the database says of a limit that is to be asked about. */
  know(limit: Limit, taken: readonly number[], bucket: Bucket | undefined): void {
    if (this.uses.has(limit.hash)) return;
    this.uses.set(limit.hash, { taken: new Set(taken), bucket, drawn: 0, from: 1 });
  }

  knows({ hash }: Limit): boolean {
    return this.uses.has(hash);
  }

  /** How many more jobs pass all of these: Infinity for no limits. */
  room(limits: readonly Limit[]): number {
    return limits.reduce((room, one) => Math.min(room, this.roomOf(one)), Infinity);
  }

  /** One job passes them. Engines that count jobs of the same limits before they have them give no run. */
  take(limits: readonly Limit[], run?: { readonly id: Id; readonly run: number }): void {
    for (const limit of limits) {
      const use = this.uses.get(limit.hash)!;
      this.limits.set(limit.hash, limit);
      use.drawn++;
      if (limit.most === null) continue;
      while (use.taken.has(use.from)) use.from++;
      use.taken.add(use.from);
      if (run !== undefined) this.given.push({ limit, n: use.from, ...run });
    }
  }

  /** The same as it was told, for trying out what it would let pass. */
  copy(): Gate<Id> {
    const copy = new Gate<Id>(this.now);
    for (const [name, use] of this.uses) copy.uses.set(name, { ...use, taken: new Set(use.taken) });
    return copy;
  }

  /** Slots that were given to runs. */
  get slots(): readonly Slot<Id>[] {
    return this.given;
  }

  /** Buckets that tokens were taken from. */
  get drawn(): Drawn[] {
    return [...this.limits.values()].flatMap((limit) => {
      const { rate, hash } = limit;
      const { drawn, bucket: before } = this.uses.get(hash)!;
      if (rate === null || drawn === 0) return [];
      const bucket = afterTaking(drawn, before, rate, this.now);
      return [{ limit, bucket, fullAt: fullAt(bucket, rate) }];
    });
  }

  /** Milliseconds until a token lets the next one pass; null where none is missing, or something else than a token. */
  untilToken(limits: readonly Limit[]): number | null {
    let longest: number | null = null;
    for (const limit of limits) {
      const { taken, bucket, drawn } = this.uses.get(limit.hash)!;
      if (limit.most !== null && taken.size >= limit.most) return null;
      if (limit.rate === null) continue;
      const left = drawn === 0 ? bucket : afterTaking(drawn, bucket, limit.rate, this.now);
      const ms = untilNextToken(left, limit.rate, this.now);
      if (ms > 0) longest = Math.max(longest ?? 0, ms);
    }
    return longest;
  }

  private roomOf({ hash, most, rate }: Limit): number {
    const { taken, bucket, drawn } = this.uses.get(hash)!;
    const places = most === null ? Infinity : most - taken.size;
    const tokens = rate === null ? Infinity : tokensIn(bucket, rate, this.now) - drawn;
    return Math.max(0, Math.min(places, tokens));
  }
}
