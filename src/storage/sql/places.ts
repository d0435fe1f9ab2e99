/** Places of waiting jobs that an operator moves: pure, and the same for every engine. */
import type { Reschedule } from "../driver.js";

/** Where a waiting job stands; `nextPrio`: null while its priority is the one that it was enqueued with. */
export interface Moved {
  readonly prio: number;
  readonly runAt: number;
  readonly nextPrio: number | null;
}

/** Where it stands after the change; null where it stands there already. */
export function movedTo(place: Moved, change: Reschedule, now: number): Moved | null {
  const { priority, delayMs } = change;
  const prio = priority === null ? place.prio : 0 - priority;
  const wanted = delayMs === null ? change.runAt : now + delayMs;
  const runAt = wanted === null ? place.runAt : Math.max(wanted, now);
  // Due already, and to be due now: it keeps its place among those who wait.
  const kept = runAt <= now && place.runAt <= now ? place.runAt : runAt;
  if (kept === place.runAt && prio === place.prio) return null;
  return { prio, runAt: kept, nextPrio: prio === place.prio ? place.nextPrio : prio };
}
