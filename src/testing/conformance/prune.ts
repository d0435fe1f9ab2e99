/** Laws about pruning: finished jobs go, never those a worker or a producer may still ask for. */
import { deepEqual, equal } from "node:assert/strict";
import type { PruneOutcome, PruneStep } from "../../storage/driver.js";
import { newJob, times, type Harness, type JobSpec } from "./harness.js";
import type { Law } from "./law.js";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

async function finished(h: Harness, spec: JobSpec = {}): Promise<string> {
  const id = await h.enqueue({ kind: "finished", ...spec });
  const worker = await h.worker();
  await worker.done(await worker.claimOne({ kinds: ["finished"] }));
  return id;
}

/** One step of the scan over what is done, from its beginning unless told otherwise. */
function step(h: Harness, spec: Partial<PruneStep> = {}): Promise<PruneOutcome> {
  return h.driver.prune({ scan: "done", keepMs: 0, after: null, limit: 100, ...spec });
}

/** Which of these jobs are still there. */
async function left(h: Harness, ids: readonly string[]): Promise<boolean[]> {
  return (await h.driver.payloads(ids)).map((payload) => payload !== null);
}

/** So many runs of the one job that waits fail, each with a line in its log if there is one. */
async function failRuns(h: Harness, runs: number, line?: string): Promise<void> {
  const worker = await h.worker();
  const lines = line === undefined ? undefined : [worker.line(1, line)];
  for (let run = 1; run <= runs; run++) await worker.fail(await worker.claimOne(), 0, { lines });
}

export const pruneLaws: readonly Law[] = [
  {
    id: "prune.ten-minutes",
    law: "A finished job is kept for ten minutes at least, whatever the policy: a resend must find it.",
    requires: ["clock"],
    async run(h) {
      const ids = [await finished(h), await finished(h, { keepDoneMs: 0 }), await h.enqueue()];
      ids.push(await h.enqueue({ keepOtherMs: 0 }));
      await h.cancel(ids[2]!);
      await h.cancel(ids[3]!);
      h.clock.advance(10 * MINUTE - 1);
      equal(await h.prune(), 0);
      const resent = await h.driver.insertJobs(ids.map((id) => newJob({ id })));
      deepEqual(
        resent,
        ids.map(() => ({ status: "duplicate" })),
      );
      h.clock.advance(1);
      equal(await h.prune(), 4);
      deepEqual(await h.driver.getJobs(ids), [null, null, null, null]);
      deepEqual(await left(h, ids), [false, false, false, false]);
      deepEqual(
        (await h.driver.listAttempts({ limit: 10 })).rows,
        [],
        "their attempts go with them",
      );
    },
  },
  {
    id: "prune.policy",
    law: "Done jobs are kept as long as the scan over them says, abandoned and cancelled ones as long as theirs does.",
    requires: ["clock"],
    async run(h) {
      const done = await finished(h);
      const cancelled = await h.enqueue();
      await h.cancel(cancelled);
      const policy = { doneMs: 60 * MINUTE, otherMs: 120 * MINUTE };
      h.clock.advance(59 * MINUTE);
      equal(await h.prune(policy), 0);
      h.clock.advance(2 * MINUTE);
      equal(await h.prune(policy), 1);
      deepEqual(await left(h, [done, cancelled]), [false, true]);
      h.clock.advance(60 * MINUTE);
      equal(await h.prune(policy), 1);
      deepEqual(await left(h, [cancelled]), [false]);
    },
  },
  {
    id: "prune.keep-of-the-job",
    law: "A job's own keep time for such an end beats the policy, in both directions.",
    requires: ["clock"],
    async run(h) {
      const ids = [
        await finished(h, { keepDoneMs: 120 * MINUTE }),
        await finished(h, { keepDoneMs: 20 * MINUTE }),
        await finished(h, { keepOtherMs: 120 * MINUTE }),
        await h.enqueue({ keepOtherMs: 20 * MINUTE }),
        await h.enqueue({ keepDoneMs: 20 * MINUTE }),
      ];
      await h.cancel(ids[3]!);
      await h.cancel(ids[4]!);
      h.clock.advance(30 * MINUTE);
      equal(await h.prune({ doneMs: DAY, otherMs: DAY }), 2);
      deepEqual(await left(h, ids), [true, false, true, false, true]);
      equal(await h.prune(), 2);
      deepEqual(await left(h, ids), [true, false, false, false, false]);
      h.clock.advance(90 * MINUTE);
      equal(await h.prune({ doneMs: DAY, otherMs: DAY }), 1);
    },
  },
  {
    id: "prune.leased",
    law: "No job that an open lease lists is pruned, finished or not.",
    requires: ["clock"],
    async run(h) {
      await h.enqueueAll([{ priority: 2 }, { priority: 1, keepOtherMs: 0 }, {}]);
      const worker = await h.worker();
      const [done, cancelled, slow] = await worker.claim();
      await worker.done(done!);
      await h.cancel(cancelled!.job);
      h.clock.advance(DAY);
      equal(await h.prune(), 0);
      equal(await worker.done(done!), "accepted", "a resend still finds its outcome");
      equal(await worker.done(cancelled!), "lost");
      equal(await worker.done(slow!), "accepted");
      equal(await h.prune(), 2, "all but the one that ended just now");
    },
  },
  {
    id: "prune.leased-later",
    law: "What a scan passed by because a lease listed it goes when the lease is gone, though the scan goes on from where it was.",
    requires: ["clock"],
    async run(h) {
      await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      const [done, slow] = await worker.claim();
      await worker.done(done!);
      h.clock.advance(DAY);
      await finished(h);
      h.clock.advance(60 * MINUTE);
      const first = await step(h);
      equal(first.pruned, 1);
      await worker.done(slow!);
      const second = await step(h, { after: first.after });
      equal(second.pruned, 1);
      deepEqual(await left(h, [done!.job, slow!.job]), [false, true]);
      h.clock.advance(60 * MINUTE);
      equal((await step(h, { after: second.after })).pruned, 1);
    },
  },
  {
    id: "prune.living",
    law: "Living jobs are not pruned, however old they and their attempts are.",
    requires: ["clock"],
    async run(h) {
      const spec = { keepDoneMs: 0, keepOtherMs: 0 };
      const [failed, retried] = await h.enqueueAll([{ priority: 2 }, { priority: 1 }]);
      const again = await h.enqueue(spec);
      const worker = await h.worker();
      await worker.fail(await worker.claimOne());
      for (const id of [retried!, again]) {
        await h.cancel(id);
        await h.retry(id);
      }
      h.clock.advance(DAY);
      equal(await h.prune(), 0);
      equal((await h.attempts(failed!)).length, 1);
      equal((await h.attempts(retried!)).length, 2);
      equal((await h.attempts(again)).length, 2);
    },
  },
  {
    id: "prune.last-runs",
    law: "Of a living job the last 20 runs stay, however old; older ones go when they are old enough.",
    requires: ["clock"],
    async run(h) {
      const id = await h.enqueue({ maxAttempts: -1 });
      await failRuns(h, 15);
      h.clock.advance(DAY);
      await failRuns(h, 10);
      const runs = async (): Promise<number[]> => (await h.attempts(id)).map(({ run }) => run);
      equal(await h.prune({ doneMs: 2 * DAY }), 0);
      equal((await runs()).length, 25, "none is old enough");
      equal(await h.prune({ doneMs: DAY }), 0, "no job is pruned");
      deepEqual(
        await runs(),
        times(20, (i) => i + 6),
      );
      h.clock.advance(DAY);
      await h.prune();
      equal((await runs()).length, 20);
      equal((await (await h.worker()).claimOne()).run, 26);
    },
  },
  {
    id: "prune.last-runs-later",
    law: "Runs that a scan passed by while their job had few go with a later one of that job.",
    requires: ["clock"],
    async run(h) {
      const id = await h.enqueue({ maxAttempts: -1 });
      await failRuns(h, 15);
      h.clock.advance(DAY);
      const { after } = await step(h);
      await failRuns(h, 25);
      h.clock.advance(DAY);
      await step(h, { after });
      deepEqual(
        (await h.attempts(id)).map(({ run }) => run),
        times(20, (i) => i + 21),
      );
    },
  },
  {
    id: "prune.last-runs-leased",
    law: "A run that a lease lists stays, and what follows it, however many runs the job has had since.",
    requires: ["clock"],
    async run(h) {
      const id = await h.enqueue({ maxAttempts: -1 });
      const slow = await h.worker();
      const held = await slow.claimOne();
      await h.cancel(id);
      await h.retry(id);
      await failRuns(h, 25);
      h.clock.advance(DAY);
      await h.prune();
      equal((await h.attempts(id)).length, 27);
      equal(await slow.done(held), "lost", "its fence is still there");
      await h.prune();
      equal((await h.attempts(id)).length, 20);
    },
  },
  {
    id: "prune.limit",
    law: "No more than the limit is looked at in one step, and a step that stopped for it says so.",
    requires: ["clock"],
    async run(h) {
      const ids = await h.enqueueAll(times(6, () => ({})));
      await h.driver.cancel(ids);
      h.clock.advance(60 * MINUTE);
      const first = await step(h, { scan: "other", limit: 4 });
      deepEqual([first.pruned, first.more], [4, true]);
      const second = await step(h, { scan: "other", limit: 4, after: first.after });
      deepEqual([second.pruned, second.more], [2, false]);
    },
  },
  {
    id: "prune.goes-on",
    law: "A scan goes on from where it ended: what came of age since is found there, and nothing before it is looked at again.",
    requires: ["clock"],
    async run(h) {
      await finished(h, { keepDoneMs: DAY });
      h.clock.advance(MINUTE);
      await finished(h, { keepDoneMs: DAY });
      h.clock.advance(10 * MINUTE);
      const first = await step(h);
      deepEqual([first.pruned, first.more], [0, false]);
      const nothing = await step(h, { after: first.after, limit: 1 });
      deepEqual(nothing, { pruned: 0, after: first.after, more: false });
      await finished(h);
      h.clock.advance(10 * MINUTE);
      equal((await step(h, { after: first.after, limit: 1 })).pruned, 1);
    },
  },
  {
    id: "prune.dry-run",
    law: "A dry run counts what would go, step by step as a real one, and changes nothing.",
    requires: ["clock"],
    async run(h) {
      const ids = [await finished(h), await finished(h), await finished(h)];
      h.clock.advance(60 * MINUTE);
      const first = await step(h, { limit: 2, dryRun: true });
      deepEqual([first.pruned, first.more], [2, true]);
      const second = await step(h, { limit: 2, dryRun: true, after: first.after });
      deepEqual([second.pruned, second.more], [1, false]);
      deepEqual(await left(h, ids), [true, true, true]);
      equal(await h.prune(), 3);
    },
  },
  {
    id: "prune.past-the-leased",
    law: "Jobs that cannot be pruned yet do not keep others from being pruned.",
    requires: ["clock"],
    async run(h) {
      await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      const [done] = await worker.claim();
      await worker.done(done!);
      h.clock.advance(1_000);
      const free = await finished(h);
      h.clock.advance(60 * MINUTE);
      const first = await step(h, { limit: 1 });
      deepEqual([first.pruned, first.more], [0, true]);
      equal((await step(h, { limit: 1, after: first.after })).pruned, 1);
      deepEqual(await left(h, [done!.job, free]), [true, false]);
    },
  },
  {
    id: "prune.lines",
    law: "Lines that handlers wrote go with their job, and with those runs of a living one that go.",
    requires: ["clock"],
    async run(h) {
      const living = await h.enqueue({ maxAttempts: -1 });
      await failRuns(h, 30, "a line");
      const done = await h.enqueue({ kind: "finished" });
      const worker = await h.worker();
      const held = await worker.claimOne({ kinds: ["finished"] });
      await worker.done(held, { lines: [worker.line(1, "the last one")] });
      const runs = async (job: string): Promise<number[]> =>
        (await h.driver.listLog({ job, limit: 100 })).map(({ run }) => run);
      equal((await runs(living)).length, 30);
      h.clock.advance(DAY);
      equal(await h.prune(), 1);
      deepEqual(await runs(done), []);
      deepEqual(
        await runs(living),
        times(20, (i) => i + 11),
      );
    },
  },
  {
    id: "prune.counts",
    law: "Minutes of the tally go when all of the minute is older than they are kept, and none before.",
    requires: ["clock"],
    async run(h) {
      const minute = h.clock.now() - (h.clock.now() % MINUTE);
      for (const kind of ["a", "b", "c"]) await h.enqueue({ kind });
      h.clock.advance(2 * MINUTE);
      await h.enqueue({ kind: "a" });
      const minutes = async (): Promise<number[]> =>
        (await h.driver.tally(0)).map((row) => row.minute - minute);
      const all = [0, 0, 0, 2 * MINUTE];
      deepEqual(await minutes(), all);
      const counts = { scan: "counts", keepMs: 60 * MINUTE } as const;
      h.clock.advance(minute + 61 * MINUTE - 1 - h.clock.now());
      deepEqual(await step(h, counts), { pruned: 0, after: null, more: false });
      h.clock.advance(1);
      const dry = await step(h, { ...counts, limit: 2, dryRun: true });
      deepEqual([dry.pruned, dry.more], [2, true]);
      const rest = await step(h, { ...counts, limit: 2, dryRun: true, after: dry.after });
      deepEqual([rest.pruned, rest.more], [1, false]);
      deepEqual(await minutes(), all);
      const first = await step(h, { ...counts, limit: 2 });
      deepEqual([first.pruned, first.more], [2, true]);
      equal((await step(h, { ...counts, limit: 2, after: first.after })).pruned, 1);
      deepEqual(await minutes(), [2 * MINUTE]);
      h.clock.advance(DAY);
      equal((await step(h, { ...counts, keepMs: 0, after: first.after })).pruned, 1);
    },
  },
];
