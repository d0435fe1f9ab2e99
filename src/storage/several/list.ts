/** Lists of several databases: the pages of all of them, merged in order. */
import type {
  AttemptPage,
  AttemptRow,
  Driver,
  DuePage,
  DueRow,
  JobPage,
  JobRow,
  JobSource,
  Part,
  RunningPage,
  RunningRow,
} from "../driver.js";
import { compare } from "./compare.js";
import { mergedPage, type Merged } from "./pages.js";

type Listing = Pick<Driver, "listJobs" | "listAttempts" | "listRunning" | "listDue">;

export function listing(parts: readonly Part[]): Listing {
  return {
    listJobs: (query) =>
      mergedPage<JobRow, JobPage, JobPage>(
        parts,
        query.after,
        {
          ask: (driver, after) => driver.listJobs({ ...query, after }),
          compare: compareJobs,
          limit: query.limit,
          grows: false,
        },
        ({ taken, cursors, next }) => ({
          rows: taken.map(({ row }) => row),
          sources: taken.map(({ page, i }) => page.sources[i]!),
          cursors,
          next,
        }),
      ),
    listAttempts: ({ offset = 0, ...query }) =>
      mergedPage<AttemptRow, AttemptPage, AttemptPage>(
        parts,
        query.after,
        {
          // Which rows are passed over is known when all are merged.
          ask: (driver, after) =>
            driver.listAttempts({ ...query, limit: offset + query.limit, after }),
          compare: byRow<AttemptRow>(query.newestFirst === true ? newestFirst : compareAttempts),
          limit: offset + query.limit,
          grows: query.newestFirst !== true,
        },
        (merged) => pageFrom(merged, offset),
      ),
    listRunning: (query) =>
      mergedPage<RunningRow, RunningPage, RunningPage>(
        parts,
        query.after,
        {
          ask: (driver, after) => driver.listRunning({ ...query, after }),
          compare: byRow<RunningRow>(compareRunning),
          limit: query.limit,
          grows: false,
        },
        (merged) => pageFrom(merged),
      ),
    listDue: (query) =>
      mergedPage<DueRow, DuePage, DuePage>(
        parts,
        query.after,
        {
          ask: (driver, after) => driver.listDue({ ...query, after }),
          compare: byRow<DueRow>(compareDue),
          limit: query.limit,
          grows: false,
        },
        (merged) => pageFrom(merged),
      ),
  };
}

/** Without the first so many rows. */
function pageFrom<Row, Page>({ taken, cursors, next }: Merged<Row, Page>, from = 0) {
  return { rows: taken.slice(from).map(({ row }) => row), cursors: cursors.slice(from), next };
}

interface Rows<Row> {
  readonly rows: readonly Row[];
}

/** Pages whose rows alone say which of them comes first. */
function byRow<Row>(compareRows: (a: Row, b: Row) => number) {
  return (a: Rows<Row>, i: number, b: Rows<Row>, j: number): number =>
    compareRows(a.rows[i]!, b.rows[j]!);
}

const SOURCES: readonly JobSource[] = ["held", "ready", "keyed", "delayed", "ended"];

/** As they are listed in one database; ready ones of several queues and kinds by their priority, as far as each database's own order allows. */
function compareJobs(a: JobPage, i: number, b: JobPage, j: number): number {
  const [source, other] = [a.sources[i]!, b.sources[j]!];
  const [one, two] = [a.rows[i]!, b.rows[j]!];
  if (source !== other) return SOURCES.indexOf(source) - SOURCES.indexOf(other);
  switch (source) {
    case "held":
    case "keyed":
      return 0;
    case "ready":
      return two.priority - one.priority || one.runAt - two.runAt || compare(one.id, two.id);
    case "delayed":
      return one.runAt - two.runAt || compare(one.id, two.id);
    case "ended":
      return endOf(two) - endOf(one) || compare(two.id, one.id);
  }
}

function endOf({ last }: JobRow): number {
  return last?.endedAt ?? 0;
}

function compareAttempts(a: AttemptRow, b: AttemptRow): number {
  return a.endedAt - b.endedAt || compare(a.job, b.job) || a.run - b.run;
}

const newestFirst = (a: AttemptRow, b: AttemptRow): number => compareAttempts(b, a);

function compareRunning(a: RunningRow, b: RunningRow): number {
  return a.startedAt - b.startedAt || compare(a.job, b.job) || a.run - b.run;
}

function compareDue(a: DueRow, b: DueRow): number {
  return a.dueAt - b.dueAt || compare(a.job, b.job);
}
