/** Laws about unique keys: at most one living job per (kind, key). */
import { deepEqual, equal } from "node:assert/strict";
import { afterFailure } from "../../core/outcome.js";
import type { InsertOutcome } from "../../storage/driver.js";
import { newJob, times, type Harness, type JobSpec } from "./harness.js";
import type { Law } from "./law.js";
import { settlement } from "./worker.js";

const KEY = { uniqueKey: "invoice 7" } as const;

/** Tries to enqueue another job with the key. */
async function another(h: Harness, spec: JobSpec = {}): Promise<InsertOutcome> {
  return (await h.driver.insertJobs([newJob({ ...KEY, ...spec })]))[0]!;
}

async function assertTaken(h: Harness, holder: string, when: string): Promise<void> {
  deepEqual(await another(h), { status: "unique", holder }, `the key is taken ${when}`);
}

async function assertFree(h: Harness, when: string): Promise<void> {
  deepEqual(await another(h), { status: "inserted" }, `the key is free ${when}`);
}

export const uniqueLaws: readonly Law[] = [
  {
    id: "unique.one-living",
    law: "A second job with the key of a living one is not inserted; the living one is named.",
    async run(h) {
      const id = await h.enqueue(KEY);
      const refused = newJob(KEY);
      const outcomes = await h.driver.insertJobs([newJob(), refused, newJob()]);
      deepEqual(outcomes[1], { status: "unique", holder: id });
      deepEqual(
        outcomes.map((o) => o.status),
        ["inserted", "unique", "inserted"],
      );
      deepEqual(await h.driver.getJobs([refused.id]), [null], "nothing of it is left");
    },
  },
  {
    id: "unique.in-one-call",
    law: "Of jobs with one key in one call, or in calls at once, one is inserted.",
    async run(h) {
      const other = await h.connect();
      const calls = [h.driver, other, h.driver, other].map((driver) =>
        driver.insertJobs(times(3, () => newJob(KEY))),
      );
      const outcomes = (await Promise.all(calls)).flat();
      const statuses = outcomes.map((outcome) => outcome.status);
      equal(statuses.filter((status) => status === "inserted").length, 1);
      equal(statuses.filter((status) => status === "unique").length, 11);
    },
  },
  {
    id: "unique.per-kind",
    law: "A key belongs to its kind, whatever the queue; other kinds have their own.",
    async run(h) {
      const id = await h.enqueue(KEY);
      deepEqual(await another(h, { queue: "other" }), { status: "unique", holder: id });
      deepEqual(await another(h, { kind: "fax" }), { status: "inserted" });
    },
  },
  {
    id: "unique.resend",
    law: "A job with a key sent again is a duplicate of itself, also when it has ended; it takes no key then.",
    async run(h) {
      const id = await h.enqueue(KEY);
      deepEqual(await another(h, { id }), { status: "duplicate" });
      const worker = await h.worker();
      await worker.done(await worker.claimOne());
      deepEqual(await another(h, { id }), { status: "duplicate" });
      await assertFree(h, "after the resend");
    },
  },
  {
    id: "unique.freed-at-the-end",
    law: "A key is free as soon as its job is done, abandoned or cancelled.",
    async run(h) {
      const worker = await h.worker();
      await h.enqueue(KEY);
      await worker.done(await worker.claimOne());
      await assertFree(h, "after done");
      await worker.abort(await worker.claimOne());
      await assertFree(h, "after abandoned");
      const waiting = await worker.claimOne();
      await worker.fail(waiting, 60_000);
      await h.cancel(waiting.job);
      await assertFree(h, "after cancelled");
    },
  },
  {
    id: "unique.freed-by-expiry",
    law: "A job that expired gives its key up.",
    requires: ["clock"],
    async run(h) {
      await h.enqueue({ ...KEY, expiresAt: h.clock.now() + 1_000 });
      h.clock.advance(1_000);
      deepEqual(await (await h.worker()).claim(), []);
      await assertFree(h, "after it expired");
    },
  },
  {
    id: "unique.freed-by-crashes",
    law: "A job abandoned for its crashes gives its key up.",
    async run(h) {
      await h.enqueue(KEY);
      for (let crash = 1; crash <= 3; crash++) {
        const worker = await h.worker();
        await worker.start(await worker.claimOne());
        await h.kill(worker);
      }
      await assertFree(h, "after the third crash");
    },
  },
  {
    id: "unique.kept-over-retries",
    law: "A job keeps its key while it is held and over failures, snoozes, releases and crashes.",
    async run(h) {
      const id = await h.enqueue(KEY);
      const worker = await h.worker();
      const held = await worker.claimOne();
      await assertTaken(h, id, "while it is held");
      await worker.fail(held);
      await assertTaken(h, id, "after a failure");
      await worker.snooze(await worker.claimOne());
      await assertTaken(h, id, "after a snooze");
      await worker.release(await worker.claimOne());
      await assertTaken(h, id, "after a release");
      await worker.claimOne();
      await h.kill(worker);
      await assertTaken(h, id, "after a crash");
    },
  },
  {
    id: "unique.kept-when-its-lease-goes",
    law: "A job that failed and waits keeps its key when the lease of that run goes, closed or found finished.",
    async run(h) {
      const id = await h.enqueue({ ...KEY, priority: 1 });
      const worker = await h.worker();
      await h.enqueue();
      const [held, other] = await worker.claim();
      await worker.fail(held!);
      await worker.done(other!);
      equal((await h.driver.sessions())[0]!.leases, 0, "the lease is closed");
      await assertTaken(h, id, "after the close");
      const again = await worker.claimOne();
      const failed = afterFailure(again, () => 0);
      const group = worker.group(again.lease, [settlement(again, failed)]);
      await h.driver.trip({ settle: [{ ...group, close: false }], claim: null });
      await worker.heartbeat();
      equal((await h.driver.sessions())[0]!.leases, 0, "the lease is found finished");
      await assertTaken(h, id, "after the heartbeat");
    },
  },
  {
    id: "unique.kept-while-cancelled-run-is-held",
    law: "A cancelled run keeps its key until its worker gives it up, for its handler still runs.",
    async run(h) {
      const id = await h.enqueue(KEY);
      const worker = await h.worker();
      const held = await worker.claimOne();
      await h.cancel(id);
      await assertTaken(h, id, "while the worker holds the run");
      equal(await worker.done(held), "lost");
      await assertFree(h, "after the worker has given it up");
    },
  },
  {
    id: "unique.freed-by-reap-of-cancelled",
    law: "The key of a cancelled run is free when its worker's session is reaped.",
    async run(h) {
      const id = await h.enqueue(KEY);
      const worker = await h.worker();
      await worker.claimOne();
      await h.cancel(id);
      await h.kill(worker);
      await assertFree(h, "after the reap");
    },
  },
  {
    id: "unique.next-life-survives-lost-settle",
    law: "A late settle of a cancelled run takes nothing from the job's next life.",
    async run(h) {
      const id = await h.enqueue(KEY);
      const worker = await h.worker();
      const held = await worker.claimOne();
      await h.cancel(id);
      await h.retry(id);
      equal(await worker.done(held), "lost");
      await assertTaken(h, id, "by the job's next life");
    },
  },
  {
    id: "unique.next-life-survives-late-worker",
    law: "A worker that comes back after its session was reaped takes nothing from the job's next life.",
    async run(h) {
      const id = await h.enqueue(KEY);
      for (let crash = 1; crash <= 2; crash++) {
        const worker = await h.worker();
        await worker.start(await worker.claimOne());
        await h.kill(worker);
      }
      const late = await h.worker();
      const held = await late.claimOne();
      await late.start(held);
      await h.kill(late);
      await h.assertState(id, "abandoned");
      await h.retry(id);
      equal(await late.done(held), "lost");
      await assertTaken(h, id, "by the job's next life");
    },
  },
  {
    id: "unique.next-life-survives-reap",
    law: "Reaping the session of a cancelled run takes nothing from the job's next life.",
    async run(h) {
      const id = await h.enqueue(KEY);
      const worker = await h.worker();
      await worker.claimOne();
      await h.cancel(id);
      await h.retry(id);
      await h.kill(worker);
      await assertTaken(h, id, "by the job's next life");
    },
  },
];
