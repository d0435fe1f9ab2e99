/** Laws about the fence: a run ends once, and only for the session that holds its lease. */
import { deepEqual, equal } from "node:assert/strict";
import { newId } from "../../storage/ids.js";
import type { Law } from "./law.js";

export const fenceLaws: readonly Law[] = [
  {
    id: "fence.resend",
    law: "A settle sent again is accepted again and moves the job once.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      equal(await worker.fail(held, 60_000), "accepted");
      equal(await worker.fail(held, 60_000), "accepted");
      equal((await h.totals()).delayed, 1);
      equal((await h.attempts(id)).length, 1);
    },
  },
  {
    id: "fence.resend-while-the-lease-is-open",
    law: "A settle sent again while other runs of the lease are open moves the job once.",
    async run(h) {
      await h.enqueueAll([{}, {}]);
      const worker = await h.worker();
      const [held] = await worker.claim();
      equal(await worker.fail(held!), "accepted");
      equal(await worker.fail(held!), "accepted");
      equal((await h.attempts(held!.job)).length, 1);
      const again = await (await h.worker()).claim();
      deepEqual(
        again.map(({ job, run }) => [job, run]),
        [[held!.job, 2]],
      );
    },
  },
  {
    id: "fence.resend-after-the-next-run",
    law: "A settle sent again after the job went on is accepted and changes nothing more.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const first = await worker.claimOne();
      await worker.fail(first);
      await worker.done(await worker.claimOne());
      equal(await worker.fail(first), "accepted");
      await h.assertState(id, "done");
      deepEqual(await worker.claim(), []);
    },
  },
  {
    id: "fence.other-state",
    law: "A second settle of a run with another state is lost.",
    async run(h) {
      await h.enqueueAll([{}, {}]);
      const worker = await h.worker();
      const [held] = await worker.claim();
      equal(await worker.done(held!), "accepted");
      equal(await worker.fail(held!), "lost");
      equal(await worker.abort(held!), "lost");
      await h.assertState(held!.job, "done");
    },
  },
  {
    id: "fence.late-settle",
    law: "A settle after the session was reaped is lost, and the next run is not touched.",
    async run(h) {
      const id = await h.enqueue();
      const late = await h.worker();
      const first = await late.claimOne();
      await h.kill(late);
      const worker = await h.worker();
      const second = await worker.claimOne();
      deepEqual([second.job, second.run], [id, 2]);
      equal(await late.done(first), "lost");
      await h.assertState(id, "reserved");
      equal(await worker.done(second), "accepted");
      equal(await late.done(first), "lost");
    },
  },
  {
    id: "fence.cancelled-run",
    law: "A settle of a run that was cancelled is lost.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      await h.cancel(id);
      equal(await worker.fail(held), "lost");
      await h.assertState(id, "cancelled");
      deepEqual(await worker.claim(), []);
    },
  },
  {
    id: "fence.lease-of-another",
    law: "A settle with the lease of another session is lost, and that session can still settle.",
    async run(h) {
      await h.enqueue();
      const owner = await h.worker();
      const held = await owner.claimOne();
      const thief = await h.worker();
      equal(await thief.done(held), "lost");
      equal(await thief.start({ ...held, session: thief.session }), false);
      await h.assertState(held.job, "reserved");
      equal(await owner.done(held), "accepted");
    },
  },
  {
    id: "fence.no-lease",
    law: "A settle without a lease is lost, though the run is free.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      await worker.release(held);
      equal(await worker.done({ ...held, run: 2 }), "lost", "with a lease that was given back");
      equal(await worker.done({ ...held, run: 2, lease: newId() }), "lost", "with an invented one");
      await h.assertState(id, "pending");
      equal((await worker.claimOne()).run, 2);
    },
  },
  {
    id: "fence.not-in-the-lease",
    law: "A settle of a run that the lease does not list is lost, though its session holds that lease.",
    async run(h) {
      const [first, second] = await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      const held = await worker.claimOne();
      equal(await worker.done({ ...held, job: second! }), "lost", "a job that waits");
      equal(await worker.done({ ...held, run: 2 }), "lost", "a run that is not there yet");
      await h.assertState(first!, "reserved");
      const other = await worker.claimOne();
      equal(await worker.done({ ...other, lease: held.lease }), "lost", "a run of another lease");
      equal(await worker.done(other), "accepted");
      equal(await worker.done(held), "accepted");
      equal((await h.attempts(second!)).length, 1);
    },
  },
  {
    id: "fence.after-prune",
    law: "A settle is lost also when the job was finished by another and pruned since.",
    requires: ["clock"],
    async run(h) {
      const id = await h.enqueue({ keepDoneMs: 0 });
      const late = await h.worker();
      const first = await late.claimOne();
      await h.kill(late);
      const worker = await h.worker();
      await worker.done(await worker.claimOne());
      h.clock.advance(3_600_000);
      equal(await h.prune(), 1);
      equal(await late.done(first), "lost");
      deepEqual(await h.driver.getJobs([id]), [null]);
      deepEqual(await h.attempts(id), []);
    },
  },
  {
    id: "fence.start",
    law: "A run is not started when its lease is gone or it was decided by others.",
    async run(h) {
      const [cancelled, reaped] = await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      const [first, second] = await worker.claim();
      await h.cancel(cancelled!);
      deepEqual(await h.driver.markStarted([first!, second!]), [false, true]);
      await h.kill(worker);
      deepEqual(await h.driver.markStarted([first!, second!]), [false, false]);
      await h.assertState(reaped!, "failed");
    },
  },
];
