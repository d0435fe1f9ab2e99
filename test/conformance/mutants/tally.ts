/** Broken tallies and pauses. */
import { idBytes } from "../../../src/core/ids.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, type Mutant } from "./mutant.js";

export const tallyMutants: readonly Mutant[] = [
  {
    name: "tally-of-what-was-asked",
    breaks: "Duplicates and conflicts are counted as enqueued.",
    caughtBy: ["tally.enqueued"],
    wrap: (driver, db) => ({
      ...driver,
      async insertJobs(jobs) {
        const outcomes = await driver.insertJobs(jobs);
        const others = outcomes.filter(({ status }) => status !== "inserted").length;
        db.prepare("update qudo_tally set n = n + ? where event = 0").run(others);
        return outcomes;
      },
    }),
  },
  {
    name: "tally-without-reapers",
    breaks: "What a reaper decides is not counted.",
    caughtBy: ["tally.ends"],
    wrap: (driver, db) => ({
      ...driver,
      async reap(dead) {
        const outcomes = await driver.reap(dead);
        db.exec("delete from qudo_tally where event = 5");
        return outcomes;
      },
    }),
  },
  {
    name: "tally-counts-resends",
    breaks: "A settle that is sent again is counted again.",
    caughtBy: ["tally.once"],
    wrap: (driver, db) => ({
      ...driver,
      async trip(trip) {
        const known = db.prepare("select 1 from qudo_outcome where job_id = ? and run = ?");
        const again = trip.settle
          .flatMap((group) => group.settlements)
          .filter(({ job, run }) => known.get(idBytes(job), run) != null).length;
        const outcome = await driver.trip(trip);
        db.prepare("update qudo_tally set n = n + ? where event = 1").run(again);
        return outcome;
      },
    }),
  },
  {
    name: "tally-overwritten",
    breaks: "The count of a commit takes the place of the one before.",
    caughtBy: ["tally.ends", "tally.minutes"],
    rewrites: [change(SQL.addToTally, "n = n + excluded.n", "n = excluded.n")],
  },
  {
    name: "tally-by-session",
    breaks: "Each worker's count is a row of its own in the answer.",
    caughtBy: ["tally.sums"],
    rewrites: [
      change(SQL.tally, "t.lane, t.event order by", "t.lane, t.event, t.session order by"),
    ],
  },
  {
    name: "tally-of-one-lane",
    breaks: "All is counted for the first kind.",
    caughtBy: ["tally.lanes"],
    rewrites: [change(SQL.addToTally, "values (?, ?,", "values (?, min(?, 1),")],
  },
  {
    name: "tally-from-the-next-minute",
    breaks: "The minute of the given moment is left out.",
    caughtBy: ["tally.minutes"],
    rewrites: [change(SQL.tally, "t.minute >= ?", "t.minute > ?")],
  },
  {
    name: "pause-ignored",
    breaks: "What is paused is claimed all the same.",
    caughtBy: ["pause.queue", "pause.kind", "pause.shown"],
    rewrites: [
      change(
        SQL.lanes,
        "l.paused_at is not null or q.paused_at is not null as paused",
        "0 as paused",
      ),
    ],
  },
  {
    name: "pause-whole-queue",
    breaks: "Who pauses a kind pauses its queue.",
    caughtBy: ["pause.kind"],
    wrap: (driver) => ({
      ...driver,
      setPaused: ({ queue }, paused) => driver.setPaused({ queue, kind: null }, paused),
    }),
  },
  {
    name: "resume-all",
    breaks: "Who resumes a queue resumes every kind in it.",
    caughtBy: ["pause.apart"],
    wrap: (driver, db) => ({
      ...driver,
      setPaused(target, paused) {
        if (target.kind === null && !paused)
          db.prepare("update qudo_lane set paused_at = null where queue = ?").run(target.queue);
        return driver.setPaused(target, paused);
      },
    }),
  },
  {
    name: "pause-always-new",
    breaks: "Who pauses what is paused is told that it changed.",
    caughtBy: ["pause.changes"],
    rewrites: [
      { find: " where paused_at is null", put: "" },
      { find: " and paused_at is null", put: "" },
    ],
  },
  {
    name: "pause-known-only",
    breaks: "A queue or kind that nobody has used yet cannot be paused.",
    caughtBy: ["pause.before-the-first-job"],
    wrap: (driver, db) => ({
      ...driver,
      async setPaused(target, paused) {
        const known = db
          .prepare("select 1 from qudo_lane where queue = ?1 and kind = coalesce(?2, kind)")
          .get(target.queue, target.kind);
        return known != null && driver.setPaused(target, paused);
      },
    }),
  },
  {
    name: "pause-stops-the-held",
    breaks: "Runs of a paused queue cannot be settled.",
    caughtBy: ["pause.held"],
    wrap: (driver, db) => ({
      ...driver,
      async trip(trip) {
        const paused = db.prepare("select 1 from qudo_queue where paused_at is not null").get();
        if (paused == null) return driver.trip(trip);
        const settled = trip.settle.map((group) => group.settlements.map(() => "lost" as const));
        return { ...(await driver.trip({ ...trip, settle: [] })), settled };
      },
    }),
  },
];
