/** Broken maintenance, looking, sets and life. */
import type { CancelOutcome } from "../../../src/storage/driver.js";
import { newId } from "../../../src/storage/ids.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, type Mutant } from "./mutant.js";

export const upkeepMutants: readonly Mutant[] = [
  {
    name: "promote-loses-run",
    breaks: "A promoted job starts again at run 1.",
    caughtBy: ["promote.keeps-the-run", "settle.failure-waits"],
    rewrites: [change(SQL.due, "prio, run,", "prio, 1 as run,")],
  },
  {
    name: "promote-out-of-order",
    breaks: "Any due jobs are promoted, not those due first.",
    caughtBy: ["promote.limit"],
    rewrites: [change(SQL.due, "order by run_at, id", "order by id")],
  },
  {
    name: "promote-tells-nothing",
    breaks: "Promote does not say when the next job is due.",
    caughtBy: ["promote.due-only"],
    wrap: (driver) => ({
      ...driver,
      promote: async (limit) => ({ ...(await driver.promote(limit)), nextDueMs: null }),
    }),
  },
  {
    name: "state-from-outcome-only",
    breaks: "A job's state is that of its last outcome.",
    caughtBy: ["look.states", "settle.mark-started"],
    wrap: (driver) => ({
      ...driver,
      async getJobs(ids) {
        const rows = await driver.getJobs(ids);
        return rows.map((row) => {
          if (row === null || row.last === null) return row && { ...row, state: "pending" };
          const last = row.last.state;
          const waits = last === "released" || last === "snoozed" || last === "requeued";
          return { ...row, state: waits ? "pending" : last === "crashed" ? "failed" : last };
        });
      },
    }),
  },
  {
    name: "unknown-left-out",
    breaks: "What is not there is left out of the answer.",
    caughtBy: ["look.unknown", "sets.in-order"],
    wrap: (driver) => ({
      ...driver,
      getJobs: async (ids) => (await driver.getJobs(ids)).filter((row) => row !== null),
    }),
  },
  {
    name: "counts-forget-retry",
    breaks: "A retried job is counted as cancelled or abandoned, too.",
    caughtBy: ["look.counts-next-life"],
    rewrites: [
      {
        find: "not exists (select 1 from qudo_outcome n where n.job_id = o.job_id and n.run = o.run + 1)",
        put: "1",
      },
    ],
  },
  {
    name: "counts-mix-lanes",
    breaks: "Counts cannot be narrowed.",
    caughtBy: ["look.counts-by-lane"],
    wrap: (driver) => ({ ...driver, counts: () => driver.counts({}) }),
  },
  {
    name: "counts-without-delayed",
    breaks: "Delayed jobs are not counted.",
    caughtBy: ["look.counts"],
    rewrites: [
      { find: "from qudo_delayed w group by", put: "from qudo_delayed w where 0 group by" },
    ],
  },
  {
    name: "pages-skip",
    breaks: "A page begins after the millisecond in which the last one ended.",
    caughtBy: ["look.attempt-pages"],
    rewrites: [
      {
        find: "(a.ended_at, a.job_id, a.run) > (?, ?, ?)",
        put: "(a.ended_at > ?1 and ?2 is not null and ?3 is not null)",
      },
    ],
  },
  {
    name: "pages-newest-first",
    breaks: "Attempts are listed newest first, while the cursor goes forward.",
    caughtBy: ["look.attempt-order"],
    rewrites: [
      { find: "order by a.ended_at, a.job_id, a.run limit", put: "order by a.ended_at desc limit" },
    ],
  },
  {
    name: "filter-after-the-page",
    breaks: "A page is cut first and filtered afterwards; an empty one is taken for the end.",
    caughtBy: ["look.attempt-filters"],
    wrap: (driver) => ({
      ...driver,
      async listAttempts({ states, ...query }) {
        const page = await driver.listAttempts(query);
        const rows = page.rows.filter((row) => states?.includes(row.state) ?? true);
        return { ...page, rows, next: rows.length === 0 ? null : page.next };
      },
    }),
  },
  {
    name: "attempts-one-cursor-a-page",
    breaks: "Each attempt is given the cursor of its page.",
    caughtBy: ["look.attempt-cursors"],
    wrap: (driver) => ({
      ...driver,
      async listAttempts(query) {
        const page = await driver.listAttempts(query);
        return { ...page, cursors: page.rows.map(() => page.cursors.at(-1)!) };
      },
    }),
  },
  {
    name: "attempts-of-everybody",
    breaks: "Attempts of one job come with those of others.",
    caughtBy: ["look.attempts-of-job"],
    wrap: (driver) => ({
      ...driver,
      listAttempts: (query) => driver.listAttempts({ ...query, job: undefined }),
    }),
  },
  {
    name: "outcomes-shuffled",
    breaks: "Answers come in another order than the questions.",
    caughtBy: ["sets.in-order"],
    wrap: (driver) => ({
      ...driver,
      insertJobs: async (jobs) => (await driver.insertJobs(jobs)).toReversed(),
      retry: async (ids) => (await driver.retry(ids)).toReversed(),
      payloads: async (ids) => (await driver.payloads(ids)).toReversed(),
    }),
  },
  {
    name: "commit-per-item",
    breaks: "A set is written one by one.",
    caughtBy: ["sets.one-transaction"],
    wrap: (driver) => ({
      ...driver,
      async cancel(ids) {
        const outcomes: CancelOutcome[] = [];
        for (const id of ids) outcomes.push(...(await driver.cancel([id])));
        return outcomes;
      },
    }),
  },
  {
    name: "upkeep-per-item",
    breaks: "Maintenance moves one job per transaction.",
    caughtBy: ["sets.one-transaction-upkeep"],
    wrap: (driver) => ({
      ...driver,
      async promote(limit) {
        let moved = 0;
        for (let last = await driver.promote(1); ; last = await driver.promote(1)) {
          moved += last.moved;
          if (last.moved === 0 || moved === limit) return { ...last, moved };
        }
      },
    }),
  },
  {
    name: "empty-is-everything",
    breaks: "An empty list of ids means all jobs.",
    caughtBy: ["sets.empty"],
    wrap: (driver) => ({
      ...driver,
      getJobs: (ids) => driver.getJobs(ids.length === 0 ? [newId()] : ids),
    }),
  },
  {
    name: "host-time",
    breaks: "Times are those of the program, not of the database.",
    caughtBy: ["life.database-time"],
    wrap: (driver) => ({
      ...driver,
      ping: async () => ({ ...(await driver.ping()), now: Date.now() }),
    }),
  },
  {
    name: "migrate-starts-over",
    breaks: "Migrating drops what is there.",
    caughtBy: ["life.migrate-again"],
    wrap: (driver, db) => ({
      ...driver,
      async migrate() {
        const tables = db.prepare("select name from sqlite_master where type = 'table'").all() as {
          name: string;
        }[];
        for (const { name } of tables) db.exec(`drop table ${name}`);
        return driver.migrate();
      },
    }),
  },
  {
    name: "reading-a-migration-makes-it",
    breaks: "Whoever only wants to read what a migration would do gets the tables made.",
    caughtBy: ["life.migration-sql"],
    wrap: (driver) => ({
      ...driver,
      async migrationSql() {
        const text = await driver.migrationSql();
        await driver.migrate();
        return text;
      },
    }),
  },
  {
    name: "migrate-looks-before-the-lock",
    breaks: "Each of many that migrate at once finds no tables, and makes them.",
    caughtBy: ["life.migrate-together"],
    wrap: (driver) => ({
      ...driver,
      async migrate() {
        const from = await driver.schemaVersion();
        return { from, to: (await driver.migrate()).to };
      },
    }),
  },
  {
    name: "deaf",
    breaks: "Wake-ups are promised and never come.",
    caughtBy: ["life.wakeups"],
    wrap: (driver) => ({ ...driver, subscribe: () => () => {} }),
  },
];
