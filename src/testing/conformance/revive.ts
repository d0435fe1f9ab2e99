/** Laws about new jobs that are made of failed runs: like them, and once for each. */
import { deepEqual, equal } from "node:assert/strict";
import type { RevivalOutcome } from "../../storage/driver.js";
import { newId } from "../../storage/ids.js";
import { jsonPayload, type Harness, type JobSpec } from "./harness.js";
import type { Law } from "./law.js";

const KEY = { uniqueKey: "invoice 7" } as const;
const INSERTED: RevivalOutcome = { status: "inserted" };

async function revive(h: Harness, job: string, run = 1, id = newId()): Promise<RevivalOutcome> {
  return (await h.driver.enqueueFromFailed([{ job, run, id }]))[0]!;
}

/** Enqueued, failed once, and abandoned with that. */
async function abandoned(h: Harness, spec: JobSpec = {}): Promise<string> {
  const id = await h.enqueue({ maxAttempts: 1, ...spec });
  const worker = await h.worker();
  await worker.fail(await worker.claimOne());
  return id;
}

export const reviveLaws: readonly Law[] = [
  {
    id: "revive.like-it",
    law: "A job made of a failed run is like its job, due now, with a life of its own; the failed one stays as it is.",
    async run(h) {
      const spec = {
        priority: 4,
        maxAttempts: 1,
        timeoutMs: 5_000,
        redact: ["card"],
        payload: jsonPayload({ to: "me", card: "4111" }),
        delayMs: 0,
      };
      const failed = await abandoned(h, spec);
      const id = newId();
      deepEqual(await revive(h, failed, 1, id), INSERTED);
      const [old, made] = [await h.job(failed), await h.job(id)];
      const like = ({
        queue,
        kind,
        priority,
        maxAttempts,
        timeoutMs,
        redact,
        payload,
      }: typeof old) => [queue, kind, priority, maxAttempts, timeoutMs, redact, payload];
      deepEqual(like(made), like(old));
      deepEqual([made.state, made.run, made.fails, made.last], ["pending", 1, 0, null]);
      deepEqual(made.origin, { job: failed, run: 1 });
      equal(old.state, "abandoned");
      equal((await h.attempts(failed)).length, 1);
      const worker = await h.worker();
      const held = await worker.claimOne();
      deepEqual([held.job, held.payload], [id, spec.payload]);
      await worker.done(held);
    },
  },
  {
    id: "revive.living",
    law: "A run of a job that will be tried again can be taken, too, and each of its runs by itself.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      await worker.fail(await worker.claimOne());
      await worker.fail(await worker.claimOne(), 60_000);
      deepEqual(await revive(h, id, 1), INSERTED);
      deepEqual(await revive(h, id, 2), INSERTED);
      equal((await worker.claim()).length, 2);
      await h.assertState(id, "failed");
    },
  },
  {
    id: "revive.once",
    law: "Of one run one job is made, also by two at once; whoever asks again is told which. The list of attempts shows it.",
    async run(h) {
      const failed = await abandoned(h);
      const ids = [newId(), newId()];
      const drivers = [h.driver, await h.connect()];
      const asked = drivers.map((driver, i) =>
        driver.enqueueFromFailed([{ job: failed, run: 1, id: ids[i]! }]),
      );
      const outcomes = (await Promise.all(asked)).flat();
      deepEqual(outcomes.map(({ status }) => status).toSorted(), ["already", "inserted"]);
      const made = ids[outcomes.findIndex(({ status }) => status === "inserted")]!;
      deepEqual(await revive(h, failed), { status: "already", by: made });
      const [attempt] = await h.attempts(failed);
      equal(attempt!.retriedBy, made);
      equal((await (await h.worker()).claim()).length, 1);
      deepEqual(await h.driver.listLog({ job: failed, limit: 10 }), [], "nobody wrote a line");
    },
  },
  {
    id: "revive.in-one-call",
    law: "The same run twice in one call is taken once, and the same id stands for one job.",
    async run(h) {
      const [a, b] = [await abandoned(h), await abandoned(h)];
      const [first, second] = [newId(), newId()];
      const outcomes = await h.driver.enqueueFromFailed([
        { job: a, run: 1, id: first },
        { job: a, run: 1, id: second },
        { job: b, run: 1, id: first },
      ]);
      deepEqual(outcomes[0], INSERTED);
      deepEqual(outcomes[1], { status: "already", by: first });
      deepEqual(outcomes[2], { status: "duplicate" });
      equal((await (await h.worker()).claim()).length, 1);
    },
  },
  {
    id: "revive.resend",
    law: "The same id sent again is a duplicate, also when the job that was made has ended.",
    async run(h) {
      const failed = await abandoned(h);
      const id = newId();
      deepEqual(await revive(h, failed, 1, id), INSERTED);
      deepEqual(await revive(h, failed, 1, id), { status: "duplicate" });
      await h.cancel(id);
      deepEqual(await revive(h, failed, 1, id), { status: "duplicate" });
    },
  },
  {
    id: "revive.remembered",
    law: "A run stays taken for as long as it is kept, also when the job that was made of it has been pruned.",
    requires: ["clock"],
    async run(h) {
      const failed = await abandoned(h, { keepOtherMs: 3_600_000_000 });
      const id = newId();
      deepEqual(await revive(h, failed, 1, id), INSERTED);
      const worker = await h.worker();
      await worker.done(await worker.claimOne());
      h.clock.advance(3_600_000);
      await h.prune();
      deepEqual(await h.driver.getJobs([id]), [null]);
      deepEqual(await revive(h, failed), { status: "already", by: id });
      deepEqual(await revive(h, failed, 1, id), { status: "duplicate" });
      equal((await h.attempts(failed))[0]!.retriedBy, id);
    },
  },
  {
    id: "revive.refused",
    law: "A run that has not failed is refused with its state; one that is unknown is absent.",
    async run(h) {
      const worker = await h.worker();
      const done = await h.enqueue();
      await worker.done(await worker.claimOne());
      const released = await h.enqueue();
      const held = await worker.claimOne();
      await worker.giveBack(held);
      deepEqual(await revive(h, done), { status: "refused", state: "done" });
      deepEqual(await revive(h, released), { status: "refused", state: "released" });
      deepEqual(await revive(h, released, 2), { status: "absent" });
      deepEqual(await revive(h, newId()), { status: "absent" });
      await h.cancel(released);
      deepEqual(await revive(h, released, 2), { status: "refused", state: "cancelled" });
    },
  },
  {
    id: "revive.key",
    law: "It takes the unique key, where that is free; else it is not made, the holder is named, and the run can be taken later.",
    async run(h) {
      const id = await h.enqueue(KEY);
      const worker = await h.worker();
      await worker.fail(await worker.claimOne(), 60_000);
      deepEqual(await revive(h, id), { status: "unique", holder: id });
      deepEqual((await h.attempts(id))[0]!.retriedBy, undefined);
      await h.cancel(id);
      const made = newId();
      deepEqual(await revive(h, id, 1, made), INSERTED);
      equal((await h.job(made)).uniqueKey, KEY.uniqueKey);
      deepEqual(await h.driver.retry([id]), [{ status: "unique", holder: made }]);
    },
  },
  {
    id: "revive.without-expiry",
    law: "It may start though its job had expired.",
    requires: ["clock"],
    async run(h) {
      const failed = await abandoned(h, { expiresAt: h.clock.now() + 60_000 });
      h.clock.advance(120_000);
      const id = newId();
      deepEqual(await revive(h, failed, 1, id), INSERTED);
      equal((await h.job(id)).expiresAt, null);
      equal((await (await h.worker()).claimOne()).job, id);
    },
  },
];
