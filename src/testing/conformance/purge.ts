/** Laws about purging: like cancelling, but what was running is called abandoned. */
import { deepEqual, equal } from "node:assert/strict";
import { newId } from "../../storage/ids.js";
import { newJob } from "./harness.js";
import type { Law } from "./law.js";

export const purgeLaws: readonly Law[] = [
  {
    id: "purge.waiting",
    law: "A purged job that waits, ready or delayed, is cancelled and never claimed.",
    async run(h) {
      const ids = await h.enqueueAll([{}, { delayMs: 60_000 }]);
      deepEqual(await h.driver.purge(ids), ["cancelled", "cancelled"]);
      for (const id of ids) await h.assertState(id, "cancelled");
      deepEqual(await (await h.worker()).claim(), []);
    },
  },
  {
    id: "purge.running",
    law: "A purged run that is shown as running is abandoned, one that is only held is cancelled; their worker learns of both by its heartbeat.",
    async run(h) {
      await h.enqueueAll([{}, {}]);
      const worker = await h.worker();
      const [running, reserved] = await worker.claim();
      await worker.start(running!);
      deepEqual(await h.driver.purge([running!.job, reserved!.job]), ["abandoned", "cancelled"]);
      const { state, last } = await h.job(running!.job);
      deepEqual([state, last!.reason, last!.fails], ["abandoned", "purged", 0]);
      await h.assertState(reserved!.job, "cancelled");
      equal((await worker.heartbeat(running!, reserved!)).fenced.length, 2);
      equal(await worker.done(running!), "lost");
      equal(await worker.done(reserved!), "lost");
    },
  },
  {
    id: "purge.keeps-the-key-of-a-run",
    law: "A purged run keeps its unique key until its worker gives it up, for its handler still runs; a job that waited is free of it at once.",
    async run(h) {
      const KEY = { uniqueKey: "invoice 7" } as const;
      const status = async (): Promise<string> =>
        (await h.driver.insertJobs([newJob({ ...KEY, delayMs: 60_000 })]))[0]!.status;
      const id = await h.enqueue(KEY);
      const worker = await h.worker();
      const held = await worker.claimOne();
      await worker.start(held);
      deepEqual(await h.driver.purge([id]), ["abandoned"]);
      equal(await status(), "unique");
      equal(await worker.done(held), "lost");
      equal(await status(), "inserted");
      const waiting = (await h.driver.listJobs({ states: ["pending"], limit: 10 })).rows;
      deepEqual(await h.driver.purge(waiting.map((row) => row.id)), ["cancelled"]);
      equal(await status(), "inserted");
    },
  },
  {
    id: "purge.ended",
    law: "A job that has ended is answered `already`, an unknown one `absent`; the same one twice is purged once.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      await worker.done(await worker.claimOne());
      const other = await h.enqueue();
      const outcomes = await h.driver.purge([id, other, other, newId()]);
      deepEqual(outcomes, ["already", "cancelled", "already", "absent"]);
      await h.assertState(id, "done");
      equal((await h.attempts(other)).length, 1);
    },
  },
];
