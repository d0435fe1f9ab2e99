/** Laws about dead sessions: their jobs come back, killers are condemned, innocents are not. */
import { deepEqual, equal } from "node:assert/strict";
import { newId } from "../../storage/ids.js";
import { times, type Harness } from "./harness.js";
import type { Law } from "./law.js";

const LEASE_MS = 30_000;

/** Claims the one job that waits, starts it, and dies. */
async function crash(h: Harness): Promise<void> {
  const worker = await h.worker();
  await worker.start(await worker.claimOne());
  await h.kill(worker);
}

export const reapLaws: readonly Law[] = [
  {
    id: "reap.jobs-come-back",
    law: "Jobs of a dead session can be claimed again at once, as their next run.",
    async run(h) {
      await h.enqueueAll([{ priority: 2 }, { priority: 1 }, {}]);
      const dead = await h.worker();
      await dead.claim({ limit: 2 });
      await dead.claim({ limit: 1 });
      deepEqual(await h.kill(dead), { status: "reaped", decided: { crashed: 3 } });
      deepEqual(await h.driver.sessions(), []);
      const held = await (await h.worker()).claim();
      deepEqual(
        held.map(({ run, fails, crashes }) => [run, fails, crashes]),
        times(3, () => [2, 0, 1]),
      );
    },
  },
  {
    id: "reap.settled-stay-settled",
    law: "Reaping decides only what is undecided.",
    async run(h) {
      const [done, cancelled, held] = await h.enqueueAll([{ priority: 2 }, { priority: 1 }, {}]);
      const dead = await h.worker();
      const [first] = await dead.claim();
      await dead.done(first!);
      await h.cancel(cancelled!);
      deepEqual(await h.kill(dead), { status: "reaped", decided: { crashed: 1 } });
      await h.assertState(done!, "done");
      await h.assertState(cancelled!, "cancelled");
      await h.assertState(held!, "failed");
    },
  },
  {
    id: "reap.alive-by-its-beat",
    law: "A session whose beat has changed since it was judged is left alone.",
    async run(h) {
      await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      const [{ id, beat } = { id: "", beat: -1 }] = await h.driver.sessions();
      await worker.heartbeat();
      const dead = { id, beat, cause: "gone", leaseMs: 0 } as const;
      deepEqual(await h.driver.reap([dead]), [{ status: "alive" }]);
      equal((await worker.heartbeat()).alive, true);
      equal(await worker.done(held), "accepted");
    },
  },
  {
    id: "reap.alive-by-its-time",
    law: "A session is reaped as expired only when its last heartbeat is older than the lease, or lies in the future.",
    requires: ["clock"],
    async run(h) {
      const fresh = await h.worker();
      const dead = (id: string) => [{ id, beat: 0, cause: "expired", leaseMs: LEASE_MS }] as const;
      h.clock.advance(LEASE_MS - 1);
      deepEqual(await h.driver.reap(dead(fresh.session)), [{ status: "alive" }]);
      h.clock.advance(2);
      deepEqual(await h.driver.reap(dead(fresh.session)), [{ status: "reaped", decided: {} }]);
      const future = await h.worker();
      h.clock.advance(-3_600_000);
      deepEqual(await h.driver.reap(dead(future.session)), [{ status: "reaped", decided: {} }]);
    },
  },
  {
    id: "reap.in-order",
    law: "Each session has its own answer, in the order asked; an unknown one is absent.",
    async run(h) {
      const [a, b] = [await h.worker(), await h.worker()];
      await b.heartbeat();
      const dead = [newId(), b.session, a.session].map(
        (id) => ({ id, beat: 0, cause: "gone", leaseMs: 0 }) as const,
      );
      const outcomes = await h.driver.reap(dead);
      deepEqual(
        outcomes.map((o) => o.status),
        ["absent", "alive", "reaped"],
      );
    },
  },
  {
    id: "reap.once",
    law: "Of two that reap one session at once, one does: its jobs come back once.",
    async run(h) {
      await h.enqueueAll([{}, {}]);
      const worker = await h.worker();
      await worker.claim();
      const dead = [{ id: worker.session, beat: 0, cause: "gone", leaseMs: 0 }] as const;
      const reapers = [h.driver, await h.connect()];
      const outcomes = (await Promise.all(reapers.map((r) => r.reap(dead)))).flat();
      deepEqual(outcomes.map((o) => o.status).toSorted(), ["absent", "reaped"]);
      equal((await (await h.worker()).claim()).length, 2);
    },
  },
  {
    id: "reap.crash-costs-no-attempt",
    law: "A crash leaves the failures as they are.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      await worker.fail(await worker.claimOne());
      await worker.fail(await worker.claimOne());
      await crash(h);
      const { state, fails, crashes, last } = await h.job(id);
      deepEqual([state, fails, crashes, last!.state], ["failed", 2, 1, "crashed"]);
      const held = await worker.claimOne();
      deepEqual([held.run, held.fails, held.crashes], [4, 2, 1]);
    },
  },
  {
    id: "reap.crash-budget",
    law: "The third crash abandons a job.",
    async run(h) {
      const id = await h.enqueue();
      await crash(h);
      await crash(h);
      await h.assertState(id, "failed");
      await crash(h);
      const { state, crashes, last } = await h.job(id);
      deepEqual([state, crashes, last!.reason], ["abandoned", 3, "crashes"]);
      deepEqual(await (await h.worker()).claim(), []);
    },
  },
  {
    id: "reap.innocents",
    law: "After its first crash a job is charged only with crashes during which it was seen running.",
    async run(h) {
      const [innocent] = await h.enqueueAll([{ priority: 1 }, {}]);
      const first = await h.worker();
      await first.claim();
      await h.kill(first);
      for (let deaths = 1; deaths <= 3; deaths++) {
        const dead = await h.worker();
        await dead.claimOne();
        deepEqual(await h.kill(dead), { status: "reaped", decided: { released: 1 } });
      }
      const { state, crashes } = await h.job(innocent!);
      deepEqual([state, crashes], ["pending", 1]);
    },
  },
  {
    id: "reap.failure-clears-crashes",
    law: "A run that fails in its handler clears the crashes before it.",
    async run(h) {
      const id = await h.enqueue();
      await crash(h);
      await crash(h);
      const worker = await h.worker();
      await worker.fail(await worker.claimOne());
      await crash(h);
      const { state, fails, crashes } = await h.job(id);
      deepEqual([state, fails, crashes], ["failed", 1, 1]);
    },
  },
];
