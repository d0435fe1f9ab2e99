/** Broken looks into the log, at what runs and is due, and at where a job stands. */
import type {
  AttemptQuery,
  DueQuery,
  RunningQuery,
  Situation,
} from "../../../src/storage/driver.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, type Mutant } from "./mutant.js";

const attempts =
  (edit: (query: AttemptQuery) => AttemptQuery): Mutant["wrap"] =>
  (driver) => ({ ...driver, listAttempts: (query) => driver.listAttempts(edit(query)) });

const running =
  (edit: (query: RunningQuery) => RunningQuery): Mutant["wrap"] =>
  (driver) => ({ ...driver, listRunning: (query) => driver.listRunning(edit(query)) });

const due =
  (edit: (query: DueQuery) => DueQuery): Mutant["wrap"] =>
  (driver) => ({ ...driver, listDue: (query) => driver.listDue(edit(query)) });

const situated =
  (edit: (found: Situation) => Situation): Mutant["wrap"] =>
  (driver) => ({
    ...driver,
    async situation(id) {
      const found = await driver.situation(id);
      return found && edit(found);
    },
  });

/** A moment later, where one is given. */
const later = (at: number | undefined): { since?: number } =>
  at === undefined ? {} : { since: at + 1 };

export const standingMutants: readonly Mutant[] = [
  {
    name: "time-of-the-asker",
    breaks: "The time that is told is the asker's.",
    caughtBy: ["life.database-time"],
    wrap: (driver) => ({ ...driver, time: () => Promise.resolve(Date.now()) }),
  },
  {
    name: "attempts-since-after",
    breaks: "What ended in the very millisecond of `since` is left out.",
    caughtBy: ["look.attempts-by-time"],
    wrap: attempts((query) => ({ ...query, ...later(query.since) })),
  },
  {
    name: "attempts-until-included",
    breaks: "What ended in the very millisecond of `until` is listed.",
    caughtBy: ["look.attempts-by-time"],
    rewrites: [{ find: "a.ended_at < ?", put: "a.ended_at <= ?" }],
  },
  {
    name: "attempts-of-first-kind",
    breaks: "Of several kinds only the first is listed, and of none all.",
    caughtBy: ["look.attempts-of-kinds"],
    wrap: attempts(({ kinds, ...query }) => ({
      ...query,
      ...(kinds !== undefined && kinds.length > 0 && { kinds: kinds.slice(0, 1) }),
    })),
  },
  {
    name: "attempts-newest-once",
    breaks: "The pages behind the first go forward again.",
    caughtBy: ["look.attempts-newest-first"],
    rewrites: [
      {
        find: "(a.ended_at, a.job_id, a.run) < (?, ?, ?)",
        put: "(a.ended_at, a.job_id, a.run) > (?, ?, ?)",
      },
    ],
  },
  {
    name: "attempts-offset-of-pages",
    breaks: "An offset counts only at the beginning of the list.",
    caughtBy: ["look.attempts-offset"],
    wrap: attempts(({ offset, ...query }) => ({
      ...query,
      ...(offset !== undefined && query.after === undefined && { offset }),
    })),
  },
  {
    name: "running-by-id",
    breaks: "What runs is listed by its ids.",
    caughtBy: ["running.order"],
    rewrites: [
      {
        find: "order by r.started_at, r.job_id, r.run limit",
        put: "order by r.job_id, r.run limit",
      },
    ],
  },
  {
    name: "running-skips",
    breaks: "A page begins after the millisecond in which the last one started.",
    caughtBy: ["running.order"],
    rewrites: [
      {
        find: "(r.started_at, r.job_id, r.run) > (?, ?, ?)",
        put: "(r.started_at > ? and ? is not null and ? is not null)",
      },
    ],
  },
  {
    name: "running-though-decided",
    breaks: "A run that was cancelled is listed as running until its worker gives it up.",
    caughtBy: ["running.only"],
    rewrites: [
      change(
        SQL.listRunning,
        "not exists (select 1 from qudo_outcome o where o.job_id = r.job_id and o.run = r.run)",
        "true",
      ),
    ],
  },
  {
    name: "running-of-every-queue",
    breaks: "What runs cannot be narrowed by queue.",
    caughtBy: ["running.narrowed"],
    wrap: running((query) => ({ ...query, queue: undefined })),
  },
  {
    name: "running-since-after",
    breaks: "What started in the very millisecond of `since` is left out.",
    caughtBy: ["running.narrowed"],
    wrap: running((query) => ({ ...query, ...later(query.since) })),
  },
  {
    name: "due-by-priority",
    breaks: "Of the priorities of a lane only the first is looked at.",
    caughtBy: ["due.order"],
    rewrites: [change(SQL.nextPrio, "prio > ?", "prio > ? and prio < 0")],
  },
  {
    name: "due-skips",
    breaks: "A page begins after the millisecond in which the last one became due.",
    caughtBy: ["due.order"],
    rewrites: [change(SQL.dueReady, "(run_at, id) > (?, ?)", "(run_at > ? and ? is not null)")],
  },
  {
    name: "due-if-promoted",
    breaks: "What is due and was not promoted is not listed.",
    caughtBy: ["due.only"],
    rewrites: [{ find: SQL.dueDelayed, put: `${SQL.dueDelayed} and false` }],
  },
  {
    name: "due-before-its-time",
    breaks: "What is not due yet is listed where it is asked for.",
    caughtBy: ["due.only"],
    rewrites: [change(SQL.dueDelayed, "and run_at < ?", "and run_at < ? + 60000")],
  },
  {
    name: "due-of-every-kind",
    breaks: "What is due cannot be narrowed by kinds.",
    caughtBy: ["due.narrowed"],
    wrap: due((query) => ({ ...query, kinds: undefined })),
  },
  {
    name: "due-until-included",
    breaks: "What became due in the very millisecond of `until` is listed.",
    caughtBy: ["due.narrowed"],
    rewrites: [change(SQL.dueReady, "run_at < ?", "run_at <= ?")],
  },
  {
    name: "situation-delayed-is-ready",
    breaks: "What waits is told to be ready, whenever it is due.",
    caughtBy: ["situation.places"],
    wrap: situated((found) =>
      found.place === "delayed" ? { ...found, place: "ready" as const } : found,
    ),
  },
  {
    name: "situation-of-hidden",
    breaks: "Where a hidden job stands is told to anybody.",
    caughtBy: ["situation.places"],
    wrap: (driver) => ({
      ...driver,
      async situation(id) {
        const found = await driver.situation(id);
        const [ending] = await driver.endings([id]);
        if (found !== null || ending!.status !== "ended") return found;
        const nothing = { queuePausedAt: null, kindPausedAt: null, ahead: 0, claimedAt: null };
        return { ...nothing, limits: [], now: 0, place: "ended" };
      },
    }),
  },
  {
    name: "situation-one-pause",
    breaks: "A kind that is paused is told to be so as long as its queue.",
    caughtBy: ["situation.paused"],
    wrap: situated((found) => ({
      ...found,
      kindPausedAt:
        found.kindPausedAt === null ? null : (found.queuePausedAt ?? found.kindPausedAt),
    })),
  },
  {
    name: "situation-ahead-of-its-kind",
    breaks: "Jobs of other kinds are not counted, though they come first.",
    caughtBy: ["situation.ahead"],
    rewrites: [change(SQL.openLanesOf, "queue = ?", "queue = ? and kind = 'mail'")],
  },
  {
    name: "situation-ahead-of-paused",
    breaks: "Jobs of a paused kind are counted, though nobody takes them.",
    caughtBy: ["situation.ahead"],
    rewrites: [change(SQL.openLanesOf, " and paused_at is null", "")],
  },
  {
    name: "counts-living-too",
    breaks: "What has ended is counted though nobody asked for it.",
    caughtBy: ["look.counts-living"],
    wrap: (driver) => ({
      ...driver,
      counts: (query) => driver.counts({ ...query, ended: true }),
    }),
  },
  {
    name: "counts-delayed-by-place",
    breaks: "What nobody has promoted counts as not due.",
    caughtBy: ["look.counts-due-since"],
    rewrites: [{ find: "sum(w.run_at > ?) as later", put: "sum(w.run_at > ? - 60000) as later" }],
  },
  {
    name: "counts-due-of-delayed",
    breaks: "What is not due yet counts among what waits since.",
    caughtBy: ["look.counts-due-since"],
    wrap: (driver) => ({
      ...driver,
      async counts(query) {
        const { nextDueMs } = await driver.promote(0);
        const { now } = await driver.ping();
        const rows = await driver.counts(query);
        return rows.map((row) => ({
          ...row,
          dueSince: row.dueSince ?? (nextDueMs === null ? null : now + nextDueMs),
        }));
      },
    }),
  },
];
