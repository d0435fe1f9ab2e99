/** Laws about reports of runs that go on: what they say is kept, and whether they are still their worker's is answered. */
import { deepEqual, equal } from "node:assert/strict";
import { newId } from "../../storage/ids.js";
import type { Law } from "./law.js";

export const reportLaws: readonly Law[] = [
  {
    id: "report.progress",
    law: "A run that tells of its progress is shown as running, with the last it said, until it is settled.",
    requires: ["clock"],
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      const begun = h.clock.now();
      equal(await worker.report(held, { progress: "1" }), true);
      h.clock.advance(1_000);
      equal(await worker.report(held, { progress: '{"done":2}' }), true);
      equal(await worker.report(held), true, "no news leave it as it is");
      const job = await h.job(id);
      deepEqual([job.state, job.progress, job.startedAt], ["running", '{"done":2}', begun]);
      await worker.fail(held);
      deepEqual([(await h.job(id)).state, (await h.job(id)).progress], ["failed", null]);
    },
  },
  {
    id: "report.not-shown-without-news",
    law: "A run that only asks, or only writes lines, is not shown as running.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      equal(await worker.report(held), true);
      equal(await worker.report(held, { lines: [worker.line(1, "a")] }), true);
      await h.assertState(id, "reserved");
    },
  },
  {
    id: "report.lost",
    law: "A run that others decided, or whose session was ended, is not its worker's any more: told with and without news.",
    async run(h) {
      const [cancelled, reaped] = await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      const first = await worker.claimOne();
      const second = await worker.claimOne();
      await h.cancel(cancelled!);
      for (const progress of [null, "1"]) equal(await worker.report(first, { progress }), false);
      equal(await worker.report(second), true);
      await h.kill(worker);
      for (const progress of [null, "1"]) equal(await worker.report(second, { progress }), false);
      await h.assertState(cancelled!, "cancelled");
      await h.assertState(reaped!, "failed");
    },
  },
  {
    id: "report.others",
    law: "Nobody reports for what another session holds, nor for what a lease does not list.",
    async run(h) {
      await h.enqueueAll([{}, {}]);
      const owner = await h.worker();
      const held = await owner.claimOne();
      const waiting = await h.enqueue();
      const { session } = await h.worker();
      for (const progress of [null, "1"]) {
        const wrong = [
          { ...held, session },
          { ...held, lease: newId() },
          { ...held, run: 2 },
          { ...held, job: waiting },
        ];
        const reports = wrong.map((run) => ({ ...run, progress, lines: [] }));
        deepEqual(await h.driver.report(reports), [false, false, false, false]);
      }
      await h.assertState(held.job, "reserved");
      await h.assertState(waiting, "pending");
    },
  },
  {
    id: "report.in-order",
    law: "Reports of several runs and leases are answered one by one, in order.",
    async run(h) {
      await h.enqueueAll([{}, {}, {}]);
      const worker = await h.worker();
      const [a] = await worker.claim({ limit: 1 });
      const [b, c] = await worker.claim({ limit: 2 });
      await h.cancel(b!.job);
      const reports = [a!, b!, c!].map((held, i) => ({ ...held, progress: `${i}`, lines: [] }));
      deepEqual(await h.driver.report(reports), [true, false, true]);
      deepEqual(
        await Promise.all([a!, b!, c!].map(async ({ job }) => (await h.job(job)).progress)),
        ["0", null, "2"],
      );
    },
  },
];
