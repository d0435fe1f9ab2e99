/** Laws about sets: one outcome per input, in order, and one transaction whatever their size. */
import { deepEqual, equal } from "node:assert/strict";
import { afterAbort, afterSuccess } from "../../core/outcome.js";
import { newId } from "../../storage/ids.js";
import { newJob, times, type Harness } from "./harness.js";
import type { Law } from "./law.js";
import { settlement } from "./worker.js";

type Prepared = () => Promise<unknown>;

/** Each operation, ready to be measured over `n` items. */
export const OPERATIONS: Readonly<Record<string, (h: Harness, n: number) => Promise<Prepared>>> = {
  insertJobs: async (h, n) => () => h.driver.insertJobs(times(n, () => newJob())),
  claim: async (h, n) => {
    await h.enqueueAll(times(n, () => ({})));
    const worker = await h.worker();
    return () => worker.claim({ limit: n });
  },
  settle: async (h, n) => {
    const { worker, held } = await holding(h, n);
    const all = held.map((job) => settlement(job, afterSuccess(job)));
    return () => worker.settleAll(held[0]!.lease, all);
  },
  markStarted: async (h, n) => {
    const { held } = await holding(h, n);
    return () => h.driver.markStarted(held);
  },
  report: async (h, n) => {
    const { worker, held } = await holding(h, n);
    const lines = [worker.line(1, "a line")];
    return () => h.driver.report(held.map((run) => ({ ...run, progress: "1", lines })));
  },
  release: async (h, n) => {
    const { worker, held } = await holding(h, n);
    return () => worker.release(...held);
  },
  reap: async (h, n) => {
    const { worker } = await holding(h, n);
    return () => h.kill(worker);
  },
  cancel: async (h, n) => {
    const ids = await h.enqueueAll(times(n, () => ({})));
    return () => h.driver.cancel(ids);
  },
  replace: async (h, n) => {
    const { worker, held } = await holding(h, n);
    const all = held.map((job) =>
      settlement(job, afterSuccess(job), { children: [newJob(), newJob({ delayMs: 60_000 })] }),
    );
    return () => worker.settleAll(held[0]!.lease, all);
  },
  purge: async (h, n) => {
    const ids = await h.enqueueAll(times(n, () => ({})));
    return () => h.driver.purge(ids);
  },
  reschedule: async (h, n) => {
    const ids = await h.enqueueAll(times(n, () => ({})));
    const change = { runAt: null, delayMs: null, priority: 5 };
    return () => h.driver.reschedule(ids.map((id) => ({ id, ...change })));
  },
  enqueueFromFailed: async (h, n) => {
    const { worker, held } = await holding(h, n);
    await worker.settleAll(
      held[0]!.lease,
      held.map((job) => settlement(job, afterAbort(job))),
    );
    return () =>
      h.driver.enqueueFromFailed(held.map(({ job, run }) => ({ job, run, id: newId() })));
  },
  dismiss: async (h, n) => {
    const { worker } = await holding(h, n);
    return () => h.driver.dismiss([worker.session], "released");
  },
  retry: async (h, n) => {
    const ids = await h.enqueueAll(times(n, () => ({})));
    await h.driver.cancel(ids);
    return () => h.driver.retry(ids);
  },
};

async function holding(h: Harness, n: number) {
  await h.enqueueAll(times(n, () => ({})));
  const worker = await h.worker();
  const held = await worker.claim({ limit: n });
  equal(held.length, n, "all are claimed");
  return { worker, held };
}

export const setLaws: readonly Law[] = [
  {
    id: "sets.one-transaction",
    law: "Every operation takes the same number of commits for 1 and for 100 items.",
    requires: ["commits"],
    async run(h) {
      // A queue and kind that nobody has used yet may be written down in a commit of their own, once and for all.
      await h.enqueue();
      await drain(h);
      for (const [name, prepare] of Object.entries(OPERATIONS)) {
        const one = await h.commitsOf(await prepare(h, 1));
        // Whatever the first left waiting must not be claimed by the second.
        await drain(h);
        const hundred = await h.commitsOf(await prepare(h, 100));
        await drain(h);
        equal(hundred, one, `commits of ${name}`);
      }
    },
  },
  {
    id: "sets.one-transaction-upkeep",
    law: "Maintenance takes the same number of commits for 1 and for 100 jobs.",
    requires: ["commits", "clock"],
    async run(h) {
      const promoted: number[] = [];
      const pruned: number[] = [];
      for (const n of [1, 100]) {
        const ids = await h.enqueueAll(times(n, () => ({ delayMs: 1_000 })));
        h.clock.advance(2_000);
        promoted.push(await h.commitsOf(() => h.driver.promote(1_000)));
        await h.driver.cancel(ids);
        h.clock.advance(3_600_000);
        const step = { scan: "other", keepMs: 0, after: null, limit: 1_000 } as const;
        pruned.push(await h.commitsOf(() => h.driver.prune(step)));
      }
      equal(promoted[1], promoted[0], "commits of promote");
      equal(pruned[1], pruned[0], "commits of prune");
    },
  },
  {
    id: "sets.in-order",
    law: "One outcome comes out for each input, in the order of the inputs.",
    async run(h) {
      const [done, waiting, cancelled] = await h.enqueueAll([{ priority: 9 }, {}, {}]);
      const worker = await h.worker();
      const held = await worker.claimOne();
      await worker.done(held);
      await h.cancel(cancelled!);
      const absent = newId();
      const ids = [cancelled!, absent, waiting!, done!];
      const known = newJob({ id: done! });
      const inserts = await h.driver.insertJobs([newJob(), known, newJob()]);
      deepEqual(
        inserts.map((o) => o.status),
        ["inserted", "duplicate", "inserted"],
      );
      const rows = await h.driver.getJobs(ids);
      deepEqual(
        rows.map((row) => row?.state),
        ["cancelled", undefined, "pending", "done"],
      );
      const payloads = await h.driver.payloads(ids);
      deepEqual(
        payloads.map((p) => p !== null),
        [true, false, true, true],
      );
      const started = await h.driver.markStarted([held, { ...(await worker.claimOne()) }]);
      deepEqual(started, [false, true]);
      const retried = await h.driver.retry(ids);
      deepEqual(
        retried.map((o) => o.status),
        ["requeued", "absent", "refused", "refused"],
      );
      const again = await h.driver.cancel([done!, absent, cancelled!]);
      deepEqual(again, ["already", "absent", "cancelled"]);
    },
  },
  {
    id: "sets.empty",
    law: "An empty set is answered with an empty set.",
    async run(h) {
      deepEqual(await h.driver.insertJobs([]), []);
      deepEqual(await h.driver.trip({ settle: [], claim: null }), {
        settled: [],
        claimed: [],
        more: false,
      });
      const ofSets = [
        "markStarted",
        "report",
        "payloads",
        "cancel",
        "retry",
        "purge",
        "reschedule",
        "enqueueFromFailed",
        "getJobs",
        "endings",
        "reap",
      ] as const;
      for (const name of ofSets) deepEqual(await h.driver[name]([]), [], name);
      deepEqual(await h.driver.dismiss([], "released"), []);
    },
  },
];

/** Ends whatever waits, so that the next measurement meets only its own jobs. */
/** Ends whatever is left, so that it is in nobody's way. */
export async function drain(h: Harness): Promise<void> {
  const worker = await h.worker();
  for (let claims = 1; claims <= 10; claims++) {
    const held = await worker.claim({ limit: 500 });
    if (held.length === 0) return;
    const all = held.map((job) => settlement(job, afterSuccess(job)));
    await worker.settleAll(held[0]!.lease, all);
  }
  throw new Error("the jobs that were done come back");
}
