/** Laws about keys: jobs of one key share limits, and keys take turns. */
import { deepEqual, equal } from "node:assert/strict";
import { times, type Harness } from "../harness.js";
import type { Law } from "../law.js";
import type { HeldJob, TestWorker } from "../worker.js";
import { claims, declare, limitsOf } from "./declare.js";

const perKey = (running: number) => limitsOf({ perKey: { running, rate: null } });

/** So many jobs of this key; their ids. */
function ofKey(h: Harness, limitKey: string, n: number, priority = 0): Promise<string[]> {
  return h.enqueueAll(times(n, () => ({ limitKey, priority })));
}

/** Claims one after the other and settles each at once: whose turn it was. */
async function turnsOf(
  worker: TestWorker,
  n: number,
  keyOf: (job: HeldJob) => string,
): Promise<string[]> {
  const turns: string[] = [];
  while (turns.length < n) {
    const held = await worker.claimOne();
    turns.push(keyOf(held));
    equal(await worker.done(held), "accepted");
  }
  return turns;
}

export const keyLaws: readonly Law[] = [
  {
    id: "keys.running",
    law: "At most as many jobs of one key are held at once as it may; other keys, and jobs without one, go on.",
    async run(h) {
      await declare(h, perKey(1));
      const [a1, a2] = await ofKey(h, "a", 3);
      const [b1] = await ofKey(h, "b", 2);
      const free = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claim();
      deepEqual(new Set(held.map(({ job }) => job)), new Set([a1, b1, free]));
      equal(await claims(await h.worker()), 0);
      equal(await worker.done(held.find(({ job }) => job === a1)!), "accepted");
      deepEqual(
        (await worker.claim()).map(({ job }) => job),
        [a2],
      );
    },
  },
  {
    id: "keys.of-their-kind",
    law: "The same key of another kind is another key; of one kind it is one key in whichever queue.",
    async run(h) {
      await declare(h, perKey(1), { ...perKey(1), name: "fax" });
      const queues = ["a", "b"];
      await h.enqueueAll(
        queues.flatMap((queue) =>
          ["mail", "fax"].map((kind) => ({ queue, kind, limitKey: "key" })),
        ),
      );
      const wants = queues.map((queue) => ({ queue, kinds: ["mail", "fax"], limit: 10 }));
      const worker = await h.worker();
      const held = await worker.claim({ wants });
      deepEqual(held.map(({ kind }) => kind).toSorted(), ["fax", "mail"]);
      for (const job of held) equal(await worker.done(job), "accepted");
      equal((await worker.claim({ wants })).length, 2);
    },
  },
  {
    id: "keys.turns",
    law: "Keys take turns: one with few jobs does not wait for one with many.",
    async run(h) {
      await declare(h, perKey(5));
      const many = new Set(await ofKey(h, "many", 50));
      const few = ["b", "c", "d"];
      const keys = new Map<string, string>();
      for (const key of few) for (const id of await ofKey(h, key, 5)) keys.set(id, key);
      const worker = await h.worker();
      const keyOf = ({ job }: HeldJob): string => (many.has(job) ? "many" : keys.get(job)!);
      const turns = await turnsOf(worker, 8, keyOf);
      for (const key of ["many", ...few])
        equal(turns.filter((turn) => turn === key).length, 2, `${key} in ${turns.join()}`);
    },
  },
  {
    id: "keys.turns-are-kept",
    law: "Whose turn it is, is kept for whoever comes next, also where nobody ever declared a limit.",
    async run(h) {
      const keys = new Map<string, string>();
      for (const key of ["a", "b", "c"]) for (const id of await ofKey(h, key, 9)) keys.set(id, key);
      const turns: string[] = [];
      for (let round = 0; round < 9; round++) {
        // A process that was just started.
        const worker = await h.worker(await h.connect());
        turns.push(...(await turnsOf(worker, 1, ({ job }) => keys.get(job)!)));
      }
      for (const key of ["a", "b", "c"])
        equal(turns.filter((turn) => turn === key).length, 3, `${key} in ${turns.join()}`);
    },
  },
  {
    id: "keys.shares",
    law: "A claim gives each key as much as the others, and what one does not need to those that have more.",
    async run(h) {
      await declare(h, perKey(50));
      const keys = new Map<string, string>();
      for (const [key, n] of [
        ["a", 20],
        ["b", 20],
        ["c", 1],
      ] as const)
        for (const id of await ofKey(h, key, n)) keys.set(id, key);
      const worker = await h.worker();
      const of = (held: readonly HeldJob[]): number[] =>
        ["a", "b", "c"].map((key) => held.filter(({ job }) => keys.get(job) === key).length);
      deepEqual(of(await worker.claim({ limit: 3 })), [1, 1, 1]);
      deepEqual(of(await worker.claim({ limit: 12 })), [6, 6, 0]);
    },
  },
  {
    id: "keys.order",
    law: "Of one key the jobs come in order: priority, then due time.",
    async run(h) {
      await declare(h, perKey(2));
      const [first, second] = await ofKey(h, "a", 2);
      const [high] = await ofKey(h, "a", 1, 5);
      const worker = await h.worker();
      const held = await worker.claim();
      deepEqual(
        held.map(({ job }) => job),
        [high, first],
      );
      for (const job of held) await worker.done(job);
      deepEqual(
        (await worker.claim()).map(({ job }) => job),
        [second],
      );
    },
  },
  {
    id: "keys.with-their-kind",
    law: "The limits of the kind and of the queue hold for all its keys together.",
    async run(h) {
      await declare(
        h,
        limitsOf({ running: 4, perKey: { running: 2, rate: null } }),
        limitsOf({ running: 3 }, "default", "queue"),
      );
      for (const key of ["a", "b", "c"]) await ofKey(h, key, 3);
      const [one, other] = [await h.worker(), await h.worker()];
      equal(await claims(one, 2), 2);
      equal(await claims(other), 1);
      equal(await claims(one), 0);
    },
  },
  {
    id: "keys.come-back",
    law: "A job that failed, was released, or came due waits for its key's turn as before.",
    requires: ["clock"],
    async run(h) {
      await declare(h, perKey(1));
      const [a1] = await ofKey(h, "a", 1, 1);
      const worker = await h.worker();
      equal(await worker.fail(await worker.claimOne(), 1_000), "accepted");
      const [a2] = await ofKey(h, "a", 1);
      const held = await worker.claimOne();
      equal(held.job, a2);
      h.clock.advance(1_000);
      equal((await h.driver.promote(10)).moved, 1);
      equal(await claims(worker), 0, "it is due, and another one of its key runs");
      await h.assertState(a1!, "failed");
      equal(await worker.giveBack(held), "accepted");
      const next = await worker.claimOne();
      equal(next.job, a1);
      equal(await claims(worker), 0);
      equal(await worker.fail(next), "accepted");
      equal((await worker.claimOne()).job, a1, "tried again at once, before one of lower priority");
      equal(await claims(worker), 0);
    },
  },
  {
    id: "keys.dead-worker",
    law: "The place of a key that a dead worker held is free as soon as its session is ended; the job waits for its turn.",
    async run(h) {
      await declare(h, perKey(1));
      const [first] = await ofKey(h, "a", 2);
      const [dead, worker] = [await h.worker(), await h.worker()];
      equal(await claims(dead), 1);
      equal(await claims(worker), 0);
      await h.kill(dead);
      equal((await worker.claimOne()).job, first);
      equal(await claims(worker), 0);
    },
  },
  {
    id: "keys.operated",
    law: "What waits for its key's turn is pending: it is listed, counted, cancelled, retried and moved like any other job.",
    async run(h) {
      await declare(h, perKey(1));
      const [first, second, third] = await ofKey(h, "a", 3);
      const worker = await h.worker();
      equal((await worker.claimOne()).job, first);
      await h.assertState(second!, "pending");
      const { pending, reserved } = await h.totals();
      deepEqual({ pending, reserved }, { pending: 2, reserved: 1 });
      const listed: string[] = [];
      let after: string | undefined;
      do {
        const page = await h.driver.listJobs({ limit: 1, ...(after !== undefined && { after }) });
        listed.push(...page.rows.map(({ id }) => id));
        after = page.next ?? undefined;
      } while (after !== undefined);
      deepEqual(listed, [first, second, third]);
      await h.cancel(second!);
      await h.assertState(second!, "cancelled");
      equal((await h.totals()).pending, 1);
      await h.retry(second!);
      await h.assertState(second!, "pending");
      const change = { id: second!, runAt: null, delayMs: null, priority: 9 };
      deepEqual(await h.driver.reschedule([change]), [{ status: "rescheduled" }]);
      equal(await claims(worker), 0);
      await h.cancel(first!);
      deepEqual(await h.driver.purge([third!]), ["cancelled"]);
    },
  },
  {
    id: "keys.without-limits",
    law: "Jobs with keys of a kind without limits are claimed like others.",
    async run(h) {
      const ids = [...(await ofKey(h, "a", 3)), ...(await ofKey(h, "b", 2)), await h.enqueue()];
      const worker = await h.worker();
      const held: string[] = [];
      for (let tries = 0; tries < 3; tries++)
        held.push(...(await worker.claim()).map(({ job }) => job));
      deepEqual(held.toSorted(), ids.toSorted());
    },
  },
  {
    id: "keys.one-commit",
    law: "A claim of many keys takes as many commits as one of a single job.",
    requires: ["commits"],
    async run(h) {
      await declare(h, limitsOf({ running: 500, perKey: { running: 1, rate: null } }));
      await h.enqueueAll(times(40, (i) => ({ limitKey: `key ${i}` })));
      const worker = await h.worker();
      const one = await h.commitsOf(() => worker.claim({ limit: 1 }));
      equal(await h.commitsOf(async () => equal(await claims(worker, 30), 30)), one);
    },
  },
];
