/** Broken ways to make new jobs of failed runs. */
import { idBytes } from "../../../src/core/ids.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, FREE_ANYWAY, type Mutant } from "./mutant.js";

const likeIt = (find: string, put: string) => change(SQL.insertLike, find, put);

export const reviveMutants: readonly Mutant[] = [
  {
    name: "revive-without-time-out",
    breaks: "The new job has no time-out.",
    caughtBy: ["revive.like-it"],
    rewrites: [likeIt("?, ?, max_attempts, timeout_ms,", "?, ?, max_attempts, null,")],
  },
  {
    name: "revive-without-payload",
    breaks: "The new job has no payload.",
    caughtBy: ["revive.like-it"],
    rewrites: [
      likeIt(
        "keep_other_ms, payload_text, payload_bin, codec,\n     payload_version, unique_text, unique_hash, limit_key, limit_hash, ?",
        "keep_other_ms, 'null', null, codec,\n     payload_version, unique_text, unique_hash, limit_key, limit_hash, ?",
      ),
    ],
  },
  {
    name: "revive-again",
    breaks: "Of one run as many jobs are made as are asked for.",
    caughtBy: ["revive.once", "revive.in-one-call", "revive.remembered"],
    rewrites: [
      change(SQL.retriedBy, "and seq = 0", "and seq = -1"),
      likeIt("limit_hash, ?, ?, meta", "limit_hash, ? and null, ? and null, meta"),
    ],
  },
  {
    name: "revive-remembers-by-its-job",
    breaks: "That a run was taken is known only as long as the job that was made of it is there.",
    caughtBy: ["revive.remembered"],
    wrap: (driver, db) => ({
      ...driver,
      async enqueueFromFailed(revivals) {
        db.exec(
          "delete from qudo_job_log where seq = 0 and not exists (select 1 from qudo_job where origin_id = job_id and origin_run = run)",
        );
        return driver.enqueueFromFailed(revivals);
      },
    }),
  },
  {
    name: "revive-resend-is-refused",
    breaks: "Who asks again under the same id is told that somebody else was first.",
    caughtBy: ["revive.resend"],
    wrap: (driver) => ({
      ...driver,
      enqueueFromFailed: async (revivals) =>
        (await driver.enqueueFromFailed(revivals)).map((one, i) =>
          one.status === "duplicate" ? { status: "already", by: revivals[i]!.id } : one,
        ),
    }),
  },
  {
    name: "revive-of-the-last-only",
    breaks: "Only the last run of a job can be taken.",
    caughtBy: ["revive.living"],
    wrap: (driver) => ({
      ...driver,
      async enqueueFromFailed(revivals) {
        const rows = await driver.getJobs(revivals.map(({ job }) => job));
        const last = revivals.filter(
          (one, i) => rows[i] === null || rows[i]?.last?.run === one.run,
        );
        const outcomes = await driver.enqueueFromFailed(last);
        return revivals.map((one) => outcomes[last.indexOf(one)] ?? { status: "absent" });
      },
    }),
  },
  {
    name: "revive-of-anything",
    breaks: "What has not failed can be taken, too.",
    caughtBy: ["revive.refused"],
    wrap: (driver, db) => ({
      ...driver,
      async enqueueFromFailed(revivals) {
        db.exec("update qudo_outcome set state = 2, reason = 99 where state = 6");
        const outcomes = await driver.enqueueFromFailed(revivals);
        db.exec("update qudo_outcome set state = 6, reason = null where reason = 99");
        return outcomes;
      },
    }),
  },
  {
    name: "revive-without-key",
    breaks: "The new job does not hold its unique key.",
    caughtBy: ["revive.key"],
    wrap: (driver, db) => ({
      ...driver,
      async enqueueFromFailed(revivals) {
        const outcomes = await driver.enqueueFromFailed(revivals);
        for (const [i, { status }] of outcomes.entries())
          if (status === "inserted") db.prepare(FREE_ANYWAY).run(idBytes(revivals[i]!.id));
        return outcomes;
      },
    }),
  },
  {
    name: "revive-with-expiry",
    breaks: "The new job expires when the failed one did.",
    caughtBy: ["revive.without-expiry"],
    wrap: (driver, db) => ({
      ...driver,
      async enqueueFromFailed(revivals) {
        const outcomes = await driver.enqueueFromFailed(revivals);
        for (const { id, job } of revivals)
          db.prepare(
            "update qudo_job set expires_at = (select expires_at from qudo_job where id = ?) where id = ?",
          ).run(idBytes(job), idBytes(id));
        return outcomes;
      },
    }),
  },
];
