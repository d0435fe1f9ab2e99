/** What takes too long: runs that were begun before a moment, and jobs that wait although they were due before one. */
import { decode } from "../core/codec.js";
import type { Duration } from "../core/duration.js";
import { InvalidInputError } from "../core/errors.js";
import { checkName, checkOptions } from "../core/options.js";
import type { Driver, DueRow, RunningRow } from "../storage/driver.js";
import { checkKinds } from "./attempts.js";
import { choose } from "./databases.js";
import { checkMoment } from "./filter.js";
import { Gaps } from "./gaps.js";

/** What counts as too long, and whose. One of `since` and `longerThan` has to be given. */
export interface OverdueOptions {
  /** Begun, or due, before this moment. */
  since?: Date;
  /** For longer than this, by the database's clock. */
  longerThan?: Duration;
  /** Of this queue. Default: of all. */
  queue?: string;
  /** Any of these kinds. Default: all. */
  kinds?: readonly string[];
  /** Name of one of several databases. Default: all. */
  database?: string;
}

/** A run that goes on. */
export interface RunningInfo {
  readonly job: string;
  readonly run: number;
  readonly kind: string;
  readonly queue: string;
  /** The worker's session that holds it. */
  readonly worker: string;
  readonly startedAt: Date;
  /** What its handler last said with `job.progress`. */
  readonly progress: unknown;
  /** Name of the one it is in, of several databases. */
  readonly database?: string;
}

/** A job that waits although it is due. */
export interface WaitingInfo {
  readonly job: string;
  /** The run that it waits for. */
  readonly run: number;
  readonly kind: string;
  readonly queue: string;
  readonly priority: number;
  readonly dueAt: Date;
  /** Failed tries so far. */
  readonly fails: number;
  readonly crashes: number;
  /** Name of the one it is in, of several databases. */
  readonly database?: string;
}

const OPTIONS = ["since", "longerThan", "queue", "kinds", "database"] as const;

/** What {@link Driver.listRunning} and {@link Driver.listDue} take beside a page. */
export interface Overdue {
  readonly driver: Driver;
  readonly query: {
    readonly queue?: string;
    readonly kinds?: readonly string[];
    readonly until: number;
  };
}

/** @throws InvalidInputError for what cannot be asked; `where` is the function that was called. */
export function checkOverdue(
  options: OverdueOptions,
  where: string,
): (all: Driver) => Promise<Overdue> {
  checkOptions(options ?? {}, OPTIONS, where);
  const { since, longerThan, queue, kinds, database } = options ?? {};
  if ((since === undefined) === (longerThan === undefined))
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `${where} takes since (a Date) or longerThan (a duration), as in { longerThan: "10m" }.`,
    );
  const until =
    since === undefined ? checkMoment(longerThan!, "longerThan") : checkMoment(since, "since");
  const only = {
    ...(queue !== undefined && { queue: checkName(queue, "queue") }),
    ...(kinds !== undefined && { kinds: checkKinds(kinds) }),
  };
  return async (all) => {
    const { driver } = choose(all, database);
    return { driver, query: { ...only, until: await until(driver) } };
  };
}

interface PageOf<Row> {
  readonly rows: readonly Row[];
  readonly next: string | null;
}

const A_PAGE = 500;

/** All rows of a list, read in pages. `unasked` hears of databases whose rows are missing. */
export async function* rowsOfPages<Row>(
  unasked: Gaps,
  ask: (page: { after?: string; limit: number }) => Promise<PageOf<Row>>,
): AsyncGenerator<Row> {
  let after: string | null = null;
  do {
    const page: PageOf<Row> = await unasked.passing(
      ask({ limit: A_PAGE, ...(after !== null && { after }) }),
    );
    yield* page.rows;
    after = page.next;
  } while (after !== null);
}

/** `database`: where it was asked for, when one of several was. */
export function runningInfo(row: RunningRow, database = row.database): RunningInfo {
  const { job, run, kind, queue, session: worker, startedAt, progress } = row;
  return {
    job,
    run,
    kind,
    queue,
    worker,
    startedAt: new Date(startedAt),
    progress: progress === null ? null : readable(progress),
    ...(database !== undefined && { database }),
  };
}

/** `database`: where it was asked for, when one of several was. */
export function waitingInfo(row: DueRow, database = row.database): WaitingInfo {
  const { dueAt, database: _, ...rest } = row;
  return { ...rest, dueAt: new Date(dueAt), ...(database !== undefined && { database }) };
}

/** One unreadable row must not hide the others. */
function readable(text: string): unknown {
  try {
    return decode(text);
  } catch {
    return null;
  }
}
