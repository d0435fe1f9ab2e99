/** Broken cancels and retries. */
import { idBytes, idText } from "../../../src/core/ids.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, FREE_ANYWAY, type Mutant } from "./mutant.js";

export const operateMutants: readonly Mutant[] = [
  {
    name: "cancel-leaves-row",
    breaks: "A cancelled job stays ready.",
    caughtBy: ["cancel.waiting", "cancel.promoted"],
    wrap: (driver, db) => ({
      ...driver,
      async cancel(ids) {
        db.exec("create temp table kept as select * from qudo_ready");
        const outcomes = await driver.cancel(ids);
        db.exec("insert or ignore into qudo_ready select * from kept; drop table kept");
        return outcomes;
      },
    }),
  },
  {
    name: "delayed-row-left",
    breaks: "A row taken from the delayed ones stays there.",
    caughtBy: ["cancel.waiting", "promote.once"],
    rewrites: [change(SQL.deleteDelayed, "where", "where 0 and")],
  },
  {
    name: "cancel-looks-at-first-place",
    breaks: "Cancel looks where the job was enqueued, not where its last run put it.",
    caughtBy: ["cancel.waiting-again"],
    wrap: (driver, db) => ({
      ...driver,
      async cancel(ids) {
        db.exec("create temp table kept as select * from qudo_delayed where run > 1");
        const outcomes = await driver.cancel(ids);
        db.exec("insert or ignore into qudo_delayed select * from kept; drop table kept");
        return outcomes;
      },
    }),
  },
  {
    name: "cancel-of-ended",
    breaks: "A job that has ended can be cancelled, and ends twice.",
    caughtBy: ["cancel.ended"],
    wrap: (driver, db) => ({
      ...driver,
      async cancel(ids) {
        const outcomes = await driver.cancel(ids);
        for (const [i, outcome] of outcomes.entries())
          if (outcome === "already")
            db.prepare("update qudo_outcome set state = 4 where job_id = ? and state = 1").run(
              idBytes(ids[i]!),
            );
        return outcomes;
      },
    }),
  },
  {
    name: "cancel-only-waiting",
    breaks: "A held job is not cancelled, though the answer says so.",
    caughtBy: ["cancel.held", "fence.cancelled-run"],
    wrap: (driver) => ({
      ...driver,
      async cancel(ids) {
        const rows = await driver.getJobs(ids);
        const held = rows.map((row) => row?.state === "reserved" || row?.state === "running");
        const outcomes = await driver.cancel(ids.filter((_, i) => !held[i]));
        return held.map((isHeld) => (isHeld ? "cancelled" : outcomes.shift()!));
      },
    }),
  },
  {
    name: "cancel-drops-lease",
    breaks: "Cancelling a held run takes its lease away, and with it all that says who holds it.",
    caughtBy: ["cancel.running"],
    wrap: (driver, db) => ({
      ...driver,
      async cancel(ids) {
        const outcomes = await driver.cancel(ids);
        for (const id of ids)
          db.prepare("delete from qudo_lease where instr(jobs, ?) > 0").run(idBytes(id));
        return outcomes;
      },
    }),
  },
  {
    name: "audit-finds-fault-with-cancelled",
    breaks: "A cancelled run that its worker has not given up is called a violation.",
    caughtBy: ["cancel.running"],
    wrap: (driver, db) => ({
      ...driver,
      async audit() {
        const shown = db
          .prepare("select job_id, run from qudo_running join qudo_outcome using (job_id, run)")
          .all() as { job_id: Uint8Array; run: number }[];
        const detail = "shown as running, but it was decided";
        return [
          ...(await driver.audit()),
          ...shown.map(({ job_id: id, run }) => ({
            invariant: "I1" as const,
            job: idText(id),
            run,
            detail,
          })),
        ];
      },
    }),
  },
  {
    name: "retry-without-outcome",
    breaks: "A retry takes no run number: the job is simply put back.",
    caughtBy: ["retry.clean-slate", "retry.cancelled"],
    wrap: (driver, db) => ({
      ...driver,
      async retry(ids) {
        const outcomes = await driver.retry(ids);
        db.exec(`update qudo_ready set run = run - 1 where exists (
            select 1 from qudo_outcome o where o.job_id = qudo_ready.id and o.state = 8 and o.run = qudo_ready.run - 1);
          delete from qudo_outcome where state = 8`);
        return outcomes;
      },
    }),
  },
  {
    name: "retry-keeps-failures",
    breaks: "A retried job begins with the failures of its last life.",
    caughtBy: ["retry.clean-slate"],
    wrap: (driver, db) => ({
      ...driver,
      async retry(ids) {
        const outcomes = await driver.retry(ids);
        const fails = `coalesce((select o.fails from qudo_outcome o where o.job_id = qudo_ready.id and o.run = qudo_ready.run - 2), 0)`;
        db.exec(`update qudo_ready set fails = ${fails} where exists (
          select 1 from qudo_outcome o where o.job_id = qudo_ready.id and o.state = 8)`);
        return outcomes;
      },
    }),
  },
  {
    name: "retry-of-done",
    breaks: "A job that is done can be retried.",
    caughtBy: ["retry.refused"],
    wrap: (driver, db) => ({
      ...driver,
      async retry(ids) {
        db.exec("update qudo_outcome set state = 4, reason = 6 where state = 1");
        const outcomes = await driver.retry(ids);
        db.exec("update qudo_outcome set state = 1, reason = null where state = 4 and reason = 6");
        return outcomes;
      },
    }),
  },
  {
    name: "retry-without-key",
    breaks: "A retried job does not take its unique key again.",
    caughtBy: ["retry.takes-its-key"],
    wrap: (driver, db) => ({
      ...driver,
      async retry(ids) {
        const outcomes = await driver.retry(ids);
        for (const [i, outcome] of outcomes.entries())
          if (outcome.status === "requeued") db.prepare(FREE_ANYWAY).run(idBytes(ids[i]!));
        return outcomes;
      },
    }),
  },
  {
    name: "retry-twice",
    breaks: "Two that retry at once both win.",
    caughtBy: ["retry.once"],
    wrap: (driver) => ({
      ...driver,
      async retry(ids) {
        const outcomes = await driver.retry(ids);
        return outcomes.map((o) =>
          o.status === "refused" && o.state === "pending" ? { status: "requeued" } : o,
        );
      },
    }),
  },
];
