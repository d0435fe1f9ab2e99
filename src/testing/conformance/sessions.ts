/** Laws about sessions: opened once, renewed by updates, never revived. */
import { deepEqual, equal, notEqual } from "node:assert/strict";
import { afterSuccess } from "../../core/outcome.js";
import { newId } from "../../storage/ids.js";
import type { Law } from "./law.js";
import { newSession, settlement } from "./worker.js";

export const sessionLaws: readonly Law[] = [
  {
    id: "sessions.listed",
    law: "An open session is listed as it was opened, with the leases it holds.",
    async run(h) {
      const session = newSession({ kinds: ["mail", "fax"], process: "boot/ns/17/4242" });
      await h.driver.openSession(session);
      const [row, ...others] = await h.driver.sessions();
      deepEqual(others, []);
      const { seenAt, startedAt, ...rest } = row!;
      deepEqual(rest, { ...session, beat: 0, leases: 0 });
      equal(seenAt, startedAt);
      await h.enqueueAll([{}, {}]);
      const worker = await h.worker();
      await worker.claimOne();
      await worker.claimOne();
      const rows = await h.driver.sessions();
      equal(rows.find((s) => s.id === worker.session)!.leases, 2);
    },
  },
  {
    id: "sessions.open-again",
    law: "Opening a session again, because the answer was lost, changes nothing.",
    async run(h) {
      const session = newSession();
      await h.driver.openSession(session);
      const before = await h.driver.sessions();
      await h.driver.openSession(session);
      deepEqual(await h.driver.sessions(), before);
    },
  },
  {
    id: "sessions.heartbeat-renews",
    law: "A heartbeat changes the beat and renews the time of the session.",
    requires: ["clock"],
    async run(h) {
      const worker = await h.worker();
      const [before] = await h.driver.sessions();
      h.clock.advance(10_000);
      equal((await worker.heartbeat()).alive, true);
      const [after] = await h.driver.sessions();
      notEqual(after!.beat, before!.beat);
      equal(after!.seenAt, h.clock.now());
      equal(after!.startedAt, before!.startedAt);
    },
  },
  {
    id: "sessions.never-revived",
    law: "A heartbeat is an update, never an upsert: an ended session stays ended.",
    async run(h) {
      const worker = await h.worker();
      await h.kill(worker);
      for (let beats = 1; beats <= 2; beats++)
        deepEqual(await worker.heartbeat(), { alive: false, leases: [], fenced: [] });
      deepEqual(await h.driver.sessions(), []);
      equal((await h.driver.heartbeat({ session: newId(), running: [] })).alive, false);
    },
  },
  {
    id: "sessions.heartbeat-names-leases",
    law: "A heartbeat names every lease with unfinished runs, so that one whose claim was not answered is found.",
    async run(h) {
      await h.enqueueAll([{}, {}, {}]);
      const worker = await h.worker();
      const other = await h.worker();
      const [a] = await worker.claim({ limit: 1 });
      const [b] = await worker.claim({ limit: 1 });
      await other.claim({ limit: 1 });
      const { leases } = await worker.heartbeat();
      deepEqual(leases.toSorted(), [a!.lease, b!.lease].toSorted());
      await worker.done(a!);
      deepEqual((await worker.heartbeat()).leases, [b!.lease]);
    },
  },
  {
    id: "sessions.heartbeat-drops-finished",
    law: "A lease whose runs are all settled, but that nobody closed, is not named and is removed.",
    async run(h) {
      await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      const group = worker.group(held.lease, [settlement(held, afterSuccess(held))]);
      await h.driver.trip({ settle: [{ ...group, close: false }], claim: null });
      deepEqual((await worker.heartbeat()).leases, []);
      equal((await h.driver.sessions())[0]!.leases, 0);
    },
  },
  {
    id: "sessions.heartbeat-keeps-what-runs",
    law: "A lease stays while its worker still runs a cancelled run of it: the unique key hangs on it.",
    async run(h) {
      const id = await h.enqueue({ uniqueKey: "k" });
      const worker = await h.worker();
      const held = await worker.claimOne();
      await h.cancel(id);
      await worker.heartbeat(held);
      equal((await h.driver.sessions())[0]!.leases, 1);
      await h.kill(worker);
      await h.enqueue({ uniqueKey: "k" });
    },
  },
  {
    id: "sessions.heartbeat-fences",
    law: "A heartbeat reports those of the worker's runs that others have decided, and only those.",
    async run(h) {
      const [cancelled] = await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      const [first, second] = await worker.claim();
      deepEqual((await worker.heartbeat(first!, second!)).fenced, []);
      await h.cancel(cancelled!);
      const { alive, fenced } = await worker.heartbeat(first!, second!);
      equal(alive, true);
      deepEqual(fenced, [{ job: cancelled!, run: 1 }]);
    },
  },
  {
    id: "sessions.own-outcomes-are-not-fenced",
    law: "A run that the worker has settled itself is no run that others have decided.",
    async run(h) {
      await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      await worker.done(held);
      deepEqual((await worker.heartbeat(held)).fenced, []);
    },
  },
  {
    id: "sessions.close",
    law: "A session that holds nothing can be ended; one that holds a lease stays for its reaper.",
    async run(h) {
      const id = await h.enqueue();
      const idle = await h.worker();
      const busy = await h.worker();
      const held = await busy.claimOne();
      equal(await h.driver.closeSession(idle.session), true);
      equal(await h.driver.closeSession(busy.session), false);
      deepEqual(
        (await h.driver.sessions()).map((s) => s.id),
        [busy.session],
      );
      equal(await busy.done(held), "accepted");
      await h.assertState(id, "done");
      equal(await h.driver.closeSession(busy.session), true);
      deepEqual(await h.driver.sessions(), []);
    },
  },
];
