/** Broken pruning. */
import type { PruneOutcome } from "../../../src/storage/driver.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, type Mutant } from "./mutant.js";

/** What the engine's cursor says it has passed by; the rest of it as it is. */
function passedBy({ after }: PruneOutcome): { waiting: unknown[] } {
  return after === null ? { waiting: [] } : (JSON.parse(after) as { waiting: unknown[] });
}

export const pruneMutants: readonly Mutant[] = [
  {
    name: "prune-deletes-fence",
    breaks: "What may go at once goes at once, and resends find nothing.",
    caughtBy: ["prune.ten-minutes"],
    rewrites: [
      { find: "and o.ended_at <= ?", put: "and o.ended_at <= ? + 600000" },
      { find: "and o.prune_at <= ?", put: "and o.prune_at <= ? + 600000" },
    ],
  },
  {
    name: "prune-takes-leased",
    breaks: "Finished jobs are pruned though an open lease lists them.",
    caughtBy: ["prune.leased", "prune.last-runs-leased"],
    wrap: (driver, db) => ({
      ...driver,
      async prune(step) {
        db.exec("create temp table kept as select * from qudo_lease; delete from qudo_lease");
        const outcome = await driver.prune(step);
        db.exec("insert into qudo_lease select * from kept; drop table kept");
        return outcome;
      },
    }),
  },
  {
    name: "prune-forgets-the-leased",
    breaks: "What was leased when its scan came by is never looked at again.",
    caughtBy: ["prune.leased-later"],
    wrap: (driver) => ({
      ...driver,
      async prune(step) {
        const outcome = await driver.prune(step);
        const after = JSON.stringify({ ...passedBy(outcome), waiting: [] });
        return { ...outcome, after };
      },
    }),
  },
  {
    name: "prune-stops-at-the-leased",
    breaks: "The scan waits before what is leased: finished jobs behind it are not reached.",
    caughtBy: ["prune.past-the-leased"],
    wrap: (driver) => ({
      ...driver,
      async prune(step) {
        const outcome = await driver.prune(step);
        return passedBy(outcome).waiting.length === 0 ? outcome : { ...outcome, after: step.after };
      },
    }),
  },
  {
    name: "prune-by-any-outcome",
    breaks: "A job is pruned by an old end, though it was retried since.",
    caughtBy: ["prune.living"],
    rewrites: [
      {
        find: "(select max(n.run) from qudo_outcome n where n.job_id = o.job_id) as last",
        put: "o.run as last",
      },
    ],
  },
  {
    name: "prune-one-policy",
    breaks: "No job is kept longer than an hour, whatever became of it.",
    caughtBy: ["prune.policy"],
    wrap: (driver) => ({
      ...driver,
      prune: (step) => driver.prune({ ...step, keepMs: Math.min(step.keepMs, 3_600_000) }),
    }),
  },
  {
    name: "prune-ignores-keep",
    breaks: "A job's own keep time is ignored.",
    caughtBy: ["prune.keep-of-the-job"],
    wrap: (driver, db) => ({
      ...driver,
      async prune(step) {
        db.exec("update qudo_outcome set prune_at = null");
        return driver.prune(step);
      },
    }),
  },
  {
    name: "prune-one-keep",
    breaks: "How long a done job is kept holds for abandoned and cancelled ones, too.",
    caughtBy: ["prune.keep-of-the-job"],
    rewrites: [
      change(SQL.insertOutcome, "when 4 then keep_other_ms", "when 4 then coalesce(keep_ms, 0)"),
    ],
  },
  {
    name: "prune-forgets-own-keep",
    breaks: "A claim does not see that a job has keep times of its own.",
    caughtBy: ["prune.keep-of-the-job"],
    rewrites: [
      change(
        SQL.peek,
        "coalesce(j.keep_ms, j.keep_other_ms) is not null as own_keep",
        "0 as own_keep",
      ),
    ],
  },
  {
    name: "prune-limit-doubled",
    breaks: "A step looks at more than it was told to.",
    caughtBy: ["prune.limit"],
    wrap: (driver) => ({
      ...driver,
      prune: (step) => driver.prune({ ...step, limit: step.limit * 2 }),
    }),
  },
  {
    name: "prune-never-more",
    breaks: "A step that stopped for its limit says that the scan is at its end.",
    caughtBy: ["prune.limit", "prune.past-the-leased"],
    wrap: (driver) => ({
      ...driver,
      prune: async (step) => ({ ...(await driver.prune(step)), more: false }),
    }),
  },
  {
    name: "prune-starts-anew",
    breaks: "Each step begins at the beginning: what is kept is looked at again and again.",
    caughtBy: ["prune.goes-on"],
    wrap: (driver) => ({
      ...driver,
      prune: (step) => driver.prune({ ...step, after: null }),
    }),
  },
  {
    name: "prune-keeps-all-runs",
    breaks: "The history of a job that never ends grows without bound.",
    caughtBy: ["prune.last-runs", "prune.last-runs-later"],
    rewrites: [
      {
        find: "delete from qudo_outcome where job_id = ? and run <= ?",
        put: "delete from qudo_outcome where job_id = ? and run <= min(?, 0)",
      },
    ],
  },
  {
    name: "prune-one-run-at-a-time",
    breaks: "Only the run that is looked at goes, not what was passed by before it.",
    caughtBy: ["prune.last-runs-later"],
    rewrites: [
      {
        find: "delete from qudo_outcome where job_id = ? and run <= ?",
        put: "delete from qudo_outcome where job_id = ? and run = ?",
      },
    ],
  },
  {
    name: "prune-keeps-nineteen-runs",
    breaks: "One run too many is taken from a living job.",
    caughtBy: ["prune.last-runs"],
    rewrites: [
      {
        find: "delete from qudo_outcome where job_id = ? and run <= ?",
        put: "delete from qudo_outcome where job_id = ? and run <= ? + 1",
      },
    ],
  },
  {
    name: "dry-run-prunes",
    breaks: "A dry run deletes.",
    caughtBy: ["prune.dry-run"],
    wrap: (driver) => ({
      ...driver,
      prune: (step) => driver.prune({ ...step, dryRun: false }),
    }),
  },
  {
    name: "prune-leaves-lines",
    breaks: "Log lines of what was pruned stay for ever.",
    caughtBy: ["prune.lines"],
    rewrites: [
      {
        find: "delete from qudo_job_log where job_id = ?",
        put: "delete from qudo_job_log where false and job_id = ?",
      },
    ],
  },
  {
    name: "prune-counts-too-early",
    breaks: "A minute is taken for old when its beginning is.",
    caughtBy: ["prune.counts"],
    rewrites: [{ find: "and minute <= ? order by", put: "and minute <= ? + 60000 order by" }],
  },
];
