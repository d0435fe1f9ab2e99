/** Laws about looking at what limits hold back: counted, listed as due, and told where it stands. */
import { deepEqual, equal } from "node:assert/strict";
import { times } from "../harness.js";
import type { Law } from "../law.js";
import { declare, limitsOf } from "./declare.js";

export const limitLooks: readonly Law[] = [
  {
    id: "keys.due",
    law: "Jobs that wait for their key's turn are due, and counted, like others that wait.",
    requires: ["clock"],
    async run(h) {
      await declare(h, limitsOf({ perKey: { running: 1, rate: null } }));
      const ids: string[] = [];
      for (const limitKey of ["b", null, "a", "b"]) {
        ids.push(await h.enqueue({ limitKey }));
        h.clock.advance(10);
      }
      const due = async (more = {}) => {
        const { rows } = await h.driver.listDue({ limit: 10, ...more });
        return rows.map(({ job }) => job);
      };
      deepEqual(await due(), ids);
      const { rows, cursors } = await h.driver.listDue({ limit: 1 });
      deepEqual(await due({ after: cursors.at(-1) }), ids.slice(1));
      deepEqual(await due({ since: rows[0]!.dueAt + 1 }), ids.slice(1));
      const [lane] = await h.driver.counts({ ended: false });
      deepEqual([lane!.pending, lane!.delayed, lane!.dueSince], [4, 0, rows[0]!.dueAt]);
    },
  },
  {
    id: "keys.whatever-kinds",
    law: "Who fetches whatever kinds there are obeys limits and turns like everybody else.",
    async run(h) {
      await declare(h, limitsOf({ perKey: { running: 1, rate: null } }));
      await h.enqueueAll([...times(2, () => ({ limitKey: "a" })), { kind: "fax" }]);
      const wants = [{ queue: "default", kinds: null, limit: 10 }];
      const worker = await h.worker();
      const held = await worker.claim({ wants });
      deepEqual(held.map(({ kind }) => kind).toSorted(), ["fax", "mail"]);
      equal((await worker.claim({ wants })).length, 0);
    },
  },
  {
    id: "situation.limits",
    law: "Of a job that waits it is told which limits it has to pass, and what is used of each.",
    requires: ["clock"],
    async run(h) {
      const rate = { tokens: 1, perMs: 1_000, burst: 1 };
      await declare(
        h,
        limitsOf({ running: 5, perMachine: 2, perKey: { running: 1, rate } }),
        limitsOf({ running: 9 }, "default", "queue"),
      );
      const [, first, second, free, other] = await h.enqueueAll([
        { limitKey: "a" },
        { limitKey: "a" },
        { limitKey: "a" },
        { limitKey: null, delayMs: 0 },
        { kind: "wire", delayMs: 50 },
      ]);
      const worker = await h.worker();
      await worker.claim({ limit: 1 });
      h.clock.advance(400);
      const [ahead, behind] = [await h.driver.situation(first!), await h.driver.situation(second!)];
      deepEqual([ahead!.place, ahead!.ahead, behind!.ahead], ["keyed", 0, 1]);
      const limits = ahead!.limits;
      deepEqual(
        limits.map(({ scope, name, running }) => [scope, name, running]),
        [
          ["kind", "mail", { most: 5, held: 1 }],
          ["kind", "mail", { most: 2, held: 1 }],
          ["queue", "default", { most: 9, held: 1 }],
          ["key", "a", { most: 1, held: 1 }],
        ],
      );
      deepEqual(
        limits.map(({ host }) => host !== null),
        [false, true, false, false],
      );
      deepEqual(limits[3]!.rate, { tokens: 1, perMs: 1_000, nextInMs: 600 });
      equal((await h.driver.situation(free!))!.limits.length, 3);
      deepEqual((await h.driver.situation(other!))!.limits, []);
    },
  },
];
