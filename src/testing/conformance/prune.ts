/** Laws about pruning: finished jobs go, never those a worker or a producer may still ask for. */
import { deepEqual, equal } from "node:assert/strict";
import { newJob, times, type Harness, type JobSpec } from "./harness.js";
import type { Law } from "./law.js";

const MINUTE = 60_000;
const AT_ONCE = { doneMs: 0, otherMs: 0, limit: 100 };

async function finished(h: Harness, spec: JobSpec = {}): Promise<string> {
  const id = await h.enqueue({ kind: "finished", ...spec });
  const worker = await h.worker();
  await worker.done(await worker.claimOne({ kinds: ["finished"] }));
  return id;
}

export const pruneLaws: readonly Law[] = [
  {
    id: "prune.ten-minutes",
    law: "A finished job is kept for ten minutes at least, whatever the policy: a resend must find it.",
    requires: ["clock"],
    async run(h) {
      const done = await finished(h, { keepMs: 0 });
      const cancelled = await h.enqueue({ keepMs: 0 });
      await h.cancel(cancelled);
      h.clock.advance(10 * MINUTE - 1);
      deepEqual(await h.driver.prune(AT_ONCE), { pruned: 0 });
      const resent = await h.driver.insertJobs([newJob({ id: done }), newJob({ id: cancelled })]);
      deepEqual(resent, [{ status: "duplicate" }, { status: "duplicate" }]);
      h.clock.advance(2);
      deepEqual(await h.driver.prune(AT_ONCE), { pruned: 2 });
      deepEqual(await h.driver.getJobs([done, cancelled]), [null, null]);
      deepEqual(await h.driver.payloads([done]), [null]);
      deepEqual(
        (await h.driver.listAttempts({ limit: 10 })).rows,
        [],
        "their attempts go with them",
      );
    },
  },
  {
    id: "prune.policy",
    law: "Done jobs are kept as long as `doneMs` says, abandoned and cancelled ones as long as `otherMs`.",
    requires: ["clock"],
    async run(h) {
      const done = await finished(h);
      const cancelled = await h.enqueue();
      await h.cancel(cancelled);
      const policy = { doneMs: 60 * MINUTE, otherMs: 120 * MINUTE, limit: 100 };
      h.clock.advance(59 * MINUTE);
      deepEqual(await h.driver.prune(policy), { pruned: 0 });
      h.clock.advance(2 * MINUTE);
      deepEqual(await h.driver.prune(policy), { pruned: 1 });
      deepEqual(await h.driver.getJobs([done]), [null]);
      h.clock.advance(60 * MINUTE);
      deepEqual(await h.driver.prune(policy), { pruned: 1 });
      deepEqual(await h.driver.getJobs([cancelled]), [null]);
    },
  },
  {
    id: "prune.keep-of-the-job",
    law: "A job's own keep time beats the policy.",
    requires: ["clock"],
    async run(h) {
      const long = await finished(h, { keepMs: 120 * MINUTE });
      const short = await finished(h, { keepMs: 20 * MINUTE });
      h.clock.advance(30 * MINUTE);
      deepEqual(await h.driver.prune({ ...AT_ONCE, doneMs: 60 * MINUTE }), { pruned: 1 });
      const rows = await h.driver.getJobs([long, short]);
      deepEqual(
        rows.map((row) => row?.state),
        ["done", undefined],
      );
    },
  },
  {
    id: "prune.leased",
    law: "No job that an open lease lists is pruned, finished or not.",
    requires: ["clock"],
    async run(h) {
      await h.enqueueAll([{ priority: 2 }, { priority: 1 }, {}]);
      const worker = await h.worker();
      const [done, cancelled, slow] = await worker.claim();
      await worker.done(done!);
      await h.cancel(cancelled!.job);
      h.clock.advance(24 * 60 * MINUTE);
      deepEqual(await h.driver.prune(AT_ONCE), { pruned: 0 });
      equal(await worker.done(done!), "accepted", "a resend still finds its outcome");
      equal(await worker.done(cancelled!), "lost");
      equal(await worker.done(slow!), "accepted");
      deepEqual(
        await h.driver.prune(AT_ONCE),
        { pruned: 2 },
        "all but the one that ended just now",
      );
    },
  },
  {
    id: "prune.living",
    law: "Living jobs are not pruned, however old they and their attempts are.",
    requires: ["clock"],
    async run(h) {
      const [failed, retried] = await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      await worker.fail(await worker.claimOne());
      await h.cancel(retried!);
      await h.retry(retried!);
      h.clock.advance(24 * 60 * MINUTE);
      deepEqual(await h.driver.prune(AT_ONCE), { pruned: 0 });
      equal((await h.attempts(failed!)).length, 1);
      equal((await h.attempts(retried!)).length, 2);
    },
  },
  {
    id: "prune.limit",
    law: "No more than the limit go in one call, over all states together.",
    requires: ["clock"],
    async run(h) {
      const ids = await h.enqueueAll(times(5, () => ({})));
      await h.driver.cancel(ids);
      await finished(h);
      h.clock.advance(60 * MINUTE);
      const policy = { ...AT_ONCE, limit: 4 };
      deepEqual(await h.driver.prune(policy), { pruned: 4 });
      deepEqual(await h.driver.prune(policy), { pruned: 2 });
      deepEqual(await h.driver.prune(policy), { pruned: 0 });
    },
  },
  {
    id: "prune.past-the-leased",
    law: "Jobs that cannot be pruned yet do not keep others from being pruned.",
    requires: ["clock"],
    async run(h) {
      await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      const [done] = await worker.claim();
      await worker.done(done!);
      h.clock.advance(1_000);
      await finished(h);
      h.clock.advance(60 * MINUTE);
      deepEqual(await h.driver.prune({ ...AT_ONCE, limit: 1 }), { pruned: 1 });
    },
  },
];
