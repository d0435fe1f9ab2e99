/** Laws about retrying: another life for what was abandoned or cancelled, with a clean slate. */
import { deepEqual, equal } from "node:assert/strict";
import { newId } from "../../storage/ids.js";
import { newJob } from "./harness.js";
import type { Law } from "./law.js";

const KEY = { uniqueKey: "invoice 7" } as const;

export const retryLaws: readonly Law[] = [
  {
    id: "retry.clean-slate",
    law: "A retried job takes a run number for the retry itself and starts again without failures and crashes.",
    async run(h) {
      const id = await h.enqueue({ maxAttempts: 2, priority: 5 });
      const worker = await h.worker();
      await worker.fail(await worker.claimOne());
      await worker.fail(await worker.claimOne());
      await h.assertState(id, "abandoned");
      await h.retry(id);
      const { state, run, last } = await h.job(id);
      deepEqual([state, run, last!.run, last!.state], ["pending", 4, 3, "requeued"]);
      const held = await worker.claimOne();
      deepEqual([held.run, held.fails, held.crashes, held.priority], [4, 0, 0, 5]);
      await worker.fail(held);
      await h.assertState(id, "failed");
    },
  },
  {
    id: "retry.cancelled",
    law: "A cancelled job can be retried, also while the worker of its cancelled run has not given up.",
    async run(h) {
      const [waiting, held] = await h.enqueueAll([{ delayMs: 60_000 }, {}]);
      const worker = await h.worker();
      const first = await worker.claimOne();
      deepEqual(await h.driver.cancel([waiting!, held!]), ["cancelled", "cancelled"]);
      await h.retry(waiting!);
      await h.retry(held!);
      equal(await worker.done(first), "lost");
      const again = await worker.claim();
      deepEqual(again.map((job) => job.job).toSorted(), [waiting!, held!].toSorted());
      for (const job of again) equal(await worker.done(job), "accepted");
    },
  },
  {
    id: "retry.refused",
    law: "A job that lives or is done is refused with its state, an unknown one is absent.",
    async run(h) {
      const ids = await h.enqueueAll([{ priority: 3 }, { priority: 2 }, { priority: 1 }, {}]);
      const worker = await h.worker();
      await worker.done(await worker.claimOne());
      await worker.start(await worker.claimOne());
      await worker.claimOne();
      const refused = ["done", "running", "reserved", "pending"].map((state) => ({
        status: "refused",
        state,
      }));
      deepEqual(await h.driver.retry([...ids, newId()]), [...refused, { status: "absent" }]);
      deepEqual((await h.totals()).pending, 1);
    },
  },
  {
    id: "retry.takes-its-key",
    law: "A retried job holds its unique key again.",
    async run(h) {
      const id = await h.enqueue(KEY);
      await h.cancel(id);
      await h.retry(id);
      const second = await h.driver.insertJobs([newJob(KEY)]);
      deepEqual(second, [{ status: "unique", holder: id }]);
      await h.cancel(id);
      await h.enqueue(KEY);
    },
  },
  {
    id: "retry.key-is-taken",
    law: "A job whose unique key another holds by now is not retried; the holder is named.",
    async run(h) {
      const id = await h.enqueue(KEY);
      await h.cancel(id);
      const holder = await h.enqueue(KEY);
      deepEqual(await h.driver.retry([id]), [{ status: "unique", holder }]);
      await h.assertState(id, "cancelled");
      equal((await (await h.worker()).claimOne()).job, holder);
    },
  },
  {
    id: "retry.once",
    law: "Of two that retry one job at once, one wins; it runs once.",
    async run(h) {
      const id = await h.enqueue();
      await h.cancel(id);
      const operators = [h.driver, await h.connect()];
      const outcomes = (await Promise.all(operators.map((o) => o.retry([id])))).flat();
      deepEqual(outcomes.map((o) => o.status).toSorted(), ["refused", "requeued"]);
      equal((await (await h.worker()).claim()).length, 1);
    },
  },
];
