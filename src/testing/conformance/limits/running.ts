/** Laws about jobs that run at once: of a kind, of a queue, on one machine. */
import { deepEqual, equal } from "node:assert/strict";
import { newId } from "../../../storage/ids.js";
import { times } from "../harness.js";
import type { Law } from "../law.js";
import { claims, declare, limitsOf, spec } from "./declare.js";

export const limitLaws: readonly Law[] = [
  {
    id: "limits.kind",
    law: "At most as many jobs of a kind are held at once as it may, by all workers together; what is given up makes room.",
    async run(h) {
      await declare(h, limitsOf({ running: 3 }));
      await h.enqueueAll(times(6, () => ({})));
      const [one, other] = [await h.worker(), await h.worker(await h.connect())];
      const held = await one.claim({ limit: 2 });
      equal(held.length, 2, "the first two");
      equal(await claims(other), 1, "one more is left");
      equal(await claims(one), 0, "and no other");
      equal(await one.done(held[0]!), "accepted");
      equal(await claims(other), 1, "after an end");
      equal(await one.fail(held[1]!, 60_000), "accepted");
      equal(await claims(other), 1, "after a failure");
      equal(await claims(one), 0, "full again");
    },
  },
  {
    id: "limits.settle-and-claim",
    law: "What a trip settles makes room for what the same trip claims.",
    async run(h) {
      await declare(h, limitsOf({ running: 1 }));
      await h.enqueueAll(times(3, () => ({})));
      const worker = await h.worker();
      let held = await worker.claimOne();
      for (const left of [1, 0]) {
        const settle = [
          worker.group(held.lease, [
            {
              job: held.job,
              run: held.run,
              state: "done",
              reason: null,
              fails: 0,
              crashes: 0,
              next: null,
              elapsedMs: null,
              result: null,
              error: null,
            },
          ]),
        ];
        const next = (await worker.trip(settle, { limit: 5 })).held;
        equal(next.length, 1, `${left} left`);
        held = next[0]!;
      }
    },
  },
  {
    id: "limits.apart",
    law: "Kinds are limited each by itself, in whichever queues; kinds that nobody limited are not.",
    async run(h) {
      await declare(h, limitsOf({ running: 2 }));
      const queues = ["a", "b"];
      await h.enqueueAll(
        queues.flatMap((queue) =>
          ["mail", "fax"].flatMap((kind) => times(3, () => ({ queue, kind }))),
        ),
      );
      const worker = await h.worker();
      const wants = queues.map((queue) => ({ queue, kinds: ["mail", "fax"], limit: 10 }));
      const held = [...(await worker.claim({ wants })), ...(await worker.claim({ wants }))];
      const of = (kind: string): number => held.filter((job) => job.kind === kind).length;
      deepEqual({ mail: of("mail"), fax: of("fax") }, { mail: 2, fax: 6 });
    },
  },
  {
    id: "limits.queue",
    law: "A queue's limit holds for all kinds in it together, beside those of the kinds.",
    async run(h) {
      await declare(h, limitsOf({ running: 3 }, "default", "queue"), limitsOf({ running: 2 }));
      await h.enqueueAll(times(4, () => ({ priority: 1 })));
      await h.enqueueAll(times(4, () => ({ kind: "fax" })));
      const worker = await h.worker();
      const held = await worker.claim({ limit: 10, kinds: ["mail", "fax"] });
      deepEqual(
        held.map(({ kind }) => kind),
        ["mail", "mail", "fax"],
      );
      equal(await claims(await h.worker()), 0);
      equal(await worker.done(held[2]!), "accepted");
      deepEqual(
        (await worker.claim({ kinds: ["mail", "fax"] })).map(({ kind }) => kind),
        ["fax"],
      );
    },
  },
  {
    id: "limits.machine",
    law: "A limit per machine holds for the workers of one host together, and for each host by itself.",
    async run(h) {
      await declare(h, limitsOf({ perMachine: 2, running: 5 }));
      await h.enqueueAll(times(9, () => ({})));
      const on = (host: string) => h.worker(h.driver, { host });
      const [a1, a2, b] = [await on("a"), await on("a"), await on("b")];
      equal((await a1.claim({ limit: 1 })).length, 1);
      equal(await claims(a2), 1, "what the host has left");
      equal(await claims(a1), 0);
      equal(await claims(b), 2, "another host");
      equal(await claims(await on("c")), 1, "of all together five");
    },
  },
  {
    id: "limits.priority",
    law: "What may be claimed of what is limited is claimed in order: priority, then due time.",
    async run(h) {
      await declare(h, limitsOf({ running: 2 }));
      const [low, first, high, second] = await h.enqueueAll([
        { priority: -1 },
        {},
        { priority: 5 },
        {},
      ]);
      const worker = await h.worker();
      const held = await worker.claim();
      deepEqual(
        held.map(({ job }) => job),
        [high, first],
      );
      for (const job of held) await worker.done(job);
      deepEqual(
        (await worker.claim()).map(({ job }) => job),
        [second, low],
      );
    },
  },
  {
    id: "limits.dead-worker",
    law: "What a dead worker held makes room as soon as its session is ended.",
    async run(h) {
      await declare(h, limitsOf({ running: 2 }));
      await h.enqueueAll(times(4, () => ({})));
      const [dead, worker] = [await h.worker(), await h.worker()];
      equal(await claims(dead), 2);
      equal(await claims(worker), 0);
      equal((await h.kill(dead)).status, "reaped");
      equal(await claims(worker), 2);
    },
  },
  {
    id: "limits.given-back",
    law: "What is given back makes room.",
    async run(h) {
      await declare(h, limitsOf({ running: 2 }));
      await h.enqueueAll(times(4, () => ({})));
      const [one, other] = [await h.worker(), await h.worker()];
      const held = await one.claim();
      equal(await one.release(...held), 2);
      equal(await claims(other), 2);
    },
  },
  {
    id: "limits.cancelled-runs",
    law: "A run that was cancelled keeps its place until its worker gives it up, also when its job has another life by then.",
    async run(h) {
      await declare(h, limitsOf({ running: 1 }));
      const [id] = await h.enqueueAll([{ priority: 1 }, {}]);
      const [one, other] = [await h.worker(), await h.worker()];
      const held = await one.claimOne();
      await h.cancel(id!);
      equal(await claims(other), 0, "it still runs");
      await h.retry(id!);
      equal(await claims(other), 0, "its next life has to wait, too");
      equal(await one.done(held), "lost");
      const next = await other.claimOne();
      deepEqual([next.job, next.run], [id, 3]);
      equal(await claims(one), 0, "the next life has its own place");
    },
  },
  {
    id: "limits.left-in-a-lease",
    law: "With a lease go the places of runs in it that others decided.",
    async run(h) {
      await declare(h, limitsOf({ running: 2 }));
      const [id] = await h.enqueueAll([{ priority: 1 }, {}, {}, {}]);
      const worker = await h.worker();
      const [first, second] = await worker.claim();
      await h.cancel(id!);
      equal(first!.job, id);
      const group = worker.group(first!.lease, [
        {
          job: second!.job,
          run: second!.run,
          state: "done",
          reason: null,
          fails: 0,
          crashes: 0,
          next: null,
          elapsedMs: null,
          result: null,
          error: null,
        },
      ]);
      await h.driver.trip({ settle: [{ ...group, close: true }], claim: null });
      equal(await claims(worker), 2);
    },
  },
  {
    id: "limits.resend",
    law: "A claim that is sent again brings what it brought, and takes no other places.",
    async run(h) {
      await declare(h, limitsOf({ running: 2 }));
      await h.enqueueAll(times(5, () => ({})));
      const worker = await h.worker();
      const lease = newId();
      const held = await worker.claim({ lease, limit: 1 });
      const again = await worker.claim({ lease, limit: 1 });
      deepEqual(
        again.map(({ job }) => job),
        held.map(({ job }) => job),
      );
      equal(await claims(await h.worker()), 1);
    },
  },
  {
    id: "limits.expired",
    law: "A job that expired takes no place.",
    requires: ["clock"],
    async run(h) {
      await declare(h, limitsOf({ running: 1, perKey: { running: 1, rate: null } }));
      const expiresAt = h.clock.now() + 1_000;
      const late = await h.enqueueAll([
        { expiresAt, priority: 1 },
        { expiresAt, limitKey: "a", priority: 1 },
      ]);
      const id = await h.enqueue({ limitKey: "a" });
      h.clock.advance(2_000);
      const worker = await h.worker();
      const held = [];
      for (let tries = 0; held.length === 0 && tries < 3; tries++)
        held.push(...(await worker.claim()));
      deepEqual(
        held.map(({ job }) => job),
        [id],
      );
      for (const one of late) await h.assertState(one, "abandoned");
    },
  },
  {
    id: "limits.at-once",
    law: "However many claim at once, none takes a place that another one has.",
    async run(h) {
      await declare(h, limitsOf({ running: 4, perKey: { running: 1, rate: null } }));
      await h.enqueueAll(times(40, (i) => (i % 2 === 0 ? {} : { limitKey: `key ${i % 3}` })));
      const connections = [h.driver, await h.connect(), await h.connect(), await h.connect()];
      const workers = await Promise.all(connections.map((driver) => h.worker(driver)));
      for (let round = 0; round < 3; round++) {
        const held = await Promise.all(workers.map((worker) => worker.claim({ limit: 3 })));
        equal(held.flat().length, 4, `round ${round}`);
        await Promise.all(
          workers.map(async (worker, i) => {
            for (const job of held[i]!) equal(await worker.done(job), "accepted");
          }),
        );
      }
    },
  },
  {
    id: "limits.last-word",
    law: "What was declared last holds for everybody at once, also for jobs that wait; nothing declared takes a limit away.",
    async run(h) {
      await h.enqueueAll(times(9, () => ({})));
      await declare(h, limitsOf({ running: 1 }));
      const worker = await h.worker(await h.connect());
      equal(await claims(worker), 1);
      await declare(h, limitsOf({ running: 4 }));
      equal(await claims(worker), 3, "raised");
      await declare(h, limitsOf({ running: 2 }));
      equal(await claims(worker), 0, "lowered below what runs");
      await declare(h);
      equal(await claims(worker), 0, "a worker that says nothing changes nothing");
      await declare(h, limitsOf(null));
      equal(await claims(worker), 5, "taken away");
    },
  },
  {
    id: "limits.shown",
    law: "Limits are shown as they were declared, with what is used of them; what was taken away is not.",
    async run(h) {
      const rate = { tokens: 10, perMs: 3_600_000, burst: 10 };
      const perKey = { running: 1, rate: null };
      await declare(
        h,
        limitsOf({ running: 3, rate, perKey }),
        limitsOf({ perMachine: 1 }, "fax"),
        limitsOf({ running: 7 }, "default", "queue"),
        limitsOf({ running: 1 }, "gone"),
      );
      await declare(h, limitsOf(null, "gone"));
      await h.enqueueAll([
        { limitKey: "a" },
        { limitKey: "a" },
        {},
        {},
        { limitKey: "b", delayMs: 60_000 },
      ]);
      equal(await claims(await h.worker()), 3);
      const rows = await h.driver.limits();
      const shown = rows.map(({ declaredAt: _at, ...row }) => row);
      const names = new Set(shown.map(({ scope, name }) => `${scope} ${name}`));
      deepEqual([...names], ["kind fax", "kind mail", "queue default"]);
      const used = (name: string) =>
        shown.filter((row) => row.name === name).toSorted((a, b) => b.running - a.running)[0];
      deepEqual(used("mail"), {
        scope: "kind",
        name: "mail",
        spec: spec({ running: 3, rate, perKey }),
        running: 3,
        tokens: 7,
        waiting: 1,
      });
      deepEqual(used("default"), {
        scope: "queue",
        name: "default",
        spec: spec({ running: 7 }),
        running: 3,
        tokens: null,
        waiting: 0,
      });
    },
  },
];
