/** Broken lists of jobs, and finished jobs shown to whom they should not be. */
import { InvalidInputError } from "../../../src/core/errors.js";
import { isTerminal } from "../../../src/core/states.js";
import type { Driver, JobQuery, JobRow } from "../../../src/storage/driver.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, type Mutant } from "./mutant.js";

/** The list with its query changed. */
const asking =
  (edit: (query: JobQuery) => JobQuery): Mutant["wrap"] =>
  (driver) => ({ ...driver, listJobs: (query) => driver.listJobs(edit(query)) });

/** The list with its rows changed. */
const answering =
  (edit: (rows: readonly JobRow[]) => readonly JobRow[]): Mutant["wrap"] =>
  (driver) => ({
    ...driver,
    async listJobs(query) {
      const page = await driver.listJobs(query);
      return { ...page, rows: edit(page.rows) };
    },
  });

async function everyRow(driver: Driver, query: JobQuery): Promise<JobRow[]> {
  const rows: JobRow[] = [];
  for (let after: string | undefined; ;) {
    const page = await driver.listJobs({ ...query, limit: 1_000, after });
    rows.push(...page.rows);
    if (page.next === null) return rows;
    after = page.next;
  }
}

/** Begins again where the cursor is none. */
async function leniently<Q extends { after?: string }, P>(
  list: (query: Q) => Promise<P>,
  query: Q,
): Promise<P> {
  try {
    return await list(query);
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    return list({ ...query, after: undefined });
  }
}

export const listMutants: readonly Mutant[] = [
  {
    name: "list-ready-by-id",
    breaks: "Ready jobs are listed by their ids, not in the order in which they are claimed.",
    caughtBy: ["list.order"],
    rewrites: [
      {
        find: SQL.listReady,
        put: SQL.listReady
          .replace("order by prio, run_at, id limit", "order by id limit")
          .replace("order by w.prio, w.run_at, w.id", "order by w.id"),
      },
    ],
  },
  {
    name: "list-delayed-by-id",
    breaks: "Delayed jobs are listed by their ids, not by the time they are due.",
    caughtBy: ["list.order"],
    rewrites: [
      {
        find: SQL.listDelayed,
        put: SQL.listDelayed
          .replace("order by run_at, id limit", "order by id limit")
          .replace("order by w.run_at, w.id", "order by w.id"),
      },
    ],
  },
  {
    name: "list-oldest-first",
    breaks: "Each page lists the ended jobs oldest first.",
    caughtBy: ["list.order"],
    rewrites: [
      change(
        SQL.listEnded,
        "order by k.ended_at desc, k.job_id desc, k.run desc",
        "order by k.ended_at, k.job_id, k.run",
      ),
    ],
  },
  {
    name: "list-skips-delayed",
    breaks: "A page begins after the millisecond in which the last delayed job is due.",
    caughtBy: ["list.pages-of-one-moment"],
    rewrites: [
      change(SQL.listDelayed, "(run_at, id) > (?, ?)", "(run_at > ?1 and ?2 is not null)"),
    ],
  },
  {
    name: "list-skips-ended",
    breaks: "A page begins before the millisecond in which the last one ended.",
    caughtBy: ["list.pages-of-one-moment"],
    rewrites: [
      change(
        SQL.listEnded,
        "(ended_at, job_id, run) < (?, ?, ?)",
        "(ended_at < ?1 and ?2 is not null and ?3 is not null)",
      ),
    ],
  },
  {
    name: "list-drops-a-lease",
    breaks: "A page that ends within a lease is taken for its end.",
    caughtBy: ["list.pages"],
    rewrites: [change(SQL.leaseJobs, "where id = ?", "where 0 and id = ?")],
  },
  {
    name: "list-without-payload",
    breaks: "Listed jobs come without their payload.",
    caughtBy: ["list.rows"],
    wrap: answering((rows) =>
      rows.map((row) => ({ ...row, payload: { codec: 1, text: null, bin: null } })),
    ),
  },
  {
    name: "list-of-one-state",
    breaks: "Of several states only the first is listed.",
    caughtBy: ["list.states"],
    wrap: asking(({ states, ...query }) => ({
      ...query,
      ...(states && { states: states.slice(0, 1) }),
    })),
  },
  {
    name: "list-ignores-kind",
    breaks: "Jobs cannot be narrowed by kind.",
    caughtBy: ["list.lanes"],
    wrap: asking((query) => ({ ...query, kind: undefined })),
  },
  {
    name: "list-since-after",
    breaks: "A job created in the very millisecond of `since` is left out.",
    caughtBy: ["list.created"],
    wrap: asking((query) =>
      query.since === undefined ? query : { ...query, since: query.since + 1 },
    ),
  },
  {
    name: "list-until-included",
    breaks: "A job created in the very millisecond of `until` is listed.",
    caughtBy: ["list.created"],
    wrap: asking((query) =>
      query.until === undefined ? query : { ...query, until: query.until + 1 },
    ),
  },
  {
    name: "list-every-end",
    breaks: "A job is listed for each of its lives.",
    caughtBy: ["list.last-word"],
    rewrites: [
      change(
        SQL.listEnded,
        "and not exists (select 1 from qudo_outcome n where n.job_id = k.job_id and n.run > k.run)",
        "",
      ),
    ],
  },
  {
    name: "list-all-of-a-lease",
    breaks: "Whatever a lease lists is taken for held.",
    caughtBy: ["list.decided-while-held"],
    rewrites: [
      change(
        SQL.heldRun,
        "not exists (select 1 from qudo_outcome o where o.job_id = j.id and o.run = ?)",
        "? is not null",
      ),
    ],
  },
  {
    name: "list-until-full",
    breaks: "A page is looked for until it is full, through a million rows if need be.",
    caughtBy: ["list.bounded"],
    wrap: (driver) => ({
      ...driver,
      async listJobs(query) {
        for (let after = query.after; ;) {
          const page = await driver.listJobs({ ...query, after });
          if (page.rows.length > 0 || page.next === null) return page;
          after = page.next;
        }
      },
    }),
  },
  {
    name: "list-ends-when-short",
    breaks: "A short page is taken for the last.",
    caughtBy: ["list.bounded"],
    wrap: (driver) => ({
      ...driver,
      async listJobs(query) {
        const page = await driver.listJobs(query);
        return page.rows.length < query.limit ? { ...page, next: null } : page;
      },
    }),
  },
  {
    name: "cursor-begins-again",
    breaks: "A cursor that is none begins again.",
    caughtBy: ["list.cursor"],
    wrap: (driver) => ({
      ...driver,
      listJobs: (query) => leniently(driver.listJobs, query),
      listAttempts: (query) => leniently(driver.listAttempts, query),
    }),
  },
  {
    name: "list-by-offset",
    breaks: "A cursor counts rows instead of naming the last one.",
    caughtBy: ["list.jobs-that-move"],
    wrap: (driver) => ({
      ...driver,
      async listJobs(query) {
        const { after, limit } = query;
        const all = await everyRow(driver, query);
        const from = Number(after ?? 0);
        const rows = all.slice(from, from + limit);
        const page = await driver.listJobs({ ...query, after: undefined });
        const cursors = rows.map((_, i) => String(from + i + 1));
        const next = from + limit < all.length ? String(from + limit) : null;
        return { ...page, rows, cursors, next };
      },
    }),
  },
  {
    name: "list-one-cursor-a-page",
    breaks: "Each row is given the cursor of its page.",
    caughtBy: ["list.cursors"],
    wrap: (driver) => ({
      ...driver,
      async listJobs(query) {
        const page = await driver.listJobs(query);
        return { ...page, cursors: page.rows.map(() => page.next ?? page.cursors.at(-1)!) };
      },
    }),
  },
  {
    name: "list-waiting-is-waiting",
    breaks: "What waits is told to be due, whenever it is.",
    caughtBy: ["list.cursors"],
    wrap: (driver) => ({
      ...driver,
      async listJobs(query) {
        const page = await driver.listJobs(query);
        return { ...page, sources: page.sources.map((s) => (s === "delayed" ? "ready" : s)) };
      },
    }),
  },
  {
    name: "endings-of-any-life",
    breaks: "A retried job is told to have ended as it did before.",
    caughtBy: ["endings.last-word"],
    wrap: (driver) => ({
      ...driver,
      async endings(ids) {
        const found = await driver.endings(ids);
        const { rows } = await driver.listAttempts({ limit: 1_000 });
        return found.map((ending, i) => {
          const attempt = rows.find((row) => row.job === ids[i] && isTerminal(row.state));
          return attempt === undefined ? ending : { status: "ended", attempt };
        });
      },
    }),
  },
  {
    name: "endings-hide-too",
    breaks: "Who waits for a job that is hidden at once never learns how it ended.",
    caughtBy: ["endings.hidden-at-once"],
    wrap: (driver) => ({
      ...driver,
      async endings(ids) {
        const shown = await driver.getJobs(ids);
        const found = await driver.endings(ids);
        return found.map((ending, i) => (shown[i] === null ? { status: "absent" } : ending));
      },
    }),
  },
  {
    name: "keep-time-ignored",
    breaks: "Finished jobs are shown until they are pruned.",
    caughtBy: ["endings.hidden", "endings.hidden-at-once"],
    wrap: (driver) => ({
      ...driver,
      insertJobs: (jobs) =>
        driver.insertJobs(jobs.map((job) => ({ ...job, keepDoneMs: null, keepOtherMs: null }))),
    }),
  },
  {
    name: "keep-time-of-any-end",
    breaks: "One keep time holds for every end.",
    caughtBy: ["endings.keep-of-its-end"],
    wrap: (driver) => ({
      ...driver,
      insertJobs: (jobs) =>
        driver.insertJobs(
          jobs.map((job) => {
            const keep = job.keepDoneMs ?? job.keepOtherMs;
            return { ...job, keepDoneMs: keep, keepOtherMs: keep };
          }),
        ),
    }),
  },
  {
    name: "attempts-of-hidden",
    breaks: "The runs of a hidden job are shown.",
    caughtBy: ["endings.hidden"],
    rewrites: [{ find: "where o.job_id = a.job_id and o.prune_at", put: "where 0 and o.prune_at" }],
  },
  {
    name: "attempts-of-retried-hidden",
    breaks: "The runs of a retried job stay hidden.",
    caughtBy: ["endings.keep-of-its-end"],
    rewrites: [
      {
        find: "not exists (select 1 from qudo_outcome n where n.job_id = o.job_id and n.run > o.run)",
        put: "1",
      },
    ],
  },
  {
    name: "counts-of-hidden",
    breaks: "Hidden jobs are counted.",
    caughtBy: ["endings.hidden"],
    rewrites: [{ find: "(o.prune_at is null", put: "(1" }],
  },
  {
    name: "hidden-is-gone",
    breaks: "What is hidden is deleted at once, and a resend inserts it again.",
    caughtBy: ["endings.hidden-is-there"],
    wrap: (driver, db) => ({
      ...driver,
      insertJobs(jobs) {
        db.exec(`delete from qudo_outcome where job_id in (select id from qudo_job where keep_ms = 0);
          delete from qudo_job where keep_ms = 0`);
        return driver.insertJobs(jobs);
      },
    }),
  },
  {
    name: "holder-forgotten",
    breaks: "A held job does not say who holds it.",
    caughtBy: ["look.holder"],
    wrap: (driver) => ({
      ...driver,
      getJobs: async (ids) =>
        (await driver.getJobs(ids)).map((row) => row && { ...row, session: null }),
    }),
  },
];
