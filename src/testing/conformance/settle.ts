/** Laws about the ends of runs: what they leave behind, and when the job comes back. */
import { deepEqual, equal } from "node:assert/strict";
import { afterCancel, afterFailure, afterSuccess } from "../../core/outcome.js";
import type { Settlement } from "../../storage/driver.js";
import type { Law } from "./law.js";
import { settlement, type HeldJob, type SettleSpec } from "./worker.js";

const failure = (held: HeldJob, spec?: SettleSpec): Settlement =>
  settlement(
    held,
    afterFailure(held, () => 0),
    spec,
  );

export const settleLaws: readonly Law[] = [
  {
    id: "settle.done-ends",
    law: "A job that is done stays done, with its result, and is not claimed again.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      equal(await worker.done(await worker.claimOne(), { result: '{"sent":true}' }), "accepted");
      const { state, run, last } = await h.job(id);
      deepEqual([state, run, last!.result, last!.error], ["done", 1, '{"sent":true}', null]);
      equal(last!.session, worker.session);
      deepEqual(await worker.claim(), []);
    },
  },
  {
    id: "settle.failure-comes-back",
    law: "A failed run costs one attempt, keeps its error, and the job comes back as the next run.",
    async run(h) {
      const id = await h.enqueue({ priority: 3 });
      const worker = await h.worker();
      const held = await worker.claimOne();
      equal(await worker.fail(held, 0, { error: "Error: no route" }), "accepted");
      const { state, fails, last } = await h.job(id);
      deepEqual([state, fails, last!.error], ["failed", 1, "Error: no route"]);
      const { job, run, fails: carried, crashes, priority } = await worker.claimOne();
      deepEqual([job, run, carried, crashes, priority], [id, 2, 1, 0, 3]);
    },
  },
  {
    id: "settle.failure-waits",
    law: "A failed job waits for its backoff and no longer.",
    requires: ["clock"],
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      await worker.fail(await worker.claimOne(), 60_000);
      const { runAt, last } = await h.job(id);
      deepEqual([runAt, last!.nextAt], [h.clock.now() + 60_000, h.clock.now() + 60_000]);
      h.clock.advance(59_999);
      await h.driver.promote(10);
      deepEqual(await worker.claim(), []);
      h.clock.advance(1);
      await h.driver.promote(10);
      equal((await worker.claimOne()).run, 2);
    },
  },
  {
    id: "settle.attempts-run-out",
    law: "The last failure abandons the job, and it waits nowhere.",
    async run(h) {
      const id = await h.enqueue({ maxAttempts: 2 });
      const worker = await h.worker();
      await worker.fail(await worker.claimOne());
      await worker.fail(await worker.claimOne());
      const { state, fails, last } = await h.job(id);
      deepEqual([state, fails, last!.reason, last!.nextAt], ["abandoned", 2, "attempts", null]);
      deepEqual(await worker.claim(), []);
    },
  },
  {
    id: "settle.snooze",
    law: "A snoozed run costs no attempt and clears the crashes: it has shown that it does not kill.",
    async run(h) {
      const id = await h.enqueue();
      const first = await h.worker();
      await first.fail(await first.claimOne());
      await first.claimOne();
      await h.kill(first);
      const worker = await h.worker();
      const crashed = await worker.claimOne();
      deepEqual([crashed.fails, crashed.crashes], [1, 1]);
      await worker.snooze(crashed);
      await h.assertState(id, "pending");
      const { run, fails, crashes } = await worker.claimOne();
      deepEqual([run, fails, crashes], [4, 1, 0]);
    },
  },
  {
    id: "settle.cancelled",
    law: "Whoever holds a job may cancel it: it has ended then, and its key is free.",
    async run(h) {
      const id = await h.enqueue({ uniqueKey: "one" });
      const worker = await h.worker();
      const held = await worker.claimOne();
      for (let times = 1; times <= 2; times++)
        equal(await worker.settle(held, afterCancel(held)), "accepted");
      await h.assertState(id, "cancelled");
      deepEqual(await worker.claim(), []);
      await h.enqueue({ uniqueKey: "one" });
      equal((await h.driver.sessions())[0]!.leases, 0, "the lease is closed");
    },
  },
  {
    id: "settle.history",
    law: "Every run leaves one attempt, numbered without gaps.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      await worker.fail(await worker.claimOne());
      await worker.snooze(await worker.claimOne());
      await worker.giveBack(await worker.claimOne());
      await worker.done(await worker.claimOne());
      const rows = (await h.attempts(id)).toSorted((a, b) => a.run - b.run);
      deepEqual(
        rows.map(({ run, state }) => `${run} ${state}`),
        ["1 failed", "2 snoozed", "3 released", "4 done"],
      );
      deepEqual(await h.job(id).then((job) => job.last), rows[3]);
    },
  },
  {
    id: "settle.part-of-a-lease",
    law: "Runs of one lease are settled in any order and in several trips; the others stay held.",
    async run(h) {
      await h.enqueueAll([{ priority: 3 }, { priority: 2 }, { priority: 1 }]);
      const worker = await h.worker();
      const [a, b, c] = await worker.claim();
      equal(await worker.done(b!), "accepted");
      await h.assertState(a!.job, "reserved");
      await h.assertState(c!.job, "reserved");
      const rest = [
        settlement(
          c!,
          afterFailure(c!, () => 0),
        ),
        settlement(a!, afterSuccess(a!)),
      ];
      deepEqual(await worker.settleAll(a!.lease, rest), ["accepted", "accepted"]);
      await h.assertState(c!.job, "failed");
      await h.assertState(a!.job, "done");
      equal((await h.driver.sessions())[0]!.leases, 0, "the lease is closed");
    },
  },
  {
    id: "settle.several-leases",
    law: "One trip settles runs of several leases: one list of outcomes for each.",
    async run(h) {
      await h.enqueueAll([{}, {}, {}]);
      const worker = await h.worker();
      const [a] = await worker.claim({ limit: 1 });
      const [b, c] = await worker.claim({ limit: 2 });
      await h.cancel(b!.job);
      const settle = [[a!], [b!, c!]].map((held) =>
        worker.group(
          held[0]!.lease,
          held.map((job) => settlement(job, afterSuccess(job))),
        ),
      );
      const { settled } = await h.driver.trip({ settle, claim: null });
      deepEqual(settled, [["accepted"], ["lost", "accepted"]]);
    },
  },
  {
    id: "settle.close-keeps-undecided",
    law: "A close with an undecided run in the lease leaves it open: that job is held, not lost.",
    async run(h) {
      await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      const [a, b] = await worker.claim();
      const group = worker.group(a!.lease, [settlement(a!, afterSuccess(a!))]);
      const { settled } = await h.driver.trip({ settle: [{ ...group, close: true }], claim: null });
      deepEqual(settled, [["accepted"]], "the settle itself stands");
      await h.assertState(b!.job, "reserved");
      deepEqual((await worker.heartbeat()).leases, [b!.lease], "its worker hears of the lease");
      equal(await worker.done(b!), "accepted");
      equal((await h.driver.sessions())[0]!.leases, 0, "the lease is closed");
    },
  },
  {
    id: "settle.completed",
    law: "A run that its handler recorded as done is accepted as that, whatever its worker had decided.",
    async run(h) {
      await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      const [a, b] = await worker.claim();
      // As the handler does it: the lease stays, and its worker settles the run later.
      equal(await worker.done(a!), "accepted");
      const completed = [failure(a!, { completed: true }), failure(b!)];
      deepEqual(await worker.settleAll(a!.lease, completed), ["accepted", "accepted"]);
      await h.assertState(a!.job, "done");
      await h.assertState(b!.job, "failed");
      equal((await h.driver.sessions())[0]!.leases, 0, "the lease is closed");
    },
  },
  {
    id: "settle.completed-rolled-back",
    law: "What a handler recorded and rolled back does not count: the settlement does, and is accepted when sent again.",
    async run(h) {
      await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      const [a] = await worker.claim();
      const failed = [failure(a!, { completed: true })];
      for (let times = 1; times <= 2; times++)
        deepEqual(await worker.settleAll(a!.lease, failed), ["accepted"]);
      await h.assertState(a!.job, "failed");
      equal((await h.job(a!.job)).run, 2);
    },
  },
  {
    id: "settle.completed-by-others",
    law: "A run that others decided is lost, though its handler recorded it as done and rolled that back.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      await h.cancel(id);
      equal(await worker.fail(held, 0, { completed: true }), "lost");
      await h.assertState(id, "cancelled");
    },
  },
  {
    id: "settle.mark-started",
    law: "A run marked as started is shown as running until it is settled; marking it again changes nothing.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      await h.assertState(id, "reserved");
      equal(await worker.start(held), true);
      equal(await worker.start(held), true);
      await h.assertState(id, "running");
      await worker.fail(held);
      await h.assertState(id, "failed");
      await worker.claimOne();
      await h.assertState(id, "reserved");
    },
  },
];
