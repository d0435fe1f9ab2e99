/** Laws about what runs, what waits although it is due, and where one job stands. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { DueRow, RunningRow } from "../../storage/driver.js";
import { newId } from "../../storage/ids.js";
import { times, type Harness } from "./harness.js";
import type { Law } from "./law.js";

interface PageOf<Row> {
  readonly rows: readonly Row[];
  readonly cursors: readonly string[];
  readonly next: string | null;
}

/** All pages; the cursor of each row must lead on behind it. */
async function pages<Row>(
  limit: number,
  list: (page: { after?: string; limit: number }) => Promise<PageOf<Row>>,
): Promise<Row[]> {
  const rows: Row[] = [];
  const cursors: string[] = [];
  for (let after: string | null = null, page = 1; page <= 100; page++) {
    const answer = await list({ limit, ...(after !== null && { after }) });
    ok(answer.rows.length <= limit, "a page is no longer than its limit");
    equal(answer.cursors.length, answer.rows.length);
    rows.push(...answer.rows);
    cursors.push(...answer.cursors);
    if (answer.next === null) {
      for (const [i, cursor] of cursors.entries())
        deepEqual((await list({ limit: 1, after: cursor })).rows, rows.slice(i + 1, i + 2));
      return rows;
    }
    after = answer.next;
  }
  throw new Error("the pages have no end");
}

const jobs = (rows: readonly (RunningRow | DueRow)[]): string[] => rows.map(({ job }) => job);

/** One job of each of these lanes in somebody's hands, shown as running ten milliseconds apart. */
async function runs(
  h: Harness,
  lanes: readonly { queue: string; kind: string }[],
): Promise<{ from: number; ids: string[] }> {
  const ids = await h.enqueueAll(lanes);
  const worker = await h.worker();
  const from = h.clock.now();
  for (const { queue, kind } of lanes) {
    await worker.start(await worker.claimOne({ queue, kinds: [kind] }));
    h.clock.advance(10);
  }
  return { from, ids };
}

const LANES = [
  { queue: "a", kind: "mail" },
  { queue: "a", kind: "fax" },
  { queue: "b", kind: "mail" },
  { queue: "b", kind: "wire" },
];

export const standingLaws: readonly Law[] = [
  {
    id: "running.order",
    law: "What is shown as running is listed by when it started, with its session and its progress, page by page.",
    requires: ["clock"],
    async run(h) {
      const ids = await h.enqueueAll(times(5, () => ({ kind: "mail" })));
      const worker = await h.worker();
      const held = (await worker.claim()).toReversed();
      for (const [i, one] of held.entries()) {
        await worker.start(one);
        // The first two start in one millisecond.
        if (i > 0) h.clock.advance(10);
      }
      await worker.report(held[4]!, { progress: "0.5" });
      const rows = await pages(2, (page) => h.driver.listRunning(page));
      deepEqual(jobs(rows).toSorted(), ids.toSorted());
      deepEqual(
        jobs(rows).slice(2),
        held.slice(2).map(({ job }) => job),
      );
      const last = { job: held[4]!.job, run: 1, queue: "default", kind: "mail" };
      const startedAt = h.clock.now() - 10;
      deepEqual(rows[4], { ...last, session: worker.session, startedAt, progress: "0.5" });
    },
  },
  {
    id: "running.only",
    law: "Neither what is held and not shown as running is listed as running, nor what was decided, be it by others.",
    async run(h) {
      await h.enqueueAll(times(4, () => ({})));
      const worker = await h.worker();
      const [reserved, done, cancelled, running] = await worker.claim();
      for (const held of [done, cancelled, running]) await worker.start(held!);
      await worker.done(done!);
      await h.cancel(cancelled!.job);
      const rows = await pages(10, (page) => h.driver.listRunning(page));
      deepEqual(jobs(rows), [running!.job]);
      await h.assertState(reserved!.job, "reserved");
    },
  },
  {
    id: "running.narrowed",
    law: "What is running can be narrowed by queue, by kinds, and by when it started: at or after `since`, and before `until`.",
    requires: ["clock"],
    async run(h) {
      const { from, ids } = await runs(h, LANES);
      const found = async (query: object): Promise<string[]> =>
        jobs(await pages(1, (page) => h.driver.listRunning({ ...query, ...page })));
      deepEqual(await found({}), ids);
      deepEqual(await found({ queue: "a" }), ids.slice(0, 2));
      deepEqual(await found({ kinds: ["wire", "fax"] }), [ids[1], ids[3]]);
      deepEqual(await found({ queue: "b", kinds: ["mail"] }), [ids[2]]);
      deepEqual(await found({ kinds: [] }), []);
      deepEqual(await found({ until: from + 20 }), ids.slice(0, 2));
      deepEqual(await found({ since: from + 10 }), ids.slice(1));
      deepEqual(await found({ since: from + 10, until: from + 30 }), ids.slice(1, 3));
    },
  },
  {
    id: "due.order",
    law: "What waits although it is due is listed by when it became due, whatever its queue, kind and priority, page by page.",
    requires: ["clock"],
    async run(h) {
      const expected: string[] = [];
      for (const [i, lane] of [...LANES, ...LANES].entries()) {
        expected.push(await h.enqueue({ ...lane, priority: i % 3 }));
        if (i !== 4) h.clock.advance(10);
      }
      const rows = await pages(3, (page) => h.driver.listDue(page));
      // Two became due in one millisecond.
      const order = [
        ...expected.slice(0, 4),
        ...expected.slice(4, 6).toSorted(),
        ...expected.slice(6),
      ];
      deepEqual(jobs(rows), order);
      const [first] = rows;
      const dueAt = h.clock.now() - 70;
      const row = { job: order[0], run: 1, ...LANES[0], priority: 0, dueAt, fails: 0, crashes: 0 };
      deepEqual(first, row);
    },
  },
  {
    id: "due.only",
    law: "A job waits and is due, or it is not listed so; whether it was promoted yet makes no difference.",
    requires: ["clock"],
    async run(h) {
      const later = await h.enqueue({ delayMs: 1_000 });
      const failed = await h.enqueue({ kind: "fax", priority: 3 });
      await h.enqueueAll([{}, {}]);
      const worker = await h.worker();
      await worker.fail(await worker.claimOne({ kinds: ["fax"] }), 500);
      await worker.done(await worker.claimOne());
      await worker.claimOne();
      const due = await h.enqueue();
      const found = async (query: object = {}): Promise<string[]> =>
        jobs(await pages(2, (page) => h.driver.listDue({ ...query, ...page })));
      deepEqual(await found(), [due]);
      deepEqual(await found({ until: h.clock.now() + 10_000 }), [due]);
      h.clock.advance(500);
      deepEqual(await found(), [due, failed]);
      h.clock.advance(500);
      deepEqual(await found(), [due, failed, later]);
      await h.driver.promote(10);
      const rows = await pages(2, (page) => h.driver.listDue(page));
      deepEqual(jobs(rows), [due, failed, later]);
      deepEqual([rows[1]!.run, rows[1]!.fails, rows[1]!.priority], [2, 1, 3]);
    },
  },
  {
    id: "due.narrowed",
    law: "What is due can be narrowed by queue, by kinds, and by when it became due: at or after `since`, and before `until`.",
    requires: ["clock"],
    async run(h) {
      const from = h.clock.now();
      const ids: string[] = [];
      for (const lane of LANES) {
        ids.push(await h.enqueue(lane));
        h.clock.advance(10);
      }
      const found = async (query: object): Promise<string[]> =>
        jobs(await pages(1, (page) => h.driver.listDue({ ...query, ...page })));
      deepEqual(await found({ queue: "a" }), ids.slice(0, 2));
      deepEqual(await found({ kinds: ["wire", "fax"] }), [ids[1], ids[3]]);
      deepEqual(await found({ queue: "b", kinds: ["mail"] }), [ids[2]]);
      deepEqual(await found({ kinds: [] }), []);
      deepEqual(await found({ until: from + 20 }), ids.slice(0, 2));
      deepEqual(await found({ since: from + 10, until: from + 30 }), ids.slice(1, 3));
      await rejects(h.driver.listDue({ after: "x", limit: 1 }), { name: "InvalidInputError" });
      await rejects(h.driver.listRunning({ after: "x", limit: 1 }), { name: "InvalidInputError" });
    },
  },
  {
    id: "situation.places",
    law: "A job is told to stand where it stands, and one that is not there, or shown to nobody, nowhere at all.",
    requires: ["clock"],
    async run(h) {
      const [hidden, failed, held] = await h.enqueueAll([
        { kind: "fax", keepDoneMs: 0 },
        { kind: "wire" },
        {},
      ]);
      const worker = await h.worker();
      await worker.claimOne();
      const claimedAt = h.clock.now();
      h.clock.advance(50);
      await worker.done(await worker.claimOne({ kinds: ["fax"] }));
      await worker.fail(await worker.claimOne({ kinds: ["wire"] }), 1_000);
      const [cancelled, delayed, ready] = await h.enqueueAll([{}, { delayMs: 1_000 }, {}]);
      await h.cancel(cancelled!);
      const now = h.clock.now();
      const common = {
        now,
        queuePausedAt: null,
        kindPausedAt: null,
        ahead: 0,
        claimedAt: null,
        limits: [],
      };
      deepEqual(await h.driver.situation(held!), { ...common, place: "held", claimedAt });
      deepEqual(await h.driver.situation(ready!), { ...common, place: "ready" });
      deepEqual(await h.driver.situation(cancelled!), { ...common, place: "ended" });
      for (const id of [failed, delayed])
        deepEqual(await h.driver.situation(id!), { ...common, place: "delayed" });
      for (const id of [newId(), hidden!]) equal(await h.driver.situation(id), null);
    },
  },
  {
    id: "situation.paused",
    law: "Of a job it is told since when its queue is paused, and its kind in it, each by itself.",
    requires: ["clock"],
    async run(h) {
      const [mail, fax] = await h.enqueueAll([{ kind: "mail" }, { kind: "fax", delayMs: 1_000 }]);
      const pauses = async (id: string): Promise<(number | null)[]> => {
        const { queuePausedAt, kindPausedAt } = (await h.driver.situation(id))!;
        return [queuePausedAt, kindPausedAt];
      };
      const first = h.clock.now();
      await h.driver.setPaused({ queue: "default", kind: "fax" }, true);
      h.clock.advance(10);
      deepEqual(
        [await pauses(mail!), await pauses(fax!)],
        [
          [null, null],
          [null, first],
        ],
      );
      const second = h.clock.now();
      await h.driver.setPaused({ queue: "default", kind: null }, true);
      h.clock.advance(10);
      deepEqual(
        [await pauses(mail!), await pauses(fax!)],
        [
          [second, null],
          [second, first],
        ],
      );
      await h.driver.setPaused({ queue: "default", kind: "fax" }, false);
      deepEqual(
        [await pauses(mail!), await pauses(fax!)],
        [
          [second, null],
          [second, null],
        ],
      );
    },
  },
  {
    id: "situation.ahead",
    law: "Of a ready job it is told how many of its queue come before it, of all kinds that are not paused.",
    requires: ["clock"],
    async run(h) {
      const other = { queue: "other", priority: 9 };
      await h.enqueueAll([{ kind: "mail" }, { kind: "fax" }, { kind: "wire", priority: 9 }, other]);
      h.clock.advance(1);
      const id = await h.enqueue({ priority: 1 });
      const last = await h.enqueue();
      await h.enqueueAll([{ priority: 2 }, { priority: 2, kind: "fax" }, { priority: -1 }]);
      h.clock.advance(1);
      await h.enqueueAll([{ priority: 1 }, { delayMs: 5 }]);
      const ahead = async (job: string): Promise<number> => (await h.driver.situation(job))!.ahead;
      deepEqual([await ahead(id), await ahead(last)], [3, 7]);
      await h.driver.setPaused({ queue: "default", kind: "fax" }, true);
      deepEqual([await ahead(id), await ahead(last)], [2, 5]);
    },
  },
];
