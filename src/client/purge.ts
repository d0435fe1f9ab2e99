/** Emptying a queue. */
import { mapped } from "../core/ask.js";
import { checkName, checkOptions } from "../core/options.js";
import type { Driver } from "../storage/driver.js";
import { actOnAll, type BulkOptions, type BulkOutcome } from "./bulk.js";

/** What of a queue is purged. */
export interface PurgeOptions extends BulkOptions {
  /** Only this kind in it. */
  kind?: string;
  /** Name of one of several databases. Default: all. */
  database?: string;
}

/** What became of the jobs of a purged queue. */
export interface Purged extends BulkOutcome {
  /** Those that waited or were reserved. */
  readonly cancelled: number;
  /** Those that were running. */
  readonly abandoned: number;
}

/** Of the jobs that were there before the call, and until none of them is left, up to 1,000 to a commit. */
export async function purge(
  driver: () => Promise<Driver>,
  queue: string,
  options: PurgeOptions = {},
): Promise<Purged> {
  checkOptions(options, ["kind", "database", "dryRun"], "jobs.purge");
  const { dryRun = false, ...filter } = options;
  let abandoned = 0;
  const done = actOnAll(
    driver,
    {
      name: "jobs.purge",
      states: ["pending", "failed", "reserved", "running"],
      thorough: true,
      act: (on, ids) =>
        mapped(on.purge(ids), (outcomes) => {
          abandoned += outcomes.filter((one) => one === "abandoned").length;
          return outcomes.map((one) => (one === "cancelled" || one === "abandoned" ? null : one));
        }),
    },
    { queue: checkName(queue, "queue"), ...filter },
    { dryRun },
  );
  return mapped(done, (outcome) => ({
    ...outcome,
    cancelled: outcome.changed - abandoned,
    abandoned,
  }));
}
