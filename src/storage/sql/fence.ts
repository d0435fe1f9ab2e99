/** What follows from what was found in the database, for every engine: pure, so that the fence is one and the same. */
import { isTerminal, RUN_STATES, runStateOf } from "../../core/states.js";
import type { DeadSession, Settlement, SettleOutcome } from "../driver.js";

/** The outcome that a run had already when it was to be settled. */
export interface Found {
  readonly state: number;
  /** This session wrote it. */
  readonly own: boolean;
}

export interface Answer {
  readonly outcome: SettleOutcome;
  /** The job has ended, and a key that was kept for this run may be free now. */
  readonly freesKey: boolean;
}

/**
 * A settlement that did not decide its run: a resend of our own is accepted, or what our handler recorded in a transaction of
 * its own; anything else is lost.
 */
export function answerTo(settlement: Settlement, found: Found | undefined): Answer {
  if (found === undefined) return { outcome: "lost", freesKey: false };
  const completed = settlement.completed === true && found.state === RUN_STATES.done;
  const same = completed || found.state === RUN_STATES[settlement.state];
  const ours = same && found.own;
  const freesKey = (!ours || completed) && isTerminal(runStateOf(found.state));
  return { outcome: ours ? "accepted" : "lost", freesKey };
}

/** When a handler that took so long began; null where it never did. */
export function startOf({ elapsedMs }: Pick<Settlement, "elapsedMs">, now: number): number | null {
  return elapsedMs === null ? null : now - Math.round(elapsedMs);
}

/** A session that was to be reaped lives after all: its beat has changed, or is fresh. */
export function isAlive(
  { beat, seen_at: seenAt }: { readonly beat: number; readonly seen_at: number },
  dead: DeadSession,
  now: number,
): boolean {
  // A heartbeat from the future is no sign of life: the host's clock was set back.
  const fresh = seenAt > now - dead.leaseMs && seenAt <= now;
  return beat !== dead.beat || (dead.cause === "expired" && fresh);
}
