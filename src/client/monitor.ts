/** Figures: how many jobs are where, what happened, which workers and databases are there. */
import { askAll, complete, mapped } from "../core/ask.js";
import type { Duration } from "../core/duration.js";
import { checkOptions } from "../core/options.js";
import type { Driver, LaneCounts, LimitRow, SessionRow, TallyRow } from "../storage/driver.js";
import { choose, databaseInfos, type DatabaseInfo } from "./databases.js";
import { checkMoment } from "./filter.js";

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

/**
 * Over several databases each figure is the sum of all.
 * @throws IncompleteError from each of its functions, with the figures of the others, when one of several databases could not be asked.
 */
export class Monitor {
  constructor(private readonly driver: () => Promise<Driver>) {}

  /** Jobs by state, for each queue and kind. "paused" is what is paused in all databases that have it. */
  async counts(filter: CountFilter = {}): Promise<LaneCounts[]> {
    checkOptions(filter, ["queue", "kind", "database"], "monitor.counts");
    const { database, ...lane } = filter;
    return choose(await this.driver(), database).driver.counts(lane);
  }

  /** The same, of each database by itself. */
  async countsByDatabase(filter: CountFilter = {}): Promise<DatabaseCounts[]> {
    checkOptions(filter, ["queue", "kind", "database"], "monitor.countsByDatabase");
    const { database: name, ...lane } = filter;
    const all = await this.driver();
    choose(all, name);
    if (all.parts === undefined)
      return (await all.counts(lane)).map((row) => ({ database: null, ...row }));
    const parts = all.parts.filter((part) => name === undefined || part.name === name);
    const { answers, unasked } = await askAll(parts, ({ driver }) => driver.counts(lane));
    const rows = answers.flatMap(({ part, said }) =>
      said.map((row) => ({ database: part.name, ...row })),
    );
    return complete(unasked, rows);
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
}
