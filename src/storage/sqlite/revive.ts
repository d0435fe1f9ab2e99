import type { Revival, RevivalOutcome } from "../driver.js";
import type { Engine } from "./engine.js";

export function enqueueFromFailed(
  _: Engine,
  revivals: readonly Revival[],
): Promise<RevivalOutcome[]> {
  return Promise.reject(new Error(`not built: ${revivals.length}`));
}
