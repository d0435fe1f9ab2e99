/** Laws about the tally: what happened is counted, each thing once. */
import { deepEqual, equal } from "node:assert/strict";
import { afterFailure, afterSuccess } from "../../core/outcome.js";
import { newJob, times, type Harness } from "./harness.js";
import type { Law } from "./law.js";
import { settlement } from "./worker.js";

const MINUTE = 60_000;

/** "event n", in the order of the answer. */
async function counted(h: Harness, since = 0): Promise<string[]> {
  return (await h.driver.tally(since)).map(({ event, n }) => `${event} ${n}`);
}

export const tallyLaws: readonly Law[] = [
  {
    id: "tally.enqueued",
    law: "A job that was inserted is counted as enqueued; duplicates and conflicts are not.",
    async run(h) {
      const job = newJob({ uniqueKey: "k" });
      await h.driver.insertJobs([job, newJob(), job, newJob({ uniqueKey: "k" })]);
      await h.driver.insertJobs([job]);
      deepEqual(await counted(h), ["enqueued 2"]);
    },
  },
  {
    id: "tally.ends",
    law: "Every end of a run is counted once, whoever decided it.",
    requires: ["clock"],
    async run(h) {
      const start = h.clock.now() - (h.clock.now() % MINUTE);
      await h.enqueueAll(times(8, (i) => ({ priority: 9 - i })));
      const worker = await h.worker();
      await worker.done(await worker.claimOne());
      await worker.abort(await worker.claimOne());
      await worker.fail(await worker.claimOne(), 60_000);
      await worker.snooze(await worker.claimOne(), 60_000);
      const [a, b] = await worker.claim({ limit: 2 });
      await worker.release(a!, b!);
      const cancelled = await h.enqueue({ delayMs: 60_000 });
      await h.cancel(cancelled);
      await h.retry(cancelled);
      await h.enqueue({ kind: "fax", expiresAt: h.clock.now() - 1 });
      await worker.claim({ kinds: ["fax"] });
      await worker.claim({ limit: 1 });
      await h.kill(worker);
      const of = (kind: string, event: string, n: number) => ({
        minute: start,
        queue: "default",
        kind,
        event,
        n,
      });
      deepEqual(await h.driver.tally(0), [
        of("fax", "enqueued", 1),
        of("fax", "abandoned", 1),
        of("mail", "enqueued", 9),
        of("mail", "done", 1),
        of("mail", "failed", 1),
        of("mail", "abandoned", 1),
        of("mail", "cancelled", 1),
        of("mail", "crashed", 1),
        of("mail", "released", 2),
        of("mail", "snoozed", 1),
        of("mail", "requeued", 1),
      ]);
    },
  },
  {
    id: "tally.once",
    law: "What is sent again, or lost, is not counted again.",
    async run(h) {
      await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      const [a, b] = await worker.claim();
      await h.cancel(b!.job);
      const group = { lease: a!.lease, session: worker.session, close: false };
      const settlements = [a!, b!].map((held) => settlement(held, afterSuccess(held)));
      for (const times of [1, 2, 3]) {
        const settle = [{ ...group, settlements, close: times === 3 }];
        await h.driver.trip({ settle, claim: null });
      }
      deepEqual(await counted(h), ["enqueued 2", "done 1", "cancelled 1"]);
    },
  },
  {
    id: "tally.sums",
    law: "Counts of all workers, connections and commits of a minute are one.",
    async run(h) {
      await h.enqueueAll(times(6, () => ({})));
      for (const driver of [h.driver, await h.connect()])
        for (let n = 0; n < 3; n++) {
          const worker = await h.worker(driver);
          await worker.done(await worker.claimOne());
        }
      deepEqual(await counted(h), ["enqueued 6", "done 6"]);
    },
  },
  {
    id: "tally.lanes",
    law: "Each thing is counted for its own queue and kind, also where one lease holds jobs of several.",
    async run(h) {
      const lanes = [
        ["a", "fax"],
        ["a", "mail"],
        ["b", "mail"],
      ] as const;
      await h.enqueueAll(
        lanes.flatMap(([queue, kind], i) => times(i + 1, () => ({ queue, kind }))),
      );
      const worker = await h.worker();
      const wants = ["a", "b"].map((queue) => ({ queue, kinds: ["mail", "fax"], limit: 9 }));
      const held = await worker.claim({ wants });
      equal(held.length, 6);
      // In two trips, the second from another connection: it has not seen the claim.
      const all = held.map((job) => settlement(job, afterSuccess(job)));
      await worker.settleAll(held[0]!.lease, all.slice(0, 4));
      const other = await h.connect();
      await other.trip({ settle: [worker.group(held[0]!.lease, all.slice(4))], claim: null });
      deepEqual(
        (await h.driver.tally(0)).map(
          ({ queue, kind, event, n }) => `${queue} ${kind} ${event} ${n}`,
        ),
        [
          "a fax enqueued 1",
          "a fax done 1",
          "a mail enqueued 2",
          "a mail done 2",
          "b mail enqueued 3",
          "b mail done 3",
        ],
      );
    },
  },
  {
    id: "tally.minutes",
    law: "Counts come by the minute in which it happened, oldest first, from the minute of the given moment on.",
    requires: ["clock"],
    async run(h) {
      const start = h.clock.now() - (h.clock.now() % MINUTE) + MINUTE;
      h.clock.advance(start - h.clock.now());
      const worker = await h.worker();
      await h.enqueue();
      h.clock.advance(MINUTE - 1);
      await h.enqueue();
      h.clock.advance(1);
      const held = await worker.claimOne();
      await worker.settle(
        held,
        afterFailure(held, () => 0),
      );
      h.clock.advance(MINUTE);
      await worker.done(await worker.claimOne());
      const rows = async (since: number): Promise<string[]> =>
        (await h.driver.tally(since)).map(
          ({ minute, event, n }) => `${(minute - start) / MINUTE} ${event} ${n}`,
        );
      deepEqual(await rows(0), ["0 enqueued 2", "1 failed 1", "2 done 1"]);
      deepEqual(await rows(start + MINUTE), ["1 failed 1", "2 done 1"]);
      deepEqual(await rows(start + 2 * MINUTE - 1), ["1 failed 1", "2 done 1"]);
      deepEqual(await rows(start + 2 * MINUTE), ["2 done 1"]);
    },
  },
];
