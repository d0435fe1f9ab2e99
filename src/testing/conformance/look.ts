/** Laws about looking: states are derived, counts are exact, pages have no gaps. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { afterSuccess } from "../../core/outcome.js";
import type { AttemptQuery, AttemptRow } from "../../storage/driver.js";
import { newId } from "../../storage/ids.js";
import { times, type Harness } from "./harness.js";
import type { Law } from "./law.js";
import { settlement } from "./worker.js";

/** All pages of a query. */
async function pages(h: Harness, query: AttemptQuery): Promise<AttemptRow[]> {
  const rows: AttemptRow[] = [];
  let after: string | undefined;
  for (let page = 1; page <= 100; page++) {
    const answer = await h.driver.listAttempts({ ...query, after });
    ok(answer.rows.length <= query.limit, "a page is no longer than its limit");
    rows.push(...answer.rows);
    if (answer.next === null) return rows;
    after = answer.next;
  }
  throw new Error("the pages have no end");
}

const key = ({ job, run }: AttemptRow): string => `${job}/${run}`;

/** One job in each state; returns its ids by state. */
async function zoo(h: Harness): Promise<Record<string, string>> {
  const states = [
    "done",
    "abandoned",
    "failed",
    "released",
    "running",
    "reserved",
    "cancelled",
    "pending",
  ];
  const ids = await h.enqueueAll(states.map((_, i) => ({ priority: 10 - i })));
  const worker = await h.worker();
  await worker.done(await worker.claimOne());
  await worker.abort(await worker.claimOne());
  await worker.fail(await worker.claimOne(), 60_000);
  const released = await worker.claimOne();
  await worker.start(await worker.claimOne());
  await worker.claimOne();
  await worker.giveBack(released);
  await h.cancel(ids[6]!);
  const delayed = await h.enqueue({ delayMs: 60_000 });
  return { ...Object.fromEntries(states.map((state, i) => [state, ids[i]!])), delayed };
}

export const lookLaws: readonly Law[] = [
  {
    id: "look.states",
    law: "A job's state follows from its last outcome and from where it stands.",
    async run(h) {
      const expected: Record<string, string> = { released: "pending", delayed: "pending" };
      for (const [name, id] of Object.entries(await zoo(h)))
        equal((await h.job(id)).state, expected[name] ?? name, name);
      const crashed = await h.enqueue({ kind: "fax" });
      const worker = await h.worker();
      await worker.claimOne({ kinds: ["fax"] });
      await h.kill(worker);
      await h.assertState(crashed, "failed");
    },
  },
  {
    id: "look.holder",
    law: "A held job says who holds it and since when it is shown as running; any other says nothing of that.",
    requires: ["clock"],
    async run(h) {
      const ids = await zoo(h);
      const [session] = (await h.driver.sessions()).map((row) => row.id);
      const other = await h.worker();
      const theirs = await h.enqueue({ kind: "fax" });
      await other.claimOne({ kinds: ["fax"] });
      const rows = await h.driver.getJobs([...Object.values(ids), theirs]);
      const expected = Object.keys(ids).map((name) => [
        name === "running" || name === "reserved" ? session : null,
        name === "running" ? h.clock.now() : null,
      ]);
      deepEqual(
        rows.map((row) => [row!.session, row!.startedAt]),
        [...expected, [other.session, null]],
      );
    },
  },
  {
    id: "look.unknown",
    law: "What is not there is null, and takes nothing from the others.",
    async run(h) {
      const id = await h.enqueue();
      const rows = await h.driver.getJobs([newId(), id]);
      deepEqual(
        rows.map((row) => row?.id),
        [undefined, id],
      );
      const payloads = await h.driver.payloads([newId(), id]);
      deepEqual(
        payloads.map((payload) => payload?.text),
        [undefined, '{"to":"you"}'],
      );
    },
  },
  {
    id: "look.counts",
    law: "Counts say exactly how many jobs are in each state.",
    async run(h) {
      await zoo(h);
      const counted = await h.driver.counts({});
      equal(typeof counted[0]!.dueSince, "number");
      deepEqual(counted, [
        {
          queue: "default",
          kind: "mail",
          paused: false,
          pending: 3,
          failed: 1,
          delayed: 2,
          dueSince: counted[0]!.dueSince,
          reserved: 1,
          running: 1,
          done: 1,
          abandoned: 1,
          cancelled: 1,
        },
      ]);
    },
  },
  {
    id: "look.counts-living",
    law: "Where what has ended is not asked for it is not counted, and nothing else changes.",
    async run(h) {
      await zoo(h);
      const [all] = await h.driver.counts({});
      const living = await h.driver.counts({ ended: false });
      deepEqual(living, [{ ...all, done: 0, abandoned: 0, cancelled: 0 }]);
      deepEqual(await h.driver.counts({ ended: true }), [all]);
    },
  },
  {
    id: "look.counts-due-since",
    law: "Counts say since when the first of the due ones waits, and how many are not due, whether anybody has promoted them or not.",
    requires: ["clock"],
    async run(h) {
      const delayed = async (): Promise<number> => (await h.totals()).delayed;
      const since = async (kind: string): Promise<number | null> =>
        (await h.driver.counts({ kind }))[0]!.dueSince;
      const start = h.clock.now();
      await h.enqueueAll([{ kind: "fax" }, { kind: "mail", delayMs: 20 }]);
      h.clock.advance(10);
      await h.enqueueAll([{ kind: "fax", priority: 9 }]);
      deepEqual([await since("fax"), await since("mail"), await delayed()], [start, null, 1]);
      h.clock.advance(20);
      deepEqual([await since("mail"), await delayed()], [start + 20, 0]);
      await h.driver.promote(10);
      deepEqual([await since("mail"), await delayed()], [start + 20, 0]);
      const worker = await h.worker();
      await worker.claim({ kinds: ["fax"] });
      equal(await since("fax"), null);
    },
  },
  {
    id: "look.counts-next-life",
    law: "A retried job is counted where it is now, not where it was.",
    async run(h) {
      const [abandoned, cancelled] = await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      await worker.abort(await worker.claimOne());
      await h.cancel(cancelled!);
      await h.retry(abandoned!);
      await h.retry(cancelled!);
      const counts = await h.totals();
      deepEqual([counts.pending, counts.abandoned, counts.cancelled], [2, 0, 0]);
    },
  },
  {
    id: "look.counts-by-lane",
    law: "Counts come by queue and kind, in the order of their names, and can be narrowed.",
    async run(h) {
      const lanes = [
        ["b", "fax"],
        ["a", "mail"],
        ["a", "fax"],
        ["a", "mail"],
      ] as const;
      await h.enqueueAll(lanes.map(([queue, kind]) => ({ queue, kind })));
      const counted = async (filter: { queue?: string; kind?: string }) =>
        (await h.driver.counts(filter)).map((lane) => `${lane.queue} ${lane.kind} ${lane.pending}`);
      deepEqual(await counted({}), ["a fax 1", "a mail 2", "b fax 1"]);
      deepEqual(await counted({ queue: "a" }), ["a fax 1", "a mail 2"]);
      deepEqual(await counted({ kind: "fax" }), ["a fax 1", "b fax 1"]);
      deepEqual(await counted({ queue: "b", kind: "mail" }), []);
    },
  },
  {
    id: "look.attempt-pages",
    law: "Pages of attempts have no gaps and no doubles, also where many ended in one millisecond.",
    async run(h) {
      const ids = await h.enqueueAll(times(30, () => ({})));
      const worker = await h.worker();
      const held = await worker.claim({ limit: 30 });
      const all = held.map((job) => settlement(job, afterSuccess(job)));
      await worker.settleAll(held[0]!.lease, all);
      for (const limit of [1, 7, 10, 30, 31]) {
        const rows = await pages(h, { limit });
        deepEqual(rows.map((row) => row.job).toSorted(), ids.toSorted(), `pages of ${limit}`);
      }
    },
  },
  {
    id: "look.attempt-cursors",
    law: "Each attempt of a page has a cursor that leads on behind it.",
    async run(h) {
      await h.enqueueAll(times(5, () => ({})));
      const worker = await h.worker();
      for (const held of await worker.claim({ limit: 5 })) await worker.done(held);
      const page = await h.driver.listAttempts({ limit: 100 });
      const all = page.rows.map(key);
      equal(page.cursors.length, 5);
      for (const [i, after] of page.cursors.entries()) {
        const { rows } = await h.driver.listAttempts({ limit: 100, after });
        deepEqual(rows.map(key), all.slice(i + 1), `behind row ${i}`);
      }
    },
  },
  {
    id: "look.attempt-order",
    law: "Attempts are listed in the order in which they ended; those that end meanwhile come on later pages.",
    requires: ["clock"],
    async run(h) {
      await h.enqueueAll(times(4, (i) => ({ priority: i })));
      const worker = await h.worker();
      const ended: string[] = [];
      const endOne = async (): Promise<void> => {
        h.clock.advance(1);
        const held = await worker.claimOne();
        ended.push(`${held.job}/${held.run}`);
        await worker.fail(held, 60_000);
      };
      await endOne();
      await endOne();
      const first = await h.driver.listAttempts({ limit: 2 });
      await endOne();
      await endOne();
      const second = await h.driver.listAttempts({ limit: 10, after: first.next ?? undefined });
      deepEqual([...first.rows, ...second.rows].map(key), ended);
    },
  },
  {
    id: "look.attempt-filters",
    law: "Attempts can be narrowed by queue, kind and state, page by page.",
    async run(h) {
      await h.enqueueAll(
        times(12, (i) => ({ queue: i % 2 === 0 ? "a" : "b", kind: i % 3 === 0 ? "fax" : "mail" })),
      );
      const worker = await h.worker();
      for (const queue of ["a", "b"])
        for (const [i, held] of (await worker.claim({ queue, kinds: ["fax", "mail"] })).entries())
          await (i % 2 === 0 ? worker.done(held) : worker.abort(held));
      const all = await pages(h, { limit: 100 });
      equal(all.length, 12);
      const wanted = { queue: "a", kind: "mail", states: ["done"] } as const;
      const narrowed = await pages(h, { ...wanted, limit: 1 });
      const expected = all.filter(
        (row) => row.queue === "a" && row.kind === "mail" && row.state === "done",
      );
      deepEqual(narrowed, expected);
      ok(narrowed.length > 0, "some are left");
      equal((await pages(h, { states: ["done", "abandoned"], limit: 5 })).length, 12);
      deepEqual(await pages(h, { kind: "none", limit: 5 }), []);
    },
  },
  {
    id: "look.attempts-of-job",
    law: "Attempts of one job are all of its own, and nobody else's, page by page.",
    async run(h) {
      const [mine] = await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      await worker.giveBack(await worker.claimOne());
      await worker.abort(await worker.claimOne());
      await worker.abort(await worker.claimOne());
      await h.retry(mine!);
      const rows = await pages(h, { job: mine!, limit: 2 });
      deepEqual(rows.map(key), [`${mine}/1`, `${mine}/2`, `${mine}/3`]);
      deepEqual(await pages(h, { job: newId(), limit: 2 }), []);
    },
  },
];
