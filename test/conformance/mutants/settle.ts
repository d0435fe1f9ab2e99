/** Broken fences and settles. */
import { newId } from "../../../src/storage/ids.js";
import { idBytes } from "../../../src/core/ids.js";
import type { SettleGroup, Settlement, Trip } from "../../../src/storage/driver.js";
import { decodeLease, encodeLease, type LeaseEntry } from "../../../src/storage/sql/lease.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, type Mutant } from "./mutant.js";

/** The trip with each settlement changed. */
function settling(trip: Trip, edit: (settlement: Settlement) => Settlement): Trip {
  const settle = trip.settle.map((group) => ({
    ...group,
    settlements: group.settlements.map(edit),
  }));
  return { ...trip, settle };
}

/** What a lease would list that listed all that is settled through it. */
const entriesOf = ({ settlements }: SettleGroup): LeaseEntry[] =>
  settlements.map(({ job, run }) => ({ id: idBytes(job), run }));

/** A wrapper that deletes the leases of these groups, whatever else is in them. */
const dropping =
  (which: (group: SettleGroup) => boolean): Mutant["wrap"] =>
  (driver, db) => ({
    ...driver,
    async trip(trip) {
      const outcome = await driver.trip(trip);
      for (const { lease, session } of trip.settle.filter(which))
        db.prepare("delete from qudo_lease where id = ? and worker = ?").run(
          idBytes(lease),
          idBytes(session),
        );
      return outcome;
    },
  });

export const settleMutants: readonly Mutant[] = [
  {
    name: "cancelled-by-its-holder-comes-back",
    breaks: "What its holder cancels is only given back.",
    caughtBy: ["settle.cancelled"],
    wrap: (driver) => ({
      ...driver,
      trip: (trip) =>
        driver.trip(
          settling(trip, (one) =>
            one.state === "cancelled" ? { ...one, state: "released", next: "same-place" } : one,
          ),
        ),
    }),
  },
  {
    name: "no-fence",
    breaks: "The outcome is written over the one that is there.",
    caughtBy: ["fence.cancelled-run", "fence.resend-while-the-lease-is-open", "fence.other-state"],
    rewrites: [SQL.insertOutcome, SQL.insertPlainOutcome].map((sql) =>
      change(sql, "insert or ignore", "insert or replace"),
    ),
  },
  {
    name: "no-lease-check",
    breaks: "A settle needs no lease: the key of the outcome alone decides.",
    caughtBy: ["fence.no-lease", "fence.lease-of-another"],
    wrap: (driver, db) => ({
      ...driver,
      async trip(trip) {
        // As if whoever settles held what it says it holds.
        db.exec("pragma foreign_keys=off");
        for (const group of trip.settle)
          db.prepare(
            `insert into qudo_lease (id, worker, claimed_at, jobs) values (?, ?, 0, ?)
             on conflict (id) do update set worker = excluded.worker`,
          ).run(idBytes(group.lease), idBytes(group.session), encodeLease(entriesOf(group)));
        return driver.trip(trip);
      },
    }),
  },
  {
    name: "lease-is-not-read",
    breaks: "Who holds a lease may settle any run through it, listed or not.",
    caughtBy: ["fence.not-in-the-lease"],
    wrap: (driver, db) => ({
      ...driver,
      async trip(trip) {
        // As if the lease listed whatever is settled through it; under another id, for what the engine has claimed itself it remembers.
        const settle = trip.settle.map((group) => {
          const lease = idBytes(group.lease);
          const row = db
            .prepare("select jobs from qudo_lease where id = ? and worker = ?")
            .get(lease, idBytes(group.session)) as { jobs: Uint8Array } | undefined;
          if (row === undefined) return group;
          const listed = decodeLease(row.jobs);
          const unlisted = entriesOf(group).filter(
            ({ id, run }) => !listed.some((l) => l.run === run && Buffer.compare(l.id, id) === 0),
          );
          if (unlisted.length === 0) return group;
          const jobs = encodeLease([...listed, ...unlisted]);
          const id = newId();
          db.prepare("update qudo_lease set id = ?, jobs = ? where id = ?").run(
            idBytes(id),
            jobs,
            lease,
          );
          return { ...group, lease: id };
        });
        return driver.trip({ ...trip, settle });
      },
    }),
  },
  {
    name: "settle-resend-places-twice",
    breaks: "A settle that finds its own outcome moves the job once more.",
    caughtBy: ["fence.resend"],
    wrap: (driver, db) => ({
      ...driver,
      async trip(trip) {
        const known = db.prepare("select 1 from qudo_outcome where job_id = ? and run = ?");
        const resent = trip.settle
          .flatMap((group) => group.settlements)
          .filter((s) => s.next !== null && known.get(idBytes(s.job), s.run) != null);
        const outcome = await driver.trip(trip);
        for (const { job, run, fails, crashes } of resent)
          db.prepare(
            `insert into qudo_delayed (run_at, id, lane, prio, run, fails, crashes)
             select run_at + 1, id, lane, prio, ?, ?, ? from qudo_job where id = ?`,
          ).run(run + 1, fails, crashes, idBytes(job));
        return outcome;
      },
    }),
  },
  {
    name: "resend-is-lost",
    breaks: "A settle that finds its own outcome takes it for another's.",
    caughtBy: ["fence.resend", "fence.resend-after-the-next-run", "prune.leased"],
    wrap: (driver, db) => ({
      ...driver,
      async trip(trip) {
        const known = db.prepare("select 1 from qudo_outcome where job_id = ? and run = ?");
        const taken = trip.settle.map((group) =>
          group.settlements.map((s) => known.get(idBytes(s.job), s.run) != null),
        );
        const outcome = await driver.trip(trip);
        const settled = outcome.settled.map((group, g) =>
          group.map((answer, i) => (taken[g]![i] ? "lost" : answer)),
        );
        return { ...outcome, settled };
      },
    }),
  },
  {
    name: "lost-is-accepted",
    breaks: "A lost settle is answered as if it had been accepted.",
    caughtBy: ["fence.late-settle", "fence.after-prune", "settle.several-leases"],
    wrap: (driver) => ({
      ...driver,
      async trip(trip) {
        const outcome = await driver.trip(trip);
        return { ...outcome, settled: outcome.settled.map((g) => g.map(() => "accepted")) };
      },
    }),
  },
  {
    name: "backoff-ignored",
    breaks: "A failed job comes back at once.",
    caughtBy: ["settle.failure-waits"],
    wrap: (driver) => ({
      ...driver,
      trip: (trip) =>
        driver.trip(
          settling(trip, (s) => (s.state === "failed" ? { ...s, next: { delayMs: 0 } } : s)),
        ),
    }),
  },
  {
    name: "failures-forgotten",
    breaks: "A settle does not write the failures so far.",
    caughtBy: ["settle.failure-comes-back", "settle.attempts-run-out"],
    wrap: (driver) => ({
      ...driver,
      trip: (trip) => driver.trip(settling(trip, (s) => ({ ...s, fails: 0 }))),
    }),
  },
  {
    name: "crashes-never-cleared",
    breaks: "A run that came back from its handler keeps the crashes before it.",
    caughtBy: ["settle.snooze", "reap.failure-clears-crashes"],
    wrap: (driver, db) => ({
      ...driver,
      trip: (trip) =>
        driver.trip(
          settling(trip, (s) => {
            const before = db
              .prepare("select crashes from qudo_outcome where job_id = ? and run = ?")
              .get(idBytes(s.job), s.run - 1) as { crashes: number } | undefined;
            return { ...s, crashes: before?.crashes ?? 0 };
          }),
        ),
    }),
  },
  {
    name: "result-dropped",
    breaks: "Results and errors are not stored.",
    caughtBy: ["settle.done-ends", "settle.failure-comes-back"],
    wrap: (driver) => ({
      ...driver,
      trip: (trip) => driver.trip(settling(trip, (s) => ({ ...s, result: null, error: null }))),
    }),
  },
  {
    name: "settle-closes-early",
    breaks: "The first settle of a lease closes it, whatever else is in it.",
    caughtBy: ["settle.part-of-a-lease", "prune.leased"],
    wrap: dropping(() => true),
  },
  {
    name: "close-is-believed",
    breaks: "A lease is closed because its worker says so, with undecided runs in it.",
    caughtBy: ["settle.close-keeps-undecided"],
    wrap: dropping((group) => group.close),
  },
  {
    name: "lease-never-closed",
    breaks: "The last settle of a lease leaves it behind.",
    caughtBy: ["settle.part-of-a-lease", "sessions.close"],
    wrap: (driver) => ({
      ...driver,
      trip: (trip) =>
        driver.trip({ ...trip, settle: trip.settle.map((group) => ({ ...group, close: false })) }),
    }),
  },
  {
    name: "started-always",
    breaks: "Whoever asks may start.",
    caughtBy: ["fence.start", "fence.lease-of-another"],
    wrap: (driver) => ({
      ...driver,
      markStarted: async (runs) => {
        await driver.markStarted(runs);
        return runs.map(() => true);
      },
    }),
  },
  {
    name: "running-row-left",
    breaks: "A settled run is still shown as running.",
    caughtBy: ["settle.mark-started"],
    rewrites: [change(SQL.deleteRunning, "where", "where 0 and")],
  },
  {
    name: "history-in-one-row",
    breaks: "Only the last attempt of a job is kept.",
    caughtBy: ["settle.history"],
    wrap: (driver, db) => ({
      ...driver,
      async trip(trip) {
        const outcome = await driver.trip(trip);
        db.exec(`delete from qudo_outcome where exists (
          select 1 from qudo_outcome n where n.job_id = qudo_outcome.job_id and n.run > qudo_outcome.run)`);
        return outcome;
      },
    }),
  },
  {
    name: "completed-is-lost",
    breaks: "What the handler recorded as done is taken for another's outcome.",
    caughtBy: ["settle.completed"],
    wrap: (driver) => ({
      ...driver,
      trip: (trip) => driver.trip(settling(trip, (s) => ({ ...s, completed: undefined }))),
    }),
  },
  {
    name: "completed-is-believed",
    breaks: "What the handler recorded counts as done though it was rolled back.",
    caughtBy: ["settle.completed-rolled-back"],
    wrap: (driver) => ({
      ...driver,
      trip: (trip) =>
        driver.trip(settling(trip, (s) => (s.completed ? { ...s, state: "done", next: null } : s))),
    }),
  },
];
