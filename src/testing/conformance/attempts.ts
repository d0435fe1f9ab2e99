/** Laws about what the log of outcomes can be asked: which part of it, from which end, from where on. */
import { deepEqual, equal, ok } from "node:assert/strict";
import type { AttemptQuery, AttemptRow } from "../../storage/driver.js";
import { times, type Harness } from "./harness.js";
import type { Law } from "./law.js";

const key = ({ job, run }: AttemptRow): string => `${job}/${run}`;

async function keys(h: Harness, query: Partial<AttemptQuery>): Promise<string[]> {
  return (await h.driver.listAttempts({ limit: 100, ...query })).rows.map(key);
}

/** All pages of a query. */
async function pages(h: Harness, query: AttemptQuery): Promise<string[]> {
  const found: string[] = [];
  for (let after: string | undefined, page = 1; page <= 100; page++) {
    const answer = await h.driver.listAttempts({ ...query, after });
    ok(answer.rows.length <= query.limit, "a page is no longer than its limit");
    found.push(...answer.rows.map(key));
    if (answer.next === null) return found;
    after = answer.next;
  }
  throw new Error("the pages have no end");
}

/** Ended one after the other, ten milliseconds apart; the first one at the moment that is returned. */
async function apart(h: Harness, n: number): Promise<{ from: number; all: string[] }> {
  await h.enqueueAll(times(n, () => ({})));
  const worker = await h.worker();
  const from = h.clock.now();
  for (const held of await worker.claim({ limit: n })) {
    await worker.done(held);
    h.clock.advance(10);
  }
  return { from, all: await keys(h, {}) };
}

/** Five outcomes of each of these kinds. */
async function ofKinds(h: Harness, kinds: readonly string[]): Promise<void> {
  await h.enqueueAll(kinds.flatMap((kind) => times(5, () => ({ kind }))));
  const worker = await h.worker();
  for (const kind of kinds)
    for (const held of await worker.claim({ kinds: [kind] })) await worker.done(held);
}

export const attemptLaws: readonly Law[] = [
  {
    id: "look.attempts-by-time",
    law: "Attempts can be narrowed by when they ended: at or after `since`, and before `until`, from either end.",
    requires: ["clock"],
    async run(h) {
      const { from, all } = await apart(h, 5);
      equal(all.length, 5);
      deepEqual(await keys(h, { since: from + 10 }), all.slice(1));
      deepEqual(await keys(h, { until: from + 30 }), all.slice(0, 3));
      const range = { since: from + 10, until: from + 40 };
      deepEqual(await keys(h, range), all.slice(1, 4));
      deepEqual(await pages(h, { ...range, limit: 2 }), all.slice(1, 4));
      deepEqual(
        await pages(h, { ...range, limit: 2, newestFirst: true }),
        all.slice(1, 4).toReversed(),
      );
      deepEqual(await keys(h, { since: from + 100 }), []);
    },
  },
  {
    id: "look.attempts-of-kinds",
    law: "Attempts can be narrowed to any of several kinds; to none of them there are none.",
    async run(h) {
      await ofKinds(h, ["mail", "fax", "wire"]);
      const { rows } = await h.driver.listAttempts({ limit: 100 });
      const of = (...kinds: string[]): string[] =>
        rows.filter(({ kind }) => kinds.includes(kind)).map(key);
      deepEqual(await pages(h, { kinds: ["wire", "mail"], limit: 3 }), of("wire", "mail"));
      deepEqual(await pages(h, { kinds: ["fax", "never used"], limit: 3 }), of("fax"));
      deepEqual(await pages(h, { kinds: ["fax", "mail"], kind: "mail", limit: 3 }), of("mail"));
      deepEqual(await pages(h, { kinds: [], limit: 3 }), []);
    },
  },
  {
    id: "look.attempts-newest-first",
    law: "Newest first is the same list backwards, page by page, and each cursor leads on in that direction.",
    async run(h) {
      await ofKinds(h, ["mail", "fax"]);
      const all = await keys(h, {});
      for (const limit of [1, 3, 10, 11])
        deepEqual(
          await pages(h, { newestFirst: true, limit }),
          all.toReversed(),
          `${limit} a page`,
        );
      const page = await h.driver.listAttempts({ newestFirst: true, limit: 100 });
      for (const [i, after] of page.cursors.entries())
        deepEqual(await keys(h, { newestFirst: true, after }), all.toReversed().slice(i + 1));
    },
  },
  {
    id: "look.attempts-offset",
    law: "An offset passes over as many rows, from the beginning of the list or from a cursor on, and the next page begins behind its page.",
    async run(h) {
      await ofKinds(h, ["mail", "fax"]);
      const all = await keys(h, { kind: "mail" });
      const some = await h.driver.listAttempts({ kind: "mail", offset: 1, limit: 2 });
      deepEqual(some.rows.map(key), all.slice(1, 3));
      equal(some.cursors.length, 2);
      deepEqual(await keys(h, { kind: "mail", after: some.next! }), all.slice(3));
      deepEqual(await keys(h, { kind: "mail", after: some.cursors[0]!, offset: 1 }), all.slice(3));
      deepEqual(await keys(h, { newestFirst: true, kind: "mail", offset: 4 }), [all[0]]);
      deepEqual(await keys(h, { offset: 10 }), []);
    },
  },
];
