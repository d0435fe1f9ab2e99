/** Broken purges, and broken moves of jobs that wait. */
import { idBytes } from "../../../src/core/ids.js";
import { FREE_ANYWAY, type Mutant } from "./mutant.js";

export const moveMutants: readonly Mutant[] = [
  {
    name: "purge-leaves-rows",
    breaks: "A purged job stays ready, or delayed.",
    caughtBy: ["purge.waiting"],
    wrap: (driver, db) => ({
      ...driver,
      async purge(ids) {
        db.exec("create temp table kept as select * from qudo_ready");
        const outcomes = await driver.purge(ids);
        db.exec("insert or ignore into qudo_ready select * from kept; drop table kept");
        return outcomes;
      },
    }),
  },
  {
    name: "purge-is-cancel",
    breaks: "A purge cancels what runs.",
    caughtBy: ["purge.running", "purge.keeps-the-key-of-a-run"],
    wrap: (driver) => ({ ...driver, purge: (ids) => driver.cancel(ids) }),
  },
  {
    name: "purge-frees-the-key-of-a-run",
    breaks: "A purged run gives its key up while its handler still runs.",
    caughtBy: ["purge.keeps-the-key-of-a-run"],
    wrap: (driver, db) => ({
      ...driver,
      async purge(ids) {
        const outcomes = await driver.purge(ids);
        for (const id of ids) db.prepare(FREE_ANYWAY).run(idBytes(id));
        return outcomes;
      },
    }),
  },
  {
    name: "purge-of-ended",
    breaks: "What has ended is called purged.",
    caughtBy: ["purge.ended"],
    wrap: (driver) => ({
      ...driver,
      purge: async (ids) =>
        (await driver.purge(ids)).map((one) => (one === "already" ? "cancelled" : one)),
    }),
  },
  {
    name: "reschedule-without-outcome",
    breaks:
      "A job is moved without a run number for it: nothing tells its old place from the new one.",
    caughtBy: ["reschedule.time", "reschedule.delayed-priority"],
    wrap: (driver, db) => ({
      ...driver,
      async reschedule(changes) {
        const outcomes = await driver.reschedule(changes);
        for (const table of ["qudo_ready", "qudo_delayed"])
          db.exec(`update ${table} set run = run - 1 where exists (
            select 1 from qudo_outcome o where o.job_id = ${table}.id and o.state = 8 and o.run = ${table}.run - 1)`);
        db.exec("delete from qudo_outcome where state = 8");
        return outcomes;
      },
    }),
  },
  {
    name: "reschedule-into-the-past",
    breaks: "Whoever asks for yesterday gets before those who wait.",
    caughtBy: ["reschedule.moment"],
    wrap: (driver, db) => ({
      ...driver,
      async reschedule(changes) {
        const outcomes = await driver.reschedule(changes);
        for (const { id, runAt } of changes)
          if (runAt === 0) {
            db.prepare("update qudo_ready set run_at = 0 where id = ?").run(idBytes(id));
            db.prepare("update qudo_outcome set next_at = 0 where job_id = ? and state = 8").run(
              idBytes(id),
            );
          }
        return outcomes;
      },
    }),
  },
  {
    name: "reschedule-forgets-priority",
    breaks: "Another priority holds for one run only.",
    caughtBy: ["reschedule.priority"],
    wrap: (driver, db) => ({
      ...driver,
      async trip(trip) {
        db.exec("update qudo_outcome set next_prio = null where state = 8");
        return driver.trip(trip);
      },
    }),
  },
  {
    name: "reschedule-clean-slate",
    breaks: "A job that is moved begins without its failures.",
    caughtBy: ["reschedule.keeps-counters"],
    wrap: (driver, db) => ({
      ...driver,
      async reschedule(changes) {
        const outcomes = await driver.reschedule(changes);
        db.exec(
          "update qudo_ready set fails = 0; update qudo_outcome set fails = 0 where state = 8",
        );
        return outcomes;
      },
    }),
  },
  {
    name: "reschedule-of-held",
    breaks: "Whatever is asked for is called done.",
    caughtBy: ["reschedule.refused"],
    wrap: (driver) => ({
      ...driver,
      reschedule: async (changes) =>
        (await driver.reschedule(changes)).map(({ status }) => ({
          status: status === "refused" ? "rescheduled" : status,
        })),
    }),
  },
  {
    name: "reschedule-always-writes",
    breaks: "A job that stays where it is gets an outcome for it all the same.",
    caughtBy: ["reschedule.unchanged"],
    wrap: (driver) => ({
      ...driver,
      async reschedule(changes) {
        await driver.reschedule(changes.map((one) => ({ ...one, priority: 9 })));
        return driver.reschedule(changes);
      },
    }),
  },
];
