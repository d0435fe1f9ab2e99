/** Figures: how many jobs are where, what happened, which workers and databases are there. */
import { askAll, complete, mapped } from "../core/ask.js";
import type { Duration } from "../core/duration.js";
import { checkFlag, checkName, checkOptions } from "../core/options.js";
import type { Time } from "../core/time.js";
import type {
  CountQuery,
  Driver,
  LaneCounts,
  LimitRow,
  SessionRow,
  TallyRow,
} from "../storage/driver.js";
import { REAL } from "../storage/time.js";
import {
  changesSince,
  follow,
  type Change,
  type ChangesOptions,
  type FollowOptions,
} from "./changes.js";
import { choose, databaseInfos, type DatabaseInfo } from "./databases.js";
import { figuresOf, type DatabaseFigures, type Figures } from "./figures.js";
import { checkMoment } from "./filter.js";
import { Gaps } from "./gaps.js";
import {
  checkOverdue,
  rowsOfPages,
  runningInfo,
  waitingInfo,
  type OverdueOptions,
  type RunningInfo,
  type WaitingInfo,
} from "./overdue.js";

/** How often something happened to the jobs of one queue and kind within one minute. */
export interface Throughput extends Omit<TallyRow, "minute"> {
  /** Its beginning. */
  readonly minute: Date;
}

/** Counts of one of several databases. */
export interface DatabaseCounts extends LaneCounts {
  /** Its name; null where there is no list of databases. */
  readonly database: string | null;
}

/** Which of several databases is asked. */
export interface DatabaseFilter {
  /** Its name. Default: all. */
  database?: string;
}

/** Which jobs are counted. Default: all. */
export interface CountFilter extends DatabaseFilter {
  queue?: string;
  kind?: string;
}

/** Which jobs are counted, and how far. */
export interface CountOptions extends CountFilter {
  /** False: nothing that has ended is counted, which costs nothing then, however much is kept. Default true. */
  ended?: boolean;
}

const COUNT_FILTER = ["queue", "kind", "database"] as const;
const COUNT_OPTIONS = [...COUNT_FILTER, "ended"] as const;

/** @throws InvalidInputError for what cannot be counted; `where` is the function that was called. */
function checkCounts(filter: CountOptions, known: readonly string[], where: string): void {
  checkOptions(filter, known, where);
  const { queue, kind, ended } = filter;
  if (queue !== undefined) checkName(queue, "queue");
  if (kind !== undefined) checkName(kind, "kind");
  if (ended !== undefined) checkFlag(ended, "ended");
}

/**
 * Over several databases each figure is the sum of all.
 * @throws IncompleteError from each of its functions, with the figures of the others, when one of several databases could not be asked.
 */
export class Monitor {
  constructor(
    private readonly driver: () => Promise<Driver>,
    private readonly time: Time = REAL,
  ) {}

  /** Jobs by state, for each queue and kind. "paused" is what is paused in all databases that have it. */
  async counts(filter: CountOptions = {}): Promise<LaneCounts[]> {
    checkCounts(filter, COUNT_OPTIONS, "monitor.counts");
    const { database, ...query } = filter;
    return choose(await this.driver(), database).driver.counts(query);
  }

  /** The same, of each database by itself. */
  async countsByDatabase(filter: CountOptions = {}): Promise<DatabaseCounts[]> {
    checkCounts(filter, COUNT_OPTIONS, "monitor.countsByDatabase");
    const each = this.eachDatabase(filter, (driver, query) => driver.counts(query));
    return mapped(each, (answers) =>
      answers.flatMap(({ database, said }) => said.map((row) => ({ database, ...row }))),
    );
  }

  /** How many jobs are unfinished, and where they stand: in one look, which costs nothing for what has ended. */
  async figures(filter: CountFilter = {}): Promise<Figures> {
    checkCounts(filter, COUNT_FILTER, "monitor.figures");
    return mapped(this.counts({ ...filter, ended: false }), figuresOf);
  }

  /** The same, of each database by itself. */
  async figuresByDatabase(filter: CountFilter = {}): Promise<DatabaseFigures[]> {
    checkCounts(filter, COUNT_FILTER, "monitor.figuresByDatabase");
    const each = this.eachDatabase({ ...filter, ended: false }, (driver, query) =>
      driver.counts(query),
    );
    return mapped(each, (answers) =>
      answers.map(({ database, said }) => ({ database, ...figuresOf(said) })),
    );
  }

  /** How many jobs are shown as running: see {@link Figures}, as for all of these. */
  async running(filter: CountFilter = {}): Promise<number> {
    return mapped(this.figures(filter), ({ running }) => running);
  }

  /** How many jobs wait, be it for their first run or for another one. */
  async pending(filter: CountFilter = {}): Promise<number> {
    return mapped(this.figures(filter), ({ pending }) => pending);
  }

  /** How many jobs have not ended. */
  async outstanding(filter: CountFilter = {}): Promise<number> {
    return mapped(this.figures(filter), ({ outstanding }) => outstanding);
  }

  /** How many jobs are due and have not ended: what workers could be busy with now. */
  async load(filter: CountFilter = {}): Promise<number> {
    return mapped(this.figures(filter), ({ load }) => load);
  }

  /**
   * Runs that were begun before a moment, or have gone on for longer than a time, the oldest first: `overdue({ longerThan: "10m" })`.
   * A run is known here from its first second on, or from when it tells of its progress.
   */
  async overdue(options: OverdueOptions): Promise<RunningInfo[]> {
    const ask = checkOverdue(options, "monitor.overdue");
    const { driver, query } = await ask(await this.driver());
    const unasked = new Gaps();
    const found: RunningInfo[] = [];
    const rows = rowsOfPages(unasked, (page) => driver.listRunning({ ...query, ...page }));
    for await (const row of rows) found.push(runningInfo(row, options.database));
    return unasked.complete(found);
  }

  /**
   * Jobs that wait although they were due before a moment, or have been for longer than a time, the longest waiting one first: as
   * many as there are, read in pages.
   * @throws IncompleteError at its end, when one of several databases could not be asked.
   */
  async *late(options: OverdueOptions): AsyncGenerator<WaitingInfo> {
    const ask = checkOverdue(options, "monitor.late");
    const { driver, query } = await ask(await this.driver());
    const unasked = new Gaps();
    const rows = rowsOfPages(unasked, (page) => driver.listDue({ ...query, ...page }));
    for await (const row of rows) yield waitingInfo(row, options.database);
    unasked.complete(undefined);
  }

  /**
   * What changed from this moment, or from so long ago, until now, in the order of time: jobs that became due and still wait, runs
   * that are shown as running, runs that ended. Read in pages; it costs what was written since, and not what is kept.
   * @throws IncompleteError at its end, when one of several databases could not be asked.
   */
  changesSince(since: Date | Duration, options: ChangesOptions = {}): AsyncGenerator<Change> {
    return changesSince(this.driver, since, options);
  }

  /**
   * The same without an end: what changes from now on, or from `since` on, as it happens, each change once. Ends with its signal, or
   * with the loop over it. A database that cannot be asked is asked again, from where it was, while the others go on; changes of
   * one look are in the order of time.
   */
  follow(options: FollowOptions = {}): AsyncGenerator<Change> {
    return follow(this.driver, this.time, options);
  }

  /**
   * Every enqueue and every end of a run, counted per minute, queue and kind, from this moment or so long ago on. Kept for as long
   * as `keep.counts` of Qudo says.
   */
  async tally(since: Date | Duration, filter: DatabaseFilter = {}): Promise<Throughput[]> {
    const from = checkMoment(since, "since");
    checkOptions(filter, ["database"], "monitor.tally");
    const { driver } = choose(await this.driver(), filter.database);
    return mapped(driver.tally(await from(driver)), (rows) =>
      rows.map(({ minute, ...row }) => ({ minute: new Date(minute), ...row })),
    );
  }

  /** Workers that are known to the database, dead ones until they are reaped. Over several databases a worker has a session in each. */
  async workers(filter: DatabaseFilter = {}): Promise<SessionRow[]> {
    checkOptions(filter, ["database"], "monitor.workers");
    const { driver, database } = choose(await this.driver(), filter.database);
    return mapped(driver.sessions(), (rows) =>
      database === undefined ? rows : rows.map((row) => ({ ...row, database })),
    );
  }

  /** Limits that workers have declared, and how much of them is used: kinds before queues. Each of several databases has its own. */
  async limits(filter: DatabaseFilter = {}): Promise<LimitRow[]> {
    checkOptions(filter, ["database"], "monitor.limits");
    const { driver, database } = choose(await this.driver(), filter.database);
    return mapped(driver.limits(), (rows) =>
      database === undefined ? rows : rows.map((row) => ({ ...row, database })),
    );
  }

  /** Each of several databases as this process sees it, after it has been asked. Empty where there is no list of databases. */
  async databases(): Promise<DatabaseInfo[]> {
    return databaseInfos(await this.driver());
  }

  /** Asks each of several databases, or the one named; the only one has no name. */
  private async eachDatabase<Said>(
    { database: name, ...query }: CountOptions,
    ask: (driver: Driver, query: CountQuery) => Promise<Said>,
  ): Promise<{ database: string | null; said: Said }[]> {
    const all = await this.driver();
    choose(all, name);
    if (all.parts === undefined) return [{ database: null, said: await ask(all, query) }];
    const parts = all.parts.filter((part) => name === undefined || part.name === name);
    const { answers, unasked } = await askAll(parts, ({ driver }) => ask(driver, query));
    return complete(
      unasked,
      answers.map(({ part, said }) => ({ database: part.name, said })),
    );
  }
}
