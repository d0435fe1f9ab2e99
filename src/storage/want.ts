/** Whether a job is among those that a claimer wants: for all engines alike. */
import type { Want } from "./records.js";

export function isWanted(
  { queue, kinds }: Want,
  job: { readonly queue: string; readonly kind: string },
): boolean {
  return queue === job.queue && (kinds === null || kinds.includes(job.kind));
}
