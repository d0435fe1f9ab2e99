/** Laws about cancelling: it meets a job wherever it stands. */
import { deepEqual, equal } from "node:assert/strict";
import { newId } from "../../storage/ids.js";
import type { Law } from "./law.js";

export const cancelLaws: readonly Law[] = [
  {
    id: "cancel.waiting",
    law: "A cancelled job that waits, ready or delayed, is taken away and never claimed.",
    async run(h) {
      const ids = await h.enqueueAll([{}, { delayMs: 60_000 }]);
      deepEqual(await h.driver.cancel(ids), ["cancelled", "cancelled"]);
      for (const id of ids) await h.assertState(id, "cancelled");
      const { pending, delayed, cancelled } = await h.totals();
      deepEqual({ pending, delayed, cancelled }, { pending: 0, delayed: 0, cancelled: 2 });
      deepEqual(await (await h.worker()).claim(), []);
    },
  },
  {
    id: "cancel.waiting-again",
    law: "A job that waits for another run is found where its last outcome put it.",
    async run(h) {
      const [ready, delayed] = await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      await worker.fail(await worker.claimOne(), 60_000);
      await worker.snooze(await worker.claimOne());
      deepEqual(await h.driver.cancel([ready!, delayed!]), ["cancelled", "cancelled"]);
      deepEqual(await worker.claim(), []);
      const { fails, run } = await h.job(ready!);
      deepEqual([fails, run], [1, 2], "it keeps what it had");
    },
  },
  {
    id: "cancel.promoted",
    law: "A job that was delayed and has become ready is cancelled like any other.",
    requires: ["clock"],
    async run(h) {
      const id = await h.enqueue({ delayMs: 1_000 });
      h.clock.advance(1_500);
      await h.driver.promote(10);
      await h.cancel(id);
      deepEqual(await (await h.worker()).claim(), []);
    },
  },
  {
    id: "cancel.held",
    law: "A cancelled run is not interrupted by the database: its worker learns of it by its heartbeat.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      await h.cancel(id);
      await h.assertState(id, "cancelled");
      deepEqual((await worker.heartbeat(held)).fenced, [{ job: id, run: 1 }]);
      equal(await worker.done(held), "lost");
      equal((await h.driver.sessions())[0]!.leases, 0);
    },
  },
  {
    id: "cancel.running",
    law: "Cancelling a run that is shown as running leaves the database sound, before and after its worker gives it up.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      await worker.start(held);
      await h.cancel(id);
      deepEqual(await h.driver.audit(), []);
      const { running, reserved, cancelled } = await h.totals();
      deepEqual({ running, reserved, cancelled }, { running: 0, reserved: 0, cancelled: 1 });
      equal(await worker.done(held), "lost");
    },
  },
  {
    id: "cancel.ended",
    law: "A job that has ended is answered `already`, an unknown one `absent`; both stay as they are.",
    async run(h) {
      const [done, cancelled] = await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      await worker.done(await worker.claimOne());
      await h.cancel(cancelled!);
      const outcomes = await h.driver.cancel([done!, cancelled!, newId()]);
      deepEqual(outcomes, ["already", "already", "absent"]);
      await h.assertState(done!, "done");
      equal((await h.attempts(cancelled!)).length, 1);
    },
  },
];
