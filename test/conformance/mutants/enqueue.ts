/** Broken enqueues and unique keys. */
import { idBytes } from "../../../src/core/ids.js";
import type { NewJob } from "../../../src/storage/driver.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, FREE_ANYWAY, type Mutant } from "./mutant.js";

/** A wrapper that changes each job on its way in. */
const inserting =
  (edit: (job: NewJob) => NewJob): Mutant["wrap"] =>
  (driver) => ({ ...driver, insertJobs: (jobs) => driver.insertJobs(jobs.map(edit)) });

export const enqueueMutants: readonly Mutant[] = [
  {
    name: "codec-forgotten",
    breaks: "Every payload is stored as if it were JSON.",
    caughtBy: ["enqueue.payload-codec"],
    wrap: inserting((job) => ({ ...job, payload: { ...job.payload, codec: 1 } })),
  },
  {
    name: "duplicate-overwrites",
    breaks: "A known id is written over.",
    caughtBy: ["enqueue.duplicate-waiting", "enqueue.duplicate-finished"],
    rewrites: [change(SQL.insertJob, "insert or ignore", "insert or replace")],
  },
  {
    name: "finished-ids-forgotten",
    breaks: "Only living jobs count as duplicates: a finished id is taken for a new one.",
    caughtBy: ["enqueue.duplicate-finished", "unique.resend", "prune.ten-minutes"],
    wrap: (driver, db) => ({
      ...driver,
      async insertJobs(jobs) {
        for (const { id } of jobs)
          for (const table of ["qudo_job", "qudo_outcome"] as const)
            db.prepare(
              `delete from ${table} where ${table === "qudo_job" ? "id" : "job_id"} = ?1 and exists (
                 select 1 from qudo_outcome where job_id = ?1 and state in (1, 3, 4))`,
            ).run(idBytes(id));
        return driver.insertJobs(jobs);
      },
    }),
  },
  {
    name: "held-ids-forgotten",
    breaks: "Only waiting jobs count as duplicates: a held one is made ready again.",
    caughtBy: ["enqueue.duplicate-held"],
    wrap: (driver, db) => ({
      ...driver,
      async insertJobs(jobs) {
        const outcomes = await driver.insertJobs(jobs);
        for (const { id } of jobs)
          db.prepare(
            `insert or ignore into qudo_ready (lane, prio, run_at, id, run, fails, crashes)
             select lane, prio, run_at, id, 1, 0, 0 from qudo_job where id = ?1
               and not exists (select 1 from qudo_delayed where id = ?1)`,
          ).run(idBytes(id));
        return outcomes;
      },
    }),
  },
  {
    name: "resend-throws",
    breaks: "A known id is an error.",
    caughtBy: ["enqueue.duplicate-in-one-call", "enqueue.resend-by-two"],
    rewrites: [change(SQL.insertJob, "insert or ignore", "insert")],
  },
  {
    name: "binary-as-text",
    breaks: "Binary payloads are stored as text.",
    caughtBy: ["enqueue.binary-payload"],
    wrap: inserting((job) => {
      const { bin, text, codec } = job.payload;
      const asText = bin === null ? text : Buffer.from(bin).toString("utf8");
      return { ...job, payload: { codec, text: asText, bin: null } };
    }),
  },
  {
    name: "waits-for-nothing",
    breaks: "A delay is ignored.",
    caughtBy: ["enqueue.delay", "promote.due-only"],
    wrap: inserting((job) => ({ ...job, delayMs: 0 })),
  },
  {
    name: "moment-ignored",
    breaks: "A moment given is ignored.",
    caughtBy: ["enqueue.run-at"],
    wrap: inserting((job) => ({ ...job, runAt: null })),
  },
  {
    name: "unique-key-ignored",
    breaks: "Keys are stored and never looked at.",
    caughtBy: ["unique.one-living", "unique.in-one-call", "unique.kept-over-retries"],
    wrap: inserting((job) => ({ ...job, uniqueKey: null })),
  },
  {
    name: "unique-key-stolen",
    breaks: "The last one who asks gets the key.",
    caughtBy: ["unique.one-living", "retry.key-is-taken"],
    rewrites: [change(SQL.takeUniqueKey, "insert or ignore", "insert or replace")],
  },
  {
    name: "unique-key-over-kinds",
    breaks: "A key is looked for among all kinds.",
    caughtBy: ["unique.per-kind"],
    wrap: (driver) => ({
      ...driver,
      insertJobs: (jobs) =>
        driver.insertJobs(jobs.map((job) => (job.uniqueKey ? { ...job, kind: "mail" } : job))),
    }),
  },
  {
    name: "unique-key-leaked",
    breaks: "A key is never given up.",
    caughtBy: ["unique.freed-at-the-end", "unique.freed-by-crashes", "unique.freed-by-expiry"],
    rewrites: [change(SQL.freeUniqueKey, "where", "where 0 and")],
  },
  {
    name: "unique-key-freed-while-leased",
    breaks: "Cancelling frees the key though the handler still runs.",
    caughtBy: ["unique.kept-while-cancelled-run-is-held"],
    wrap: (driver, db) => ({
      ...driver,
      async cancel(ids) {
        const outcomes = await driver.cancel(ids);
        for (const id of ids) db.prepare(SQL.freeUniqueKey).run(idBytes(id));
        return outcomes;
      },
    }),
  },
  {
    name: "unique-key-of-next-life-freed",
    breaks: "The end of an old run frees the key, though the job lives again.",
    caughtBy: [
      "unique.next-life-survives-lost-settle",
      "unique.next-life-survives-late-worker",
      "unique.next-life-survives-reap",
    ],
    rewrites: [{ find: SQL.freeUniqueKey, put: FREE_ANYWAY }],
  },
  {
    name: "unique-key-freed-by-failure",
    breaks: "Any end of a run frees the key.",
    caughtBy: ["unique.kept-over-retries"],
    wrap: (driver, db) => ({
      ...driver,
      async trip(trip) {
        const outcome = await driver.trip(trip);
        for (const { job } of trip.settle.flatMap((group) => group.settlements))
          db.prepare(FREE_ANYWAY).run(idBytes(job));
        return outcome;
      },
    }),
  },
  {
    name: "reap-leaks-keys-of-cancelled",
    breaks: "Reaping frees nothing of runs that were decided before.",
    caughtBy: ["unique.freed-by-reap-of-cancelled", "sessions.heartbeat-keeps-what-runs"],
    wrap: (driver, db) => ({
      ...driver,
      async reap(dead) {
        const kept = db
          .prepare(
            `select k.hash, k.job_id from qudo_unique_key k
             join qudo_outcome o on o.job_id = k.job_id where o.state = 4`,
          )
          .all() as { hash: Uint8Array; job_id: Uint8Array }[];
        const outcomes = await driver.reap(dead);
        for (const { hash, job_id: job } of kept) db.prepare(SQL.takeUniqueKey).run(hash, job);
        return outcomes;
      },
    }),
  },
];
