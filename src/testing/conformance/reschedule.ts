/** Laws about rescheduling: a job that waits gets another time or another priority, and nothing else. */
import { deepEqual, equal } from "node:assert/strict";
import type { Reschedule, RescheduleOutcome } from "../../storage/driver.js";
import { newId } from "../../storage/ids.js";
import type { Harness } from "./harness.js";
import type { Law } from "./law.js";

const STAYS = { runAt: null, delayMs: null, priority: null } as const;

async function move(
  h: Harness,
  id: string,
  change: Partial<Omit<Reschedule, "id">>,
): Promise<RescheduleOutcome> {
  return (await h.driver.reschedule([{ id, ...STAYS, ...change }]))[0]!;
}

const MOVED: RescheduleOutcome = { status: "rescheduled" };

export const rescheduleLaws: readonly Law[] = [
  {
    id: "reschedule.time",
    law: "A ready job can be put off, and a delayed one be made due; each takes a run number for it.",
    async run(h) {
      const [ready, delayed] = await h.enqueueAll([{}, { delayMs: 60_000 }]);
      deepEqual(await move(h, ready!, { delayMs: 60_000 }), MOVED);
      deepEqual(await move(h, delayed!, { delayMs: 0 }), MOVED);
      const worker = await h.worker();
      const held = await worker.claim();
      deepEqual(
        held.map(({ job, run }) => [job, run]),
        [[delayed, 2]],
      );
      const { state, run, last, runAt, createdAt } = await h.job(ready!);
      deepEqual([state, run, last!.state], ["pending", 2, "requeued"]);
      equal(runAt - createdAt >= 60_000, true, "it is put off");
    },
  },
  {
    id: "reschedule.moment",
    law: "A moment is kept to the millisecond; one that is past means now, so that nobody gets before those who wait.",
    requires: ["clock"],
    async run(h) {
      const [put, past] = await h.enqueueAll([{}, { delayMs: 60_000 }]);
      const runAt = h.clock.now() + 12_345;
      deepEqual(await move(h, put!, { runAt }), MOVED);
      equal((await h.job(put!)).runAt, runAt);
      h.clock.advance(1_000);
      const waits = await h.enqueue();
      h.clock.advance(1_000);
      deepEqual(await move(h, past!, { runAt: 0 }), MOVED);
      equal((await h.job(past!)).runAt, h.clock.now());
      const held = await (await h.worker()).claim();
      deepEqual(
        held.map(({ job }) => job),
        [waits, past],
      );
    },
  },
  {
    id: "reschedule.priority",
    law: "Another priority decides when a job is claimed, at once and in all its later runs, and keeps its time.",
    async run(h) {
      const [first, second] = await h.enqueueAll([{ priority: 1 }, {}]);
      const { runAt } = await h.job(second!);
      deepEqual(await move(h, second!, { priority: 7 }), MOVED);
      const { priority, runAt: after } = await h.job(second!);
      deepEqual([priority, after], [7, runAt]);
      const worker = await h.worker();
      const held = await worker.claimOne();
      deepEqual([held.job, held.priority], [second, 7]);
      await worker.fail(held);
      const again = await worker.claimOne();
      deepEqual([again.job, again.priority], [second, 7]);
      equal((await worker.claimOne()).job, first);
    },
  },
  {
    id: "reschedule.delayed-priority",
    law: "A delayed job takes another priority where it stands.",
    async run(h) {
      const id = await h.enqueue({ delayMs: 60_000 });
      const { runAt } = await h.job(id);
      deepEqual(await move(h, id, { priority: -3 }), MOVED);
      const job = await h.job(id);
      deepEqual([job.priority, job.runAt, job.state], [-3, runAt, "pending"]);
      await h.cancel(id);
    },
  },
  {
    id: "reschedule.keeps-counters",
    law: "Its failures and crashes stay counted.",
    async run(h) {
      const id = await h.enqueue({ maxAttempts: 2 });
      const worker = await h.worker();
      await worker.fail(await worker.claimOne(), 60_000);
      deepEqual(await move(h, id, { delayMs: 0 }), MOVED);
      const held = await worker.claimOne();
      deepEqual([held.run, held.fails], [3, 1]);
      await worker.fail(held);
      await h.assertState(id, "abandoned");
    },
  },
  {
    id: "reschedule.refused",
    law: "What is held, or has ended, is refused with its state, and stays as it is; unknown ones are absent.",
    async run(h) {
      const worker = await h.worker();
      const done = await h.enqueue();
      await worker.done(await worker.claimOne());
      const reserved = await h.enqueue();
      const held = await worker.claimOne();
      const running = await h.enqueue();
      await worker.start(await worker.claimOne());
      const ids = [done, reserved, running, newId()];
      const changes = ids.map((id) => ({ id, ...STAYS, priority: 5, delayMs: 0 }));
      deepEqual(await h.driver.reschedule(changes), [
        { status: "refused", state: "done" },
        { status: "refused", state: "reserved" },
        { status: "refused", state: "running" },
        { status: "absent" },
      ]);
      equal(await worker.done(held), "accepted");
      deepEqual((await h.attempts(running)).length, 0);
    },
  },
  {
    id: "reschedule.unchanged",
    law: "What stands there already stays, and nothing is written; changes of one job in one call come one after the other.",
    async run(h) {
      const id = await h.enqueue({ priority: 2 });
      deepEqual(await move(h, id, { priority: 2 }), MOVED);
      deepEqual(await move(h, id, { delayMs: 0 }), MOVED);
      deepEqual(await h.attempts(id), []);
      const changes = [4, 5].map((priority) => ({ id, ...STAYS, priority }));
      deepEqual(await h.driver.reschedule(changes), [MOVED, MOVED]);
      deepEqual([(await h.job(id)).priority, (await h.job(id)).run], [5, 3]);
    },
  },
];
