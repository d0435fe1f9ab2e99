/** The order in which jobs are claimed: priority, then due time, then id. */
export interface ClaimKey {
  readonly prio: number;
  readonly run_at: number;
  /** Bytes, or their text: both are in the same order. */
  readonly id: string | Uint8Array;
}

export function inClaimOrder(a: ClaimKey, b: ClaimKey): number {
  return a.prio - b.prio || a.run_at - b.run_at || compareIds(a.id, b.id);
}

function compareIds(a: ClaimKey["id"], b: ClaimKey["id"]): number {
  if (typeof a !== "string" && typeof b !== "string") return Buffer.compare(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}
