/** Lists of several databases: the pages of all of them, merged in order. */
import type {
  AttemptPage,
  AttemptRow,
  Driver,
  JobPage,
  JobRow,
  JobSource,
  Part,
} from "../driver.js";
import { compare } from "./compare.js";
import { mergedPage } from "./pages.js";

type Listing = Pick<Driver, "listJobs" | "listAttempts">;

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
    listAttempts: (query) =>
      mergedPage<AttemptRow, AttemptPage, AttemptPage>(
        parts,
        query.after,
        {
          ask: (driver, after) => driver.listAttempts({ ...query, after }),
          compare: (a, i, b, j) => compareAttempts(a.rows[i]!, b.rows[j]!),
          limit: query.limit,
          grows: true,
        },
        ({ taken, cursors, next }) => ({ rows: taken.map(({ row }) => row), cursors, next }),
      ),
  };
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
