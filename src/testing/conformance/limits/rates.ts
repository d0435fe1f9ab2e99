/** Laws about rates: each job that begins takes a token, and tokens come evenly. */
import { deepEqual, equal } from "node:assert/strict";
import { times, type Harness } from "../harness.js";
import type { Law } from "../law.js";
import { claims, declare, limitsOf } from "./declare.js";

const requires = ["clock"] as const;

const rate = (tokens: number, perMs: number, burst = tokens) => ({ tokens, perMs, burst });

/** Moves the clock to the moment that a claim named for the next token. */
async function waitForToken(h: Harness): Promise<number> {
  const worker = await h.worker();
  const { tokenInMs, held } = await worker.trip([], {});
  equal(held.length, 0);
  h.clock.advance(tokenInMs!);
  return tokenInMs!;
}

export const rateLaws: readonly Law[] = [
  {
    id: "rates.kind",
    law: "No more jobs of a kind begin than there are tokens, which come evenly; who asks in vain is told when the next one is there.",
    requires,
    async run(h) {
      await declare(h, limitsOf({ rate: rate(4, 1_000) }));
      await h.enqueueAll(times(20, () => ({})));
      const worker = await h.worker();
      const held = await worker.claim({ limit: 3 });
      equal(held.length, 3);
      equal(await claims(worker), 1, "the bucket was full");
      for (const job of held) equal(await worker.done(job), "accepted");
      equal(await claims(worker), 0, "an end gives no token back");
      equal(await waitForToken(h), 250);
      equal(await claims(worker), 1);
      h.clock.advance(249);
      equal(await claims(worker), 0, "a millisecond too early");
      h.clock.advance(1 + 250);
      equal(await claims(worker), 2);
      h.clock.advance(60_000);
      equal(await claims(worker), 4, "never more than the bucket holds");
    },
  },
  {
    id: "rates.burst",
    law: "The bucket holds as many tokens as `burst` says.",
    requires,
    async run(h) {
      await declare(h, limitsOf({ rate: rate(10, 1_000, 2) }));
      await h.enqueueAll(times(9, () => ({})));
      const worker = await h.worker();
      equal(await claims(worker), 2);
      h.clock.advance(1_000);
      equal(await claims(worker), 2);
      h.clock.advance(100);
      equal(await claims(worker), 1);
    },
  },
  {
    id: "rates.queue",
    law: "A queue's rate holds for all kinds in it together.",
    requires,
    async run(h) {
      await declare(h, limitsOf({ rate: rate(3, 1_000) }, "default", "queue"));
      await h.enqueueAll(times(4, (i) => ({ kind: i % 2 === 0 ? "mail" : "fax" })));
      const worker = await h.worker();
      equal(await claims(worker, 2), 2);
      equal(await claims(await h.worker()), 1);
      h.clock.advance(1_000);
      equal(await claims(worker), 1);
    },
  },
  {
    id: "rates.key",
    law: "A key's rate holds for the key alone, and the others go on.",
    requires,
    async run(h) {
      await declare(h, limitsOf({ perKey: { running: null, rate: rate(2, 1_000) } }));
      await h.enqueueAll(times(9, () => ({ limitKey: "a" })));
      await h.enqueueAll(times(3, () => ({ limitKey: "b" })));
      const worker = await h.worker();
      equal(await claims(worker), 4, "two of each");
      equal(await waitForToken(h), 500);
      equal(await claims(worker), 2, "one of each");
      h.clock.advance(500);
      equal(await claims(worker), 1, "of b nothing is left");
    },
  },
  {
    id: "rates.both",
    law: "A job needs a place and a token; without a place no token is taken, and no moment is named.",
    requires,
    async run(h) {
      await declare(h, limitsOf({ running: 1, rate: rate(2, 1_000) }));
      await h.enqueueAll(times(4, () => ({})));
      const worker = await h.worker();
      const held = await worker.claimOne();
      const { tokenInMs } = await (await h.worker()).trip([], {});
      equal(tokenInMs, undefined, "a token is there, a place is not");
      equal(await worker.done(held), "accepted");
      const second = await worker.claimOne();
      equal(await worker.done(second), "accepted");
      equal(await claims(worker), 0, "two have begun");
      equal(await waitForToken(h), 500);
      equal(await claims(worker), 1);
    },
  },
  {
    id: "rates.resend",
    law: "A claim that is sent again takes no other token, and one that brings nothing takes none.",
    requires,
    async run(h) {
      await declare(h, limitsOf({ rate: rate(2, 3_600_000) }));
      const worker = await h.worker();
      equal(await claims(worker), 0, "nothing is there");
      await h.enqueueAll(times(3, () => ({})));
      const held = await worker.claim({ limit: 1 });
      const again = await worker.claim({ lease: held[0]!.lease, limit: 1 });
      deepEqual(
        again.map(({ job }) => job),
        held.map(({ job }) => job),
      );
      equal(await claims(worker), 1);
    },
  },
  {
    id: "rates.clock-set-back",
    law: "A clock that is set back stops a rate for no longer than its bucket takes to fill.",
    requires,
    async run(h) {
      await declare(h, limitsOf({ rate: rate(2, 1_000) }));
      await h.enqueueAll(times(6, () => ({})));
      const worker = await h.worker();
      equal(await claims(worker), 2);
      h.clock.advance(-86_400_000);
      await h.enqueueAll(times(3, () => ({})));
      equal(await claims(worker), 2);
      h.clock.advance(500);
      equal(await claims(worker), 1);
      h.clock.advance(86_400_000);
    },
  },
];
