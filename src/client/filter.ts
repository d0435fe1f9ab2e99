/** Which jobs are meant: filters as users write them, checked, and as the contract takes them. */
import { durationMs, type Duration } from "../core/duration.js";
import { InvalidInputError } from "../core/errors.js";
import { checkDate, checkName, checkOptions, show } from "../core/options.js";
import { JOB_STATES, type JobState } from "../core/states.js";
import type { Driver, JobQuery } from "../storage/driver.js";
import { choose, type Chosen } from "./databases.js";

/** Which jobs are meant. What is left out restricts nothing. */
export interface JobFilter {
  /** One state, or any of several. Default: all. */
  state?: JobState | readonly JobState[];
  queue?: string;
  kind?: string;
  /** Enqueued at this moment or later; a duration means so long ago, by the database's clock. */
  since?: Date | Duration;
  /** Enqueued before this moment; a duration means longer ago than that. */
  until?: Date | Duration;
  /** Name of one of several databases. Default: all. */
  database?: string;
}

const FILTER_OPTIONS = [
  "state",
  "queue",
  "kind",
  "since",
  "until",
  "database",
] as const satisfies readonly (keyof JobFilter)[];

export type Selection = Omit<JobQuery, "after" | "limit">;

/** What a filter means, and where. */
export interface Selected extends Chosen {
  readonly selection: Selection;
}

/**
 * A filter that has been read and found good, before the database is asked for anything.
 * @throws InvalidInputError for what no filter can hold; `where` is the function that was called.
 */
export function checkFilter(
  filter: JobFilter,
  where: string,
  alsoKnown: readonly string[] = [],
): (driver: Driver) => Promise<Selected> {
  checkOptions(filter, [...FILTER_OPTIONS, ...alsoKnown], where);
  const { state, queue, kind, since, until } = filter;
  const named = {
    ...(queue !== undefined && { queue: checkName(queue, "queue") }),
    ...(kind !== undefined && { kind: checkName(kind, "kind") }),
    ...(state !== undefined && { states: checkStates(state) }),
  };
  const from = since === undefined ? undefined : checkMoment(since, "since");
  const to = until === undefined ? undefined : checkMoment(until, "until");
  return async (all) => {
    const { driver, database } = choose(all, filter.database);
    const selection = {
      ...named,
      ...(from && { since: await from(driver) }),
      ...(to && { until: await to(driver) }),
    };
    return { driver, database, selection };
  };
}

/** A Date, or so long ago by the database's clock; checked at once. */
export function checkMoment(
  value: Date | Duration,
  what: string,
): (driver: Driver) => Promise<number> {
  if (value instanceof Date) {
    const at = checkDate(value, what);
    return () => Promise.resolve(at);
  }
  const agoMs = durationMs(value, what);
  return async (driver) => (await driver.time()) - agoMs;
}

function checkStates(state: unknown): JobState[] {
  const states: unknown[] = Array.isArray(state) ? state : [state];
  for (const value of states)
    if (!JOB_STATES.includes(value as JobState))
      throw new InvalidInputError(
        "QUDO_INVALID_OPTION",
        `There is no job state ${show(value)}. There are: ${JOB_STATES.join(", ")}.`,
      );
  return [...new Set(states as JobState[])];
}
