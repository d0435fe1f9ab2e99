/** Laws about runs given back: they cost nothing and keep their place. */
import { deepEqual, equal } from "node:assert/strict";
import { times } from "./harness.js";
import type { Law } from "./law.js";

export const releaseLaws: readonly Law[] = [
  {
    id: "release.costs-nothing",
    law: "However often a job is given back, its failures and crashes stay as they are.",
    async run(h) {
      const id = await h.enqueue({ maxAttempts: 3 });
      const worker = await h.worker();
      await worker.fail(await worker.claimOne());
      for (let n = 1; n <= 4; n++) equal(await worker.release(await worker.claimOne()), 1);
      const { run, fails, crashes } = await worker.claimOne();
      deepEqual([run, fails, crashes], [6, 1, 0]);
      equal((await h.attempts(id)).filter((row) => row.state === "released").length, 4);
    },
  },
  {
    id: "release.keeps-its-place",
    law: "A job given back stands where it stood: before those that came after it.",
    requires: ["clock"],
    async run(h) {
      const first = await h.enqueue();
      const { runAt } = await h.job(first);
      h.clock.advance(10);
      const second = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      h.clock.advance(10);
      await worker.release(held);
      equal((await h.job(first)).runAt, runAt);
      deepEqual(
        (await worker.claim()).map((job) => job.job),
        [first, second],
      );
    },
  },
  {
    id: "release.place-of-a-later-run",
    law: "A job given back after a failure stands where the failure put it.",
    requires: ["clock"],
    async run(h) {
      const id = await h.enqueue({ priority: 4 });
      const worker = await h.worker();
      await worker.fail(await worker.claimOne(), 1_000);
      const { runAt } = await h.job(id);
      h.clock.advance(5_000);
      await h.driver.promote(10);
      await worker.giveBack(await worker.claimOne());
      const job = await h.job(id);
      deepEqual([job.state, job.runAt, job.priority, job.run], ["pending", runAt, 4, 3]);
    },
  },
  {
    id: "release.unfinished-only",
    law: "Giving a lease back leaves its settled runs as they are, counts the others, and is done once.",
    async run(h) {
      await h.enqueueAll(times(4, () => ({})));
      const worker = await h.worker();
      const held = await worker.claim();
      await worker.done(held[0]!);
      await h.cancel(held[1]!.job);
      equal(await worker.release(...held), 2);
      equal(await worker.release(...held), 0);
      await h.assertState(held[0]!.job, "done");
      await h.assertState(held[1]!.job, "cancelled");
      equal((await h.totals()).pending, 2);
    },
  },
  {
    id: "release.own-leases-only",
    law: "Nobody gives back what another session holds.",
    async run(h) {
      const id = await h.enqueue();
      const owner = await h.worker();
      const held = await owner.claimOne();
      equal(await (await h.worker()).release(held), 0);
      await h.assertState(id, "reserved");
      equal(await owner.done(held), "accepted");
    },
  },
];
