/** What operators do to workers from outside: ending their sessions, with what these hold. */
import { mapped } from "../core/ask.js";
import { InvalidInputError } from "../core/errors.js";
import { isUuid } from "../core/ids.js";
import { show } from "../core/options.js";
import type { Dismissal, Driver } from "../storage/driver.js";
import { Gaps } from "./gaps.js";

/** What became of a worker whose sessions were ended. */
export interface WorkerEnd {
  /** How many it had: 0 for one that is not there. Over several databases one in each. */
  readonly sessions: number;
  /** Jobs that it held, and that were given back or abandoned. */
  readonly jobs: number;
}

/** `worker`: the id of a session, or a worker's name, which means all sessions of that name. */
export async function dismiss(driver: Driver, worker: string, how: Dismissal): Promise<WorkerEnd> {
  if (typeof worker !== "string" || worker === "")
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `${show(worker)} is no worker. Give the id of its session or its name, as monitor.workers() shows them.`,
    );
  const unasked = new Gaps();
  const ids = isUuid(worker)
    ? [worker.toLowerCase()]
    : await unasked.passing(
        mapped(driver.sessions(), (rows) => [
          ...new Set(rows.filter(({ name }) => name === worker).map(({ id }) => id)),
        ]),
      );
  const outcomes = await unasked.passing(driver.dismiss(ids, how));
  const ended = outcomes.filter((one) => one.status === "dismissed");
  return unasked.complete({
    sessions: ended.length,
    jobs: ended.reduce((sum, { runs }) => sum + runs, 0),
  });
}
