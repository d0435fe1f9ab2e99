/** Laws about dismissing: an operator ends a session, whether it lives or not, and says what becomes of what it held. */
import { deepEqual, equal } from "node:assert/strict";
import { newId } from "../../storage/ids.js";
import { newJob, type Harness } from "./harness.js";
import type { Law } from "./law.js";

async function sessionsOf(h: Harness): Promise<string[]> {
  return (await h.driver.sessions()).map(({ id }) => id);
}

export const dismissLaws: readonly Law[] = [
  {
    id: "dismiss.released",
    law: "What a reset session held, reserved or running, waits again at its place, and no attempt and no crash is counted.",
    async run(h) {
      const [first, second, third] = await h.enqueueAll([{ priority: 2 }, { priority: 1 }, {}]);
      const worker = await h.worker();
      const held = await worker.claim({ limit: 2 });
      await worker.start(held[0]!);
      const { runAt } = await h.job(first!);
      deepEqual(await h.driver.dismiss([worker.session], "released"), [
        { status: "dismissed", runs: 2 },
      ]);
      const { state, fails, crashes, last, runAt: after } = await h.job(first!);
      deepEqual([state, fails, crashes, last!.state], ["pending", 0, 0, "released"]);
      equal(after, runAt, "it keeps its place");
      const again = await (await h.worker()).claim();
      deepEqual(
        again.map(({ job, run }) => [job, run]),
        [
          [first, 2],
          [second, 2],
          [third, 1],
        ],
      );
    },
  },
  {
    id: "dismiss.abandoned",
    law: "What a cancelled session held is abandoned, and its unique keys are free.",
    async run(h) {
      const KEY = { uniqueKey: "invoice 7" } as const;
      const id = await h.enqueue(KEY);
      const worker = await h.worker();
      await worker.start(await worker.claimOne());
      deepEqual(await h.driver.dismiss([worker.session], "abandoned"), [
        { status: "dismissed", runs: 1 },
      ]);
      const { state, last } = await h.job(id);
      deepEqual([state, last!.reason, last!.fails], ["abandoned", "worker_cancelled", 0]);
      deepEqual(await h.driver.insertJobs([newJob(KEY)]), [{ status: "inserted" }]);
      const { reserved, running } = await h.totals();
      deepEqual({ reserved, running }, { reserved: 0, running: 0 });
    },
  },
  {
    id: "dismiss.fences",
    law: "A dismissed session is dead, however lately it beat: its heartbeat says so, it claims nothing, and what it settles is lost.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      equal((await worker.heartbeat(held)).alive, true);
      await h.driver.dismiss([worker.session], "released");
      equal((await worker.heartbeat(held)).alive, false);
      equal(await worker.done(held), "lost");
      deepEqual(
        await worker.claim().then(
          () => "claimed",
          (error: Error) => error.name,
        ),
        "SessionLostError",
      );
      await h.assertState(id, "pending");
    },
  },
  {
    id: "dismiss.decided",
    law: "Runs that were decided before stay as they are, and are not counted.",
    async run(h) {
      const [first, second, third] = await h.enqueueAll([{}, {}, {}]);
      const worker = await h.worker();
      const held = await worker.claim();
      await worker.done(held.find(({ job }) => job === first)!);
      await h.cancel(second!);
      deepEqual(await h.driver.dismiss([worker.session], "abandoned"), [
        { status: "dismissed", runs: 1 },
      ]);
      const rows = await h.driver.getJobs([first!, second!, third!]);
      deepEqual(
        rows.map((row) => row?.state),
        ["done", "cancelled", "abandoned"],
      );
    },
  },
  {
    id: "dismiss.others",
    law: "Other sessions go on; an unknown one is absent.",
    async run(h) {
      await h.enqueueAll([{}, {}]);
      const [one, other] = [await h.worker(), await h.worker()];
      await one.claimOne();
      const held = await other.claimOne();
      const outcomes = await h.driver.dismiss([newId(), one.session, one.session], "released");
      deepEqual(outcomes, [
        { status: "absent" },
        { status: "dismissed", runs: 1 },
        { status: "absent" },
      ]);
      deepEqual(await sessionsOf(h), [other.session]);
      equal(await other.done(held), "accepted");
    },
  },
];
