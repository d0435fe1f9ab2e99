import type { Reschedule, RescheduleOutcome } from "../driver.js";
import type { Engine } from "./engine.js";

export function reschedule(
  _: Engine,
  changes: readonly Reschedule[],
): Promise<RescheduleOutcome[]> {
  return Promise.reject(new Error(`not built: ${changes.length}`));
}
