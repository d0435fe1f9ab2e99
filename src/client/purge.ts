/** Emptying a queue. */
import { mapped } from "../core/ask.js";
import type { Driver } from "../storage/driver.js";
import { actOnAll, type BulkOutcome } from "./bulk.js";

/**
 * Ends all jobs of a queue that were there before the call, up to 1,000 to a commit: what waits or is reserved is cancelled, what runs is
 * abandoned.
 */
export function purge(driver: () => Promise<Driver>, queue: string): Promise<BulkOutcome> {
  return actOnAll(
    driver,
    {
      name: "purge",
      states: ["pending", "failed", "reserved", "running"],
      act: (on, ids) =>
        mapped(on.purge(ids), (outcomes) =>
          outcomes.map((one) => (one === "cancelled" || one === "abandoned" ? null : one)),
        ),
    },
    { queue },
    {},
  );
}
