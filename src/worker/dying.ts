/** Tells a program of runs that failed, through its own function, which must not be able to disturb anything. */
import type { JobContext } from "../core/job.js";
import { show } from "../core/options.js";

/** What a program gives as `onDie`. */
export type OnDie = (error: unknown, job: JobContext) => void | Promise<void>;

/** Calls it, and takes what it throws, now or later, for a warning. Nobody waits for it. */
export async function tell(
  onDie: OnDie,
  error: unknown,
  job: JobContext,
  logger: { warn(message: string): void },
): Promise<void> {
  try {
    await onDie(error, job);
  } catch (thrown) {
    logger.warn(`qudo: onDie threw: ${show(thrown)}`);
  }
}
