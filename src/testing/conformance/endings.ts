/** Laws about finished jobs: the last word on each, and how long it is shown. */
import { deepEqual, equal } from "node:assert/strict";
import type { JobState } from "../../core/states.js";
import { newId } from "../../storage/ids.js";
import { newJob, type Harness, type JobSpec } from "./harness.js";
import type { Law } from "./law.js";

/** A job that has ended in this state, after one failed run where it was run at all. */
async function ended(h: Harness, state: JobState, spec: JobSpec): Promise<string> {
  const id = await h.enqueue({ kind: state, ...spec });
  const worker = await h.worker();
  const claim = { kinds: [state] };
  if (state === "cancelled") await h.cancel(id);
  else await worker.fail(await worker.claimOne(claim));
  if (state === "done") await worker.done(await worker.claimOne(claim));
  if (state === "abandoned") await worker.abort(await worker.claimOne(claim));
  return id;
}

/** True when it is shown by all that looks, false when by none. */
async function isShown(h: Harness, id: string): Promise<boolean> {
  const [job] = await h.driver.getJobs([id]);
  const { rows } = await h.driver.listJobs({ limit: 100 });
  const attempts = await h.attempts(id);
  const { done, abandoned, cancelled } = await h.totals();
  const shown = [
    job !== null,
    rows.some((row) => row.id === id),
    attempts.length > 0,
    done + abandoned + cancelled > 0,
  ];
  equal(new Set(shown).size, 1, `get, list, attempts and counts agree: ${shown.join()}`);
  return shown[0]!;
}

export const endingLaws: readonly Law[] = [
  {
    id: "endings.last-word",
    law: "Whoever waits for a job learns its last outcome, whether it still lives, or that there is none.",
    async run(h) {
      const [waiting, done, again] = await h.enqueueAll([
        {},
        { kind: "done", priority: 1 },
        { kind: "again" },
      ]);
      const worker = await h.worker();
      await worker.fail(await worker.claimOne({ kinds: ["done"] }));
      await worker.done(await worker.claimOne({ kinds: ["done"] }), { result: "7" });
      await h.cancel(again!);
      await h.retry(again!);
      const found = await h.driver.endings([newId(), waiting!, done!, again!]);
      deepEqual(
        found.map((one) => one.status),
        ["absent", "living", "ended", "living"],
      );
      const { last } = await h.job(done!);
      deepEqual(found[2], { status: "ended", attempt: last });
      deepEqual([last!.run, last!.state, last!.result], [2, "done", "7"]);
    },
  },
  {
    id: "endings.hidden",
    law: "A finished job past its own keep time is shown to nobody, as if it had never been.",
    requires: ["clock"],
    async run(h) {
      const keep = { done: { keepDoneMs: 1_000 }, other: { keepOtherMs: 1_000 } };
      for (const state of ["done", "abandoned", "cancelled"] as const) {
        const id = await ended(h, state, state === "done" ? keep.done : keep.other);
        h.clock.advance(999);
        equal(await isShown(h, id), true, `${state}, before`);
        h.clock.advance(1);
        equal(await isShown(h, id), false, `${state}, after`);
      }
    },
  },
  {
    id: "endings.hidden-at-once",
    law: "A keep time of nought hides a job as soon as it ends; whoever waits for it still learns how.",
    async run(h) {
      for (const state of ["done", "abandoned", "cancelled"] as const) {
        const id = await ended(h, state, { keepDoneMs: 0, keepOtherMs: 0 });
        equal(await isShown(h, id), false, state);
        const [ending] = await h.driver.endings([id]);
        equal(ending!.status === "ended" && ending!.attempt.state, state);
      }
    },
  },
  {
    id: "endings.hidden-is-there",
    law: "A hidden job is still known: enqueueing its id again is a duplicate.",
    async run(h) {
      const id = await ended(h, "done", { keepDoneMs: 0 });
      deepEqual(await h.driver.insertJobs([newJob({ id })]), [{ status: "duplicate" }]);
    },
  },
  {
    id: "endings.keep-of-its-end",
    law: "Each keep time hides jobs that ended its way, and only once they have ended.",
    requires: ["clock"],
    async run(h) {
      const done = await ended(h, "done", { keepOtherMs: 0 });
      h.clock.advance(1_000);
      equal(await isShown(h, done), true, "done, with a keep time for other ends");
      const cancelled = await ended(h, "cancelled", { keepDoneMs: 0 });
      h.clock.advance(1_000);
      equal(await isShown(h, cancelled), true, "cancelled, with a keep time for done");
      const retried = await ended(h, "abandoned", { keepOtherMs: 0 });
      await h.retry(retried);
      h.clock.advance(1_000);
      await h.assertState(retried, "pending");
      equal((await h.attempts(retried)).length, 3, "a retried job is shown with all its runs");
    },
  },
];
