/** What became of every run: the log of outcomes. */
import type { Duration } from "../core/duration.js";
import { InvalidInputError } from "../core/errors.js";
import {
  checkCursor,
  checkFlag,
  checkInteger,
  checkName,
  checkOptions,
  show,
} from "../core/options.js";
import { RUN_STATES, type RunState } from "../core/states.js";
import type { AttemptPage, AttemptQuery, Driver } from "../storage/driver.js";
import { choose } from "./databases.js";
import { checkMoment } from "./filter.js";
import { Gaps } from "./gaps.js";
import { attemptInfo, checkId, type AttemptInfo } from "./info.js";

/** Which attempts {@link Attempts} shows. Default: all. */
export interface AttemptFilter {
  /** Id of one job. */
  job?: string;
  queue?: string;
  kind?: string;
  /** Any of these kinds. */
  kinds?: readonly string[];
  states?: readonly RunState[];
  /** Ended at this moment or later; a duration means so long ago, by the database's clock. */
  since?: Date | Duration;
  /** Ended before this moment; a duration means longer ago than that. */
  until?: Date | Duration;
  /** Default false: oldest first, as they are written. */
  newestFirst?: boolean;
  /** Name of one of several databases. Default: all. */
  database?: string;
}

/** Which attempts {@link Attempts.list} shows, and how many. */
export interface AttemptListOptions extends AttemptFilter {
  /** Passes over so many. Default 0. */
  offset?: number;
  /** At most so many. Default: all. */
  limit?: number;
}

/** Which attempts {@link Attempts.page} shows, and how many. */
export interface AttemptPageOptions extends AttemptFilter {
  /** `next` of the page before: finds its place however long the log is, and whatever is written meanwhile. */
  after?: string;
  /**
   * Passes over so many, from the beginning or from `after` on. They are read all the same, of several databases in each: at most
   * 10,000, and `after` leads on behind that. Default 0.
   */
  offset?: number;
  /** 1 to 1,000. Default 10. */
  limit?: number;
}

/** One page of attempts, and where the next begins. */
export interface AttemptsPage {
  readonly attempts: readonly AttemptInfo[];
  /** For the next page; null at the end. Oldest first the log grows at its end: ask again from the last one later. */
  readonly next: string | null;
}

const FILTER_OPTIONS = [
  "job",
  "queue",
  "kind",
  "kinds",
  "states",
  "since",
  "until",
  "newestFirst",
  "database",
] as const satisfies readonly (keyof AttemptFilter)[];

/** Rows that may be passed over: each of them is read. */
export const MOST_OFFSET = 10_000;

export class Attempts {
  constructor(private readonly driver: () => Promise<Driver>) {}

  /**
   * Every outcome, oldest first, read in pages: `for await (const attempt of qudo.attempts.list({ queue }))`.
   * @throws IncompleteError at its end, when one of several databases could not be asked.
   */
  async *list(options: AttemptListOptions = {}, pageSize = 1_000): AsyncGenerator<AttemptInfo> {
    const size = checkInteger(pageSize, "pageSize", 1, 10_000);
    const { limit = Infinity, offset = 0, ...filter } = options ?? {};
    const select = checkAttemptFilter(options, "attempts.list", ["limit", "offset"]);
    if (limit !== Infinity) checkInteger(limit, "limit", 1, Number.MAX_SAFE_INTEGER);
    checkInteger(offset, "offset", 0, MOST_OFFSET);
    const { driver, database } = choose(await this.driver(), filter.database);
    const query = await select(driver);
    const unasked = new Gaps();
    let [after, left]: [string | null, number] = [null, limit];
    do {
      const from = after === null ? { offset } : { after };
      const asked = driver.listAttempts({ ...query, ...from, limit: Math.min(size, left) });
      const page: AttemptPage = await unasked.passing(asked);
      for (const row of page.rows) yield attemptInfo(row, database);
      left -= page.rows.length;
      after = page.next;
    } while (after !== null && left > 0);
    unasked.complete(undefined);
  }

  /**
   * One page of {@link list}, for those who show pages: by limit and offset, or from the page before on.
   * @throws IncompleteError, with the page of the others in `found`, when one of several databases could not be asked.
   */
  async page(options: AttemptPageOptions = {}): Promise<AttemptsPage> {
    const select = checkAttemptFilter(options, "attempts.page", ["after", "limit", "offset"]);
    const limit = checkInteger(options.limit ?? 10, "limit", 1, 1_000);
    const offset = checkInteger(options.offset ?? 0, "offset", 0, MOST_OFFSET);
    const { driver, database } = choose(await this.driver(), options.database);
    const { after } = options;
    const query = {
      ...(await select(driver)),
      limit,
      offset,
      ...(after !== undefined && { after: checkCursor(after) }),
    };
    const unasked = new Gaps();
    const { rows, next } = await unasked.passing(driver.listAttempts(query));
    return unasked.complete({ attempts: rows.map((row) => attemptInfo(row, database)), next });
  }
}

type AttemptSelection = Omit<AttemptQuery, "after" | "limit" | "offset">;

/**
 * A filter that has been read and found good, before the database is asked for anything.
 * @throws InvalidInputError for what no filter can hold; `where` is the function that was called.
 */
export function checkAttemptFilter(
  filter: AttemptFilter,
  where: string,
  alsoKnown: readonly string[] = [],
): (driver: Driver) => Promise<AttemptSelection> {
  checkOptions(filter, [...FILTER_OPTIONS, ...alsoKnown], where);
  const { job, queue, kind, kinds, states, since, until, newestFirst } = filter;
  const named = {
    ...(job !== undefined && { job: checkId(job) }),
    ...(queue !== undefined && { queue: checkName(queue, "queue") }),
    ...(kind !== undefined && { kind: checkName(kind, "kind") }),
    ...(kinds !== undefined && { kinds: checkKinds(kinds) }),
    ...(states !== undefined && { states: checkStates(states) }),
    ...(newestFirst !== undefined && { newestFirst: checkFlag(newestFirst, "newestFirst") }),
  };
  const from = since === undefined ? undefined : checkMoment(since, "since");
  const to = until === undefined ? undefined : checkMoment(until, "until");
  return async (driver) => ({
    ...named,
    ...(from && { since: await from(driver) }),
    ...(to && { until: await to(driver) }),
  });
}

/** @throws InvalidInputError for what is no list of names. */
export function checkKinds(kinds: unknown, what = "kinds"): string[] {
  if (!Array.isArray(kinds))
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `${what} is ${show(kinds)}; give a list of kinds, as in ["mail.send"].`,
    );
  return kinds.map((kind) => checkName(kind, what));
}

function checkStates(states: unknown): RunState[] {
  const all: unknown[] = Array.isArray(states) ? states : [states];
  for (const state of all)
    if (typeof state !== "string" || !Object.hasOwn(RUN_STATES, state))
      throw new InvalidInputError(
        "QUDO_INVALID_OPTION",
        `There is no run state ${show(state)}. There are: ${Object.keys(RUN_STATES).join(", ")}.`,
      );
  return all as RunState[];
}
