/** Laws about lists of jobs: where each stands, page by page, without gaps. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { JobState } from "../../core/states.js";
import type { JobQuery, JobRow } from "../../storage/driver.js";
import { newId } from "../../storage/ids.js";
import { times, type Harness } from "./harness.js";
import type { Law } from "./law.js";

/** All pages of a query. */
async function pages(h: Harness, query: JobQuery): Promise<JobRow[]> {
  const rows: JobRow[] = [];
  let after: string | undefined;
  for (let page = 1; page <= 100; page++) {
    const answer = await h.driver.listJobs({ ...query, after });
    ok(answer.rows.length <= query.limit, "a page is no longer than its limit");
    rows.push(...answer.rows);
    if (answer.next === null) return rows;
    after = answer.next;
  }
  throw new Error("the pages have no end");
}

const ids = (rows: readonly JobRow[]): string[] => rows.map((row) => row.id);

/** Jobs in every state, those of each source in the order in which they are to be listed; ended a second apart. */
async function everywhere(h: Harness): Promise<Record<string, string[]>> {
  const worker = await h.worker();
  const done = await h.enqueueAll([{}, {}]);
  for (const held of await worker.claim()) {
    h.clock.advance(1_000);
    await worker.done(held);
  }
  const [cancelled] = await h.enqueueAll([{}]);
  h.clock.advance(1_000);
  await h.cancel(cancelled!);
  const abandoned = await h.enqueue();
  h.clock.advance(1_000);
  await worker.abort(await worker.claimOne());
  const held = await h.enqueueAll(times(4, (i) => ({ priority: 9 - i })));
  await worker.claim({ limit: 2 });
  for (const job of await worker.claim({ limit: 2 })) await worker.start(job);
  const later = await h.enqueueAll([{ delayMs: 50_000 }, { delayMs: 90_000 }]);
  const failed = await h.enqueue({ priority: 3 });
  await worker.fail(await worker.claimOne(), 70_000);
  const [second, first, third] = await h.enqueueAll([{ priority: 1 }, { priority: 2 }, {}]);
  const delayed = [later[0]!, failed, later[1]!];
  return {
    held,
    waiting: [first!, second!, third!, ...delayed],
    ended: [abandoned, cancelled!, ...done.toReversed()],
  };
}

export const listLaws: readonly Law[] = [
  {
    id: "list.order",
    law: "Jobs are listed where they stand: held, then ready in claim order, then delayed by due time, then ended, newest first.",
    requires: ["clock"],
    async run(h) {
      const { held, waiting, ended } = await everywhere(h);
      const rows = await pages(h, { limit: 100 });
      deepEqual(ids(rows.slice(0, held!.length)).toSorted(), held!.toSorted(), "held ones first");
      deepEqual(ids(rows.slice(held!.length)), [...waiting!, ...ended!]);
    },
  },
  {
    id: "list.pages",
    law: "Pages of jobs have no gaps and no doubles, whatever their size.",
    requires: ["clock"],
    async run(h) {
      await everywhere(h);
      await h.enqueueAll(times(3, () => ({ kind: "fax" })));
      const all = ids(await pages(h, { limit: 100 }));
      equal(all.length, 17);
      for (const limit of [1, 2, 3, 5, 17])
        deepEqual(ids(await pages(h, { limit })), all, `pages of ${limit}`);
    },
  },
  {
    id: "list.pages-of-one-moment",
    law: "Pages have no gaps also where many jobs were enqueued, or ended, in one millisecond.",
    async run(h) {
      const waiting = await h.enqueueAll(times(7, () => ({})));
      const later = await h.enqueueAll(times(7, () => ({ delayMs: 60_000 })));
      const ended = await h.enqueueAll(times(7, () => ({})));
      await h.driver.cancel(ended);
      const rows = ids(await pages(h, { limit: 3 }));
      deepEqual(rows.toSorted(), [...waiting, ...later, ...ended].toSorted());
    },
  },
  {
    id: "list.cursors",
    law: "Each row of a page says where it was found, and has a cursor that leads on behind it.",
    requires: ["clock"],
    async run(h) {
      const { held, waiting, ended } = await everywhere(h);
      const page = await h.driver.listJobs({ limit: 100 });
      const all = ids(page.rows);
      equal(all.length, held!.length + waiting!.length + ended!.length);
      for (const [i, after] of page.cursors.entries())
        deepEqual(
          ids((await h.driver.listJobs({ limit: 100, after })).rows),
          all.slice(i + 1),
          `behind row ${i}`,
        );
      const now = h.clock.now();
      const found = page.rows.map(({ state, runAt }) => {
        if (state === "reserved" || state === "running") return "held";
        if (state === "pending" || state === "failed") return runAt > now ? "delayed" : "ready";
        return "ended";
      });
      deepEqual(page.sources, found);
    },
  },
  {
    id: "list.rows",
    law: "A listed job is the job as it is got by its id.",
    requires: ["clock"],
    async run(h) {
      await everywhere(h);
      const rows = await pages(h, { limit: 4 });
      deepEqual(rows, await h.driver.getJobs(ids(rows)));
    },
  },
  {
    id: "list.states",
    law: "Jobs can be narrowed to any states.",
    requires: ["clock"],
    async run(h) {
      await everywhere(h);
      const all = await pages(h, { limit: 100 });
      const sets: JobState[][] = [
        ["pending"],
        ["failed"],
        ["reserved"],
        ["running"],
        ["done"],
        ["abandoned"],
        ["cancelled"],
        ["failed", "running", "cancelled"],
        ["moved"],
        [],
      ];
      for (const states of sets) {
        const expected = all.filter((row) => states.includes(row.state));
        ok(expected.length > 0 || states.length === 0 || states[0] === "moved", "there are some");
        deepEqual(await pages(h, { states, limit: 2 }), expected, states.join());
      }
    },
  },
  {
    id: "list.lanes",
    law: "Jobs can be narrowed by queue and kind.",
    async run(h) {
      const worker = await h.worker();
      const lanes = times(3, (i) => ({ queue: i > 0 ? "a" : "b", kind: i > 1 ? "fax" : "mail" }));
      for (const lane of lanes) {
        await h.enqueueAll(
          times(5, (i) => ({ ...lane, priority: 9 - i, delayMs: i > 3 ? 9e6 : 0 })),
        );
        await worker.done(await worker.claimOne({ queue: lane.queue, kinds: [lane.kind] }));
        await worker.claimOne({ queue: lane.queue, kinds: [lane.kind] });
      }
      for (const query of [{ queue: "a" }, { kind: "mail" }, { queue: "a", kind: "fax" }]) {
        const rows = await pages(h, { ...query, limit: 3 });
        const expected = lanes.filter((lane) =>
          Object.entries(query).every(([k, v]) => lane[k as "queue"] === v),
        );
        equal(rows.length, 5 * expected.length);
        for (const { queue, kind } of rows)
          ok(expected.some((lane) => lane.queue === queue && lane.kind === kind));
      }
      deepEqual(await pages(h, { queue: "b", kind: "fax", limit: 3 }), []);
    },
  },
  {
    id: "list.created",
    law: "Jobs can be narrowed by when they were created: at or after `since`, and before `until`.",
    requires: ["clock"],
    async run(h) {
      const made: string[] = [];
      const start = h.clock.now();
      for (let i = 0; i < 4; i++) {
        made.push(await h.enqueue());
        h.clock.advance(10);
      }
      await h.cancel(made[1]!);
      const listed = async (range: { since?: number; until?: number }): Promise<string[]> =>
        ids(await pages(h, { ...range, limit: 2 })).toSorted();
      deepEqual(await listed({ since: start + 10 }), made.slice(1).toSorted());
      deepEqual(await listed({ until: start + 20 }), made.slice(0, 2).toSorted());
      deepEqual(
        await listed({ since: start + 10, until: start + 30 }),
        made.slice(1, 3).toSorted(),
      );
    },
  },
  {
    id: "list.last-word",
    law: "A job is listed once, where it is now: not for runs that failed, and not for a life before a retry.",
    async run(h) {
      const [retried, failed] = await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      await worker.abort(await worker.claimOne());
      await worker.fail(await worker.claimOne());
      await h.retry(retried!);
      deepEqual(ids(await pages(h, { limit: 10 })).toSorted(), [retried!, failed!].toSorted());
      deepEqual(await pages(h, { states: ["abandoned"], limit: 10 }), []);
    },
  },
  {
    id: "list.decided-while-held",
    law: "A run cancelled in its worker's hands is listed as cancelled, not as held.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      await worker.claimOne();
      await h.cancel(id);
      const rows = await pages(h, { limit: 10 });
      deepEqual(
        rows.map((row) => [row.id, row.state]),
        [[id, "cancelled"]],
      );
    },
  },
  {
    id: "list.bounded",
    law: "A filter that hardly anything passes blocks nobody: its pages may be empty before the end.",
    requires: ["clock"],
    async run(h) {
      await h.enqueueAll(times(1_000, () => ({})));
      await h.enqueueAll(times(100, () => ({})));
      h.clock.advance(1);
      const wanted = await h.enqueue({ delayMs: 1_000 });
      const rare = { since: h.clock.now(), limit: 1 };
      const first = await h.driver.listJobs(rare);
      deepEqual(first.rows, []);
      ok(first.next !== null, "not everything was looked at");
      deepEqual(ids(await pages(h, rare)), [wanted]);
    },
  },
  {
    id: "list.cursor",
    law: "What is no cursor of this list is refused as the caller's mistake.",
    async run(h) {
      await h.enqueue();
      const bad = [
        "",
        "x",
        "ready",
        "ready/1/2/3",
        `ready/a/2/3/${newId()}`,
        `held/${newId()}`,
        "ended/1/2/3",
      ];
      for (const after of [...bad, `ready/1/2/3/${newId()}/4`, `nowhere/1/${newId()}`])
        await rejects(h.driver.listJobs({ after, limit: 5 }), { name: "InvalidInputError" }, after);
      for (const after of ["", "1", `1/2/3`, `a/${newId()}/1`])
        await rejects(h.driver.listAttempts({ after, limit: 5 }), { name: "InvalidInputError" });
    },
  },
  {
    id: "list.jobs-that-move",
    law: "Jobs that end between two pages leave no gap in what stays.",
    requires: ["clock"],
    async run(h) {
      const all = await h.enqueueAll(times(6, (i) => ({ priority: 9 - i })));
      const first = await h.driver.listJobs({ states: ["pending"], limit: 2 });
      await h.driver.cancel(all.slice(0, 3));
      const { rows } = await h.driver.listJobs({
        states: ["pending"],
        limit: 9,
        after: first.next!,
      });
      deepEqual(ids([...first.rows, ...rows]), [...all.slice(0, 2), ...all.slice(3)]);
    },
  },
];
