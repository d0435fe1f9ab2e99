/** Laws about pausing: what is paused waits, what runs goes on. */
import { deepEqual, equal } from "node:assert/strict";
import type { Harness } from "./harness.js";
import type { Law } from "./law.js";
import type { TestWorker } from "./worker.js";

/** "queue kind" of all that can be claimed now. */
async function claimed(worker: TestWorker): Promise<string[]> {
  const kinds = ["mail", "fax"];
  const wants = ["a", "b"].map((queue) => ({ queue, kinds, limit: 10 }));
  return (await worker.claim({ wants })).map(({ queue, kind }) => `${queue} ${kind}`).toSorted();
}

function enqueueAll(h: Harness): Promise<string[]> {
  const queues = ["a", "b"].map((queue) => ["fax", "mail"].map((kind) => ({ queue, kind })));
  return h.enqueueAll(queues.flat());
}

export const pauseLaws: readonly Law[] = [
  {
    id: "pause.queue",
    law: "Nothing of a paused queue is claimed until it is resumed; other queues go on.",
    async run(h) {
      await enqueueAll(h);
      const worker = await h.worker();
      equal(await h.driver.setPaused({ queue: "a", kind: null }, true), true);
      deepEqual(await claimed(worker), ["b fax", "b mail"]);
      equal(await h.driver.setPaused({ queue: "a", kind: null }, false), true);
      deepEqual(await claimed(worker), ["a fax", "a mail"]);
    },
  },
  {
    id: "pause.kind",
    law: "Nothing of a paused kind in a queue is claimed until it is resumed; the rest of the queue goes on.",
    async run(h) {
      await enqueueAll(h);
      const worker = await h.worker();
      equal(await h.driver.setPaused({ queue: "a", kind: "mail" }, true), true);
      deepEqual(await claimed(worker), ["a fax", "b fax", "b mail"]);
      equal(await h.driver.setPaused({ queue: "a", kind: "mail" }, false), true);
      deepEqual(await claimed(worker), ["a mail"]);
    },
  },
  {
    id: "pause.apart",
    law: "A queue and its kinds are paused each on its own: resuming one leaves the other paused.",
    async run(h) {
      await enqueueAll(h);
      const worker = await h.worker();
      await h.driver.setPaused({ queue: "a", kind: null }, true);
      await h.driver.setPaused({ queue: "a", kind: "mail" }, true);
      await h.driver.setPaused({ queue: "a", kind: null }, false);
      deepEqual(await claimed(worker), ["a fax", "b fax", "b mail"]);
      await h.driver.setPaused({ queue: "a", kind: null }, true);
      await h.driver.setPaused({ queue: "a", kind: "mail" }, false);
      deepEqual(await claimed(worker), []);
    },
  },
  {
    id: "pause.changes",
    law: "Who pauses what is paused, or resumes what is not, is told that nothing changed.",
    async run(h) {
      await enqueueAll(h);
      for (const kind of [null, "mail", "never enqueued"]) {
        const target = { queue: "a", kind };
        const answers = [false, true, true, false, false, true];
        const told: boolean[] = [];
        for (const paused of answers) told.push(await h.driver.setPaused(target, paused));
        deepEqual(told, [false, true, false, true, false, true], `kind ${kind}`);
      }
      equal(await h.driver.setPaused({ queue: "never used", kind: null }, false), false);
    },
  },
  {
    id: "pause.before-the-first-job",
    law: "What is paused before its first job was enqueued keeps that job waiting.",
    async run(h) {
      await h.driver.setPaused({ queue: "a", kind: null }, true);
      await h.driver.setPaused({ queue: "b", kind: "fax" }, true);
      await enqueueAll(h);
      deepEqual(await claimed(await h.worker()), ["b mail"]);
    },
  },
  {
    id: "pause.held",
    law: "What is held when its queue is paused goes on, and comes back to a queue that is paused.",
    async run(h) {
      const [first, second] = await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      const [a, b] = await worker.claim();
      await h.driver.setPaused({ queue: "default", kind: null }, true);
      equal(await worker.done(a!), "accepted");
      equal(await worker.fail(b!), "accepted");
      await h.assertState(first!, "done");
      await h.assertState(second!, "failed");
      deepEqual(await worker.claim(), []);
    },
  },
  {
    id: "pause.shown",
    law: "Counts say which kinds are paused, be it by themselves or with their queue.",
    async run(h) {
      await enqueueAll(h);
      await h.driver.setPaused({ queue: "a", kind: null }, true);
      await h.driver.setPaused({ queue: "b", kind: "fax" }, true);
      deepEqual(
        (await h.driver.counts({})).map(({ queue, kind, paused }) => `${queue} ${kind} ${paused}`),
        ["a fax true", "a mail true", "b fax true", "b mail false"],
      );
    },
  },
];
