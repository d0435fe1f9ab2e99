/** The order in which jobs are claimed: priority, then due time, then id. */
import type { Dialect, Place } from "./dialect.js";
import { id, type Query } from "./query.js";

export interface ClaimKey {
  readonly prio: number;
  readonly run_at: number;
  /** Bytes, or their text: both are in the same order. */
  readonly id: string | Uint8Array;
}

export function inClaimOrder(a: ClaimKey, b: ClaimKey): number {
  return a.prio - b.prio || a.run_at - b.run_at || compareIds(a.id, b.id);
}

/** What comes after this place in its lane. */
export function afterPlace(
  dialect: Pick<Dialect, "beyond">,
  { prio, run_at, id: job }: Place,
): Query {
  return dialect.beyond("after", ["prio", "run_at", "id"], [prio, run_at, id(job)]);
}

function compareIds(a: ClaimKey["id"], b: ClaimKey["id"]): number {
  if (typeof a !== "string" && typeof b !== "string") return Buffer.compare(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}
