/** Laws about replacing: jobs that take the place of one that is done come with its end, or not at all. */
import { deepEqual, equal } from "node:assert/strict";
import { afterSuccess } from "../../core/outcome.js";
import type { NewJob, TripOutcome } from "../../storage/driver.js";
import { newJob, type Harness } from "./harness.js";
import type { Law } from "./law.js";
import { settlement, type HeldJob, type TestWorker } from "./worker.js";

const KEY = { uniqueKey: "invoice 7" } as const;

/** The run is done, with these in its place. `close: false`: its lease stays, so that it can be sent again. */
function replace(
  worker: TestWorker,
  held: HeldJob,
  children: readonly NewJob[],
  { close = true } = {},
): Promise<TripOutcome> {
  const group = worker.group(held.lease, [settlement(held, afterSuccess(held), { children })]);
  return worker.driver.trip({ settle: [{ ...group, close: group.close && close }], claim: null });
}

/** What became of the children of the one settlement that was sent. */
function born({ settled, replaced }: TripOutcome) {
  deepEqual(settled, [["accepted"]]);
  equal(replaced?.length, 1, "one settlement had children");
  return replaced![0]!.children;
}

async function holderOf(h: Harness, spec: Partial<NewJob> = KEY): Promise<string | null> {
  const [outcome] = await h.driver.insertJobs([newJob(spec)]);
  return outcome!.status === "unique" ? outcome!.holder : null;
}

export const replaceLaws: readonly Law[] = [
  {
    id: "replace.children",
    law: "A run that is done may leave jobs in its place: they are there with its end, and wait like any other.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      const [now, later] = [newJob({ priority: 3 }), newJob({ kind: "fax", delayMs: 60_000 })];
      const outcome = await replace(worker, held, [now, later]);
      deepEqual(born(outcome), [{ status: "inserted" }, { status: "inserted" }]);
      const { job, run } = outcome.replaced![0]!;
      deepEqual({ job, run }, { job: id, run: 1 });
      await h.assertState(id, "done");
      const { state, kind } = await h.job(later.id);
      deepEqual({ state, kind }, { state: "pending", kind: "fax" });
      const next = await worker.claimOne();
      deepEqual([next.job, next.run, next.priority], [now.id, 1, 3]);
      deepEqual(next.payload, now.payload);
    },
  },
  {
    id: "replace.each-its-own",
    law: "Of several runs settled together each has its own children, in the order of the settlements.",
    async run(h) {
      await h.enqueueAll([{}, {}, {}]);
      const worker = await h.worker();
      const [a, b, c] = await worker.claim();
      const children = [newJob(), newJob(), newJob()];
      const ends = [
        settlement(a!, afterSuccess(a!), { children: children.slice(0, 2) }),
        settlement(b!, afterSuccess(b!)),
        settlement(c!, afterSuccess(c!), { children: children.slice(2) }),
      ];
      const { replaced } = await h.driver.trip({
        settle: [worker.group(a!.lease, ends)],
        claim: null,
      });
      deepEqual(
        replaced?.map((one) => [one.job, one.children.length]),
        [
          [a!.job, 2],
          [c!.job, 1],
        ],
      );
      const claimed = (await worker.claim()).map(({ job }) => job);
      deepEqual(claimed.toSorted(), children.map((child) => child.id).toSorted());
    },
  },
  {
    id: "replace.not-when-lost",
    law: "A run that others decided leaves nothing in its place.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      await h.cancel(id);
      const child = newJob();
      const { settled, replaced } = await replace(worker, held, [child]);
      deepEqual(settled, [["lost"]]);
      equal(replaced, undefined);
      deepEqual(await h.driver.getJobs([child.id]), [null]);
    },
  },
  {
    id: "replace.resend",
    law: "A settlement with children that is sent again inserts nothing more, whatever became of the children meanwhile.",
    async run(h) {
      await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      const holder = await h.enqueue({ ...KEY, delayMs: 60_000 });
      const child = newJob({ kind: "fax" });
      const late = newJob(KEY);
      const first = await replace(worker, held, [child, late], { close: false });
      const refused = born(first)[1]!;
      // Where keys hold per database, and the holder is in another one, it is inserted.
      if (refused.status === "unique") await h.cancel(holder);
      const again = born(await replace(worker, held, [child, late]));
      deepEqual(again[0], { status: "duplicate" });
      if (refused.status === "unique") {
        deepEqual(again[1], { status: "unique", holder: null });
        deepEqual(await h.driver.getJobs([late.id]), [null]);
      }
      equal((await worker.claim({ kinds: ["fax"] })).length, 1);
    },
  },
  {
    id: "replace.hands-its-key-over",
    law: "A child with the unique key of the job that it replaces is inserted, and has the key from then on.",
    async run(h) {
      const id = await h.enqueue(KEY);
      const worker = await h.worker();
      const held = await worker.claimOne();
      const child = newJob(KEY);
      deepEqual(born(await replace(worker, held, [child], { close: false })), [
        { status: "inserted" },
      ]);
      equal(await holderOf(h), child.id);
      // Neither what is sent again nor the end of the lease takes it away.
      await replace(worker, held, [child]);
      await worker.heartbeat();
      equal(await holderOf(h), child.id);
      await h.assertState(id, "done");
      const next = await worker.claimOne();
      equal(next.job, child.id);
      await worker.done(next);
      equal(await holderOf(h), null);
    },
  },
  {
    id: "replace.one-key",
    law: "Of children with one key the first has it; the others are not inserted, and it is named.",
    async run(h) {
      await h.enqueue(KEY);
      const worker = await h.worker();
      const children = [newJob(KEY), newJob(KEY), newJob()];
      deepEqual(born(await replace(worker, await worker.claimOne(), children)), [
        { status: "inserted" },
        { status: "unique", holder: children[0]!.id },
        { status: "inserted" },
      ]);
      deepEqual(await h.driver.getJobs([children[1]!.id]), [null]);
    },
  },
  {
    id: "replace.key-of-another",
    law: "A child whose key another living job has is not inserted, and that one is named; the run is done all the same, with its other children.",
    async run(h) {
      const holder = await h.enqueue({ ...KEY, delayMs: 60_000 });
      const id = await h.enqueue();
      const worker = await h.worker();
      const [refused, other] = [newJob(KEY), newJob()];
      deepEqual(born(await replace(worker, await worker.claimOne(), [refused, other])), [
        { status: "unique", holder },
        { status: "inserted" },
      ]);
      await h.assertState(id, "done");
      deepEqual(await h.driver.getJobs([refused.id]), [null]);
      equal((await worker.claimOne()).job, other.id);
    },
  },
  {
    id: "replace.known-child",
    law: "A child whose id is known is a duplicate, and takes no key.",
    async run(h) {
      await h.enqueue(KEY);
      const worker = await h.worker();
      const held = await worker.claimOne();
      const known = await h.enqueue({ delayMs: 60_000 });
      const child = newJob({ id: known, ...KEY });
      const [outcome] = born(await replace(worker, held, [child]));
      // Another database may know it.
      if ((await h.driver.getJobs([known]))[0]?.uniqueKey === null)
        deepEqual(outcome, { status: "duplicate" });
      equal(await holderOf(h), null);
    },
  },
];
