/** What an idle worker learns without a transaction. */
import { SessionLostError } from "../../core/errors.js";
import type { ClaimRequest, TripOutcome } from "../driver.js";
import { Doors } from "./doors.js";
import { glance, type Engine } from "./engine.js";
import { look } from "./scene.js";

/**
 * Null, or that nothing would be claimed: what an idle worker learns at each wake-up from one statement that takes no locks, and
 * where all that waits is limited from a few more. A claim that was made already is never answered here, though its jobs are not
 * ready any more.
 * @throws SessionLostError when the session is gone.
 */
export function idling(engine: Engine, request: ClaimRequest): Promise<Idle | null> {
  return glance(engine, async (work) => {
    const { session, lease, lanes } = await look(work, request, engine.lowWater);
    if (!session) throw new SessionLostError(request.session);
    if (lease) return null;
    if (lanes.length === 0) return { more: false };
    if (lanes.some(({ limited }) => limited === null)) return null;
    const doors = await Doors.see(work, lanes, request.session);
    for (const lane of lanes) if (await doors.mayEnter(lane)) return null;
    return { more: false, ...doors.wait };
  });
}

/** What is told of a claim that brought nothing. */
export type Idle = Pick<TripOutcome, "more" | "tokenInMs">;
