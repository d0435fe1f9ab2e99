/** Laws about claiming: in order, of wanted lanes only, by living sessions only, each job once. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { afterSuccess } from "../../core/outcome.js";
import type { Want } from "../../storage/driver.js";
import { newId } from "../../storage/ids.js";
import { jsonPayload, times } from "./harness.js";
import type { Law } from "./law.js";
import { settlement, type HeldJob } from "./worker.js";

const SESSION_LOST = { code: "QUDO_SESSION_LOST" };
const ids = (held: readonly HeldJob[]): string[] => held.map((job) => job.job);
const kindsOf = (held: readonly HeldJob[]): string[] => held.map((job) => job.kind);
const mails = (queue: string, limit: number): Want => ({ queue, kinds: ["mail"], limit });

/** Many mails and a few faxes, of all priorities. */
const mixed = (i: number) => ({ kind: i % 9 === 0 ? "fax" : "mail", priority: (i * 37) % 101 });

export const claimLaws: readonly Law[] = [
  {
    id: "claim.priority-order",
    law: "Higher priority is claimed first.",
    async run(h) {
      await h.enqueueAll([0, 5, -3, 9].map((priority) => ({ priority })));
      const held = await (await h.worker()).claim();
      deepEqual(
        held.map((job) => job.priority),
        [9, 5, 0, -3],
      );
    },
  },
  {
    id: "claim.due-order",
    law: "Within one priority the job that was due first is claimed first, whatever its id.",
    requires: ["clock"],
    async run(h) {
      const [lower, higher] = [newId(), newId()];
      await h.enqueue({ id: higher });
      h.clock.advance(10);
      await h.enqueue({ id: lower });
      deepEqual(ids(await (await h.worker()).claim()), [higher, lower]);
    },
  },
  {
    id: "claim.order-across-kinds",
    law: "All wanted kinds of a queue are one line: none goes ahead of its turn.",
    async run(h) {
      const kinds = ["mail", "fax"];
      await h.enqueueAll(times(6, (i) => ({ kind: kinds[i % 2]!, priority: i })));
      const worker = await h.worker();
      const first = await worker.claim({ kinds, limit: 3 });
      const rest = await worker.claim({ kinds });
      deepEqual(
        [...first, ...rest].map((job) => job.priority),
        [5, 4, 3, 2, 1, 0],
      );
    },
  },
  {
    id: "claim.whole-line",
    law: "One claim takes as many as it wants, in order, however the kinds are mixed.",
    async run(h) {
      await h.enqueueAll(times(90, mixed));
      const held = await (await h.worker()).claim({ kinds: ["mail", "fax"], limit: 80 });
      const expected = times(90, (i) => mixed(i).priority).toSorted((a, b) => b - a);
      deepEqual(
        held.map((job) => job.priority),
        expected.slice(0, 80),
      );
    },
  },
  {
    id: "claim.limit",
    law: "A claim takes no more than it wants, and each want has its own limit.",
    async run(h) {
      await h.enqueueAll(times(12, (i) => ({ queue: i % 2 === 0 ? "even" : "odd" })));
      const worker = await h.worker();
      const held = await worker.claim({ wants: [mails("even", 2), mails("odd", 3)] });
      deepEqual(
        held.map((job) => job.queue),
        ["even", "even", "odd", "odd", "odd"],
      );
      deepEqual(await worker.claim({ queue: "even", limit: 0 }), []);
    },
  },
  {
    id: "claim.no-double",
    law: "No job is claimed twice, however many claim at once.",
    async run(h) {
      const all = await h.enqueueAll(times(60, () => ({})));
      const workers = [await h.worker(), await h.worker(await h.connect())];
      const claims = times(12, (i) => workers[i % 2]!.claim({ limit: 7 }));
      const held = (await Promise.all(claims)).flat();
      deepEqual(ids(held).toSorted(), all.toSorted());
    },
  },
  {
    id: "claim.wanted-kinds",
    law: "Jobs of kinds that the worker does not know stay where they are.",
    async run(h) {
      const [, fax] = await h.enqueueAll([{ kind: "mail" }, { kind: "fax" }, { kind: "Mail" }]);
      const worker = await h.worker();
      deepEqual(
        (await worker.claim()).map((job) => job.kind),
        ["mail"],
      );
      await h.assertState(fax!, "pending");
    },
  },
  {
    id: "claim.wanted-queues",
    law: "Jobs of other queues stay where they are.",
    async run(h) {
      const [, other] = await h.enqueueAll([{}, { queue: "other" }]);
      const worker = await h.worker();
      deepEqual(
        (await worker.claim()).map((job) => job.queue),
        ["default"],
      );
      await h.assertState(other!, "pending");
    },
  },
  {
    id: "claim.any-kind",
    law: "A want that names no kinds means whatever is in its queue, as one line, also what comes later.",
    async run(h) {
      const [, , other] = await h.enqueueAll([
        { kind: "mail", priority: 1 },
        { kind: "fax", priority: 2 },
        { queue: "other" },
      ]);
      const worker = await h.worker();
      const any = { wants: [{ queue: "default", kinds: null, limit: 2 }] };
      deepEqual(kindsOf(await worker.claim(any)), ["fax", "mail"]);
      deepEqual(await worker.claim(any), []);
      await h.enqueue({ kind: "telex" });
      deepEqual(kindsOf(await worker.claim(any)), ["telex"]);
      await h.assertState(other!, "pending");
    },
  },
  {
    id: "claim.unknown-session",
    law: "A session that was never opened cannot claim.",
    async run(h) {
      const id = await h.enqueue();
      const wants = [{ queue: "default", kinds: ["mail"], limit: 1 }];
      const claim = { lease: newId(), session: newId(), wants };
      await rejects(h.driver.trip({ settle: [], claim }), SESSION_LOST);
      await h.assertState(id, "pending");
    },
  },
  {
    id: "claim.unknown-session-of-an-idle-queue",
    law: "A session that is gone is told so also where there is nothing to claim.",
    async run(h) {
      const dead = await h.worker();
      await h.kill(dead);
      await rejects(dead.claim(), SESSION_LOST);
      await rejects(dead.claim({ wants: [] }), SESSION_LOST);
    },
  },
  {
    id: "claim.ended-session",
    law: "A session that was ended cannot claim, and nothing of such a trip is written.",
    async run(h) {
      await h.enqueueAll([{ priority: 1 }, {}]);
      const living = await h.worker();
      const held = await living.claimOne();
      const dead = await h.worker();
      await h.kill(dead);
      const settle = [living.group(held.lease, [settlement(held, afterSuccess(held))])];
      await rejects(dead.trip(settle, {}), SESSION_LOST);
      await h.assertState(held.job, "reserved");
      equal((await h.totals()).pending, 1);
    },
  },
  {
    id: "claim.resend",
    law: "A claim sent again with its lease id answers with the same jobs and takes no more.",
    async run(h) {
      await h.enqueueAll(times(5, (priority) => ({ priority })));
      const worker = await h.worker();
      const lease = newId();
      const first = await worker.claim({ lease, limit: 2 });
      deepEqual(await worker.claim({ lease, limit: 2 }), first);
      equal((await h.totals()).pending, 3);
    },
  },
  {
    id: "claim.resend-of-the-rest",
    law: "A claim sent again is answered also where nothing is left to claim.",
    async run(h) {
      await h.enqueue();
      const worker = await h.worker();
      const lease = newId();
      const first = await worker.claim({ lease });
      equal(first.length, 1);
      deepEqual(await worker.claim({ lease }), first);
    },
  },
  {
    id: "claim.resend-less-decided",
    law: "A claim sent again leaves out the runs that were decided in between.",
    async run(h) {
      const [cancelled, kept] = await h.enqueueAll([{}, {}]);
      const worker = await h.worker();
      const lease = newId();
      equal((await worker.claim({ lease })).length, 2);
      await h.cancel(cancelled!);
      deepEqual(ids(await worker.claim({ lease })), [kept]);
    },
  },
  {
    id: "claim.settles-first",
    law: "What a trip settles can be claimed by the same trip.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      const failed = {
        ...afterSuccess(held),
        state: "failed",
        fails: 1,
        next: { delayMs: 0 },
      } as const;
      const trip = await worker.trip([worker.group(held.lease, [settlement(held, failed)])], {});
      deepEqual(trip.settled, [["accepted"]]);
      deepEqual(
        trip.claimed.map(({ job, run, fails }) => ({ job, run, fails })),
        [{ job: id, run: 2, fails: 1 }],
      );
    },
  },
  {
    id: "claim.large-payload",
    law: "A payload of up to 64 KiB comes with the claim; a larger one comes whole when it is asked for.",
    async run(h) {
      const small = jsonPayload("x".repeat(65_534));
      const large = jsonPayload("x".repeat(65_535));
      await h.enqueueAll([{ payload: small, priority: 1 }, { payload: large }]);
      const held = await (await h.worker()).claim();
      deepEqual(
        held.map((job) => job.payload),
        [small, null],
      );
      deepEqual(await h.driver.payloads(ids(held)), [small, large]);
    },
  },
  {
    id: "claim.large-payload-in-bytes",
    law: "The 64 KiB are bytes of UTF-8, not characters.",
    async run(h) {
      const payload = jsonPayload("✉".repeat(30_000));
      await h.enqueue({ payload });
      const held = await (await h.worker()).claimOne();
      equal(held.payload, null, "90,002 bytes do not come with the claim");
      deepEqual(await h.driver.payloads([held.job]), [payload]);
    },
  },
  {
    id: "claim.expired",
    law: "A job past its expiry is abandoned(expired), never started, and takes nobody's place.",
    requires: ["clock"],
    async run(h) {
      const expiresAt = h.clock.now() + 1_000;
      const [expired, living] = await h.enqueueAll([
        { priority: 1, expiresAt },
        { expiresAt: expiresAt + 1 },
      ]);
      h.clock.advance(1_000);
      const worker = await h.worker();
      equal((await worker.claimOne()).job, living);
      const { state, last } = await h.job(expired!);
      deepEqual(
        [state, last!.reason, last!.startedAt, last!.session],
        ["abandoned", "expired", null, null],
      );
    },
  },
  {
    id: "claim.expired-crowd",
    law: "A claim that stops among expired jobs says `more`; by going on the living one is found.",
    requires: ["clock"],
    async run(h) {
      const expiresAt = h.clock.now() + 1_000;
      await h.enqueueAll(times(1_100, () => ({ priority: 1, expiresAt })));
      const living = await h.enqueue();
      h.clock.advance(2_000);
      const worker = await h.worker();
      for (let trips = 1; trips <= 10; trips++) {
        const { held, more } = await worker.trip([], { limit: 1 });
        if (held.length > 0) return equal(held[0]!.job, living);
        ok(more, "it came back with nothing, though a job can be claimed");
      }
      throw new Error("ten trips did not get past 1,100 expired jobs");
    },
  },
];
