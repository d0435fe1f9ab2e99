/** Laws about promoting: due jobs become ready, with the run and the place they had. */
import { deepEqual, equal } from "node:assert/strict";
import { times } from "./harness.js";
import type { Law } from "./law.js";

export const promoteLaws: readonly Law[] = [
  {
    id: "promote.due-only",
    law: "Due jobs become ready, the others wait on, and the time until the next one is told.",
    requires: ["clock"],
    async run(h) {
      deepEqual(await h.driver.promote(10), { moved: 0, nextDueMs: null });
      await h.enqueueAll([{ delayMs: 1_000 }, { delayMs: 2_000 }, { delayMs: 5_000 }]);
      deepEqual(await h.driver.promote(10), { moved: 0, nextDueMs: 1_000 });
      h.clock.advance(2_000);
      deepEqual(await h.driver.promote(10), { moved: 2, nextDueMs: 3_000 });
      const { pending, delayed } = await h.totals();
      deepEqual({ pending, delayed }, { pending: 3, delayed: 1 });
      h.clock.advance(3_000);
      deepEqual(await h.driver.promote(10), { moved: 1, nextDueMs: null });
      equal((await (await h.worker()).claim()).length, 3);
    },
  },
  {
    id: "promote.limit",
    law: "No more than the limit are moved, those due first.",
    requires: ["clock"],
    async run(h) {
      const ids = await h.enqueueAll(times(5, (i) => ({ delayMs: 1_000 * (5 - i) })));
      h.clock.advance(10_000);
      deepEqual(await h.driver.promote(2), { moved: 2, nextDueMs: 0 });
      const held = await (await h.worker()).claim();
      deepEqual(
        held.map((job) => job.job),
        [ids[4], ids[3]],
      );
    },
  },
  {
    id: "promote.keeps-the-run",
    law: "A promoted job keeps its run, its counters, its priority and its due time.",
    requires: ["clock"],
    async run(h) {
      const id = await h.enqueue({ priority: 7 });
      const worker = await h.worker();
      await worker.fail(await worker.claimOne(), 1_000);
      const before = await h.job(id);
      h.clock.advance(60_000);
      equal((await h.driver.promote(10)).moved, 1);
      deepEqual(await h.job(id), before);
      const { run, fails, priority } = await worker.claimOne();
      deepEqual([run, fails, priority], [2, 1, 7]);
    },
  },
  {
    id: "promote.once",
    law: "Of two that promote at once each job is moved once.",
    requires: ["clock"],
    async run(h) {
      await h.enqueueAll(times(20, () => ({ delayMs: 1_000 })));
      h.clock.advance(1_000);
      const two = [h.driver, await h.connect()];
      const moved = await Promise.all(two.map((driver) => driver.promote(15)));
      equal(moved[0]!.moved + moved[1]!.moved, 20);
      equal((await (await h.worker()).claim({ limit: 50 })).length, 20);
    },
  },
];
