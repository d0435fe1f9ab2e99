/** What a worker did, in a line. */
import type { WorkerStats } from "../worker/stats.js";

export function statsLine({ done, failed, abandoned, released, lost }: WorkerStats): string {
  return `stopped: ${done} done, ${failed} failed, ${abandoned} abandoned, ${released} given back, ${lost} lost to others`;
}
