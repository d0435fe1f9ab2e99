/** Laws about the lines that handlers write: none is lost, none is doubled, and they come back in order. */
import { deepEqual, equal } from "node:assert/strict";
import { newId } from "../../storage/ids.js";
import { times } from "./harness.js";
import type { Law } from "./law.js";

export const logLaws: readonly Law[] = [
  {
    id: "log.as-written",
    law: "A line comes back with its run, number, level and text, at the moment it was written.",
    requires: ["clock"],
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      const levels = ["debug", "info", "warn", "error"] as const;
      const text = "Grüße ✉ 'quoted'\n\"%_\\";
      const lines = levels.map((level, i) => ({ seq: i + 1, agoMs: 40 - i, level, text }));
      await worker.report(held, { lines });
      deepEqual(
        await h.driver.listLog({ job: id, limit: 10 }),
        levels.map((level, i) => ({
          run: 1,
          seq: i + 1,
          at: h.clock.now() - 40 + i,
          level,
          text,
        })),
      );
    },
  },
  {
    id: "log.resend",
    law: "Lines sent again change nothing.",
    requires: ["clock"],
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      await worker.report(held, { lines: [worker.line(1, "a"), worker.line(2, "b")] });
      const before = await h.driver.listLog({ job: id, limit: 10 });
      h.clock.advance(500);
      const again = [worker.line(1, "a"), worker.line(2, "b"), worker.line(3, "c")];
      await worker.report(held, { lines: again });
      const after = await h.driver.listLog({ job: id, limit: 10 });
      deepEqual(after.slice(0, 2), before);
      deepEqual(
        after.map((line) => line.text),
        ["a", "b", "c"],
      );
    },
  },
  {
    id: "log.with-the-settlement",
    law: "Lines that come with a settlement are kept, also where the run is lost.",
    async run(h) {
      const [done, cancelled] = await h.enqueueAll([{ priority: 1 }, {}]);
      const worker = await h.worker();
      const [a, b] = await worker.claim();
      await h.cancel(cancelled!);
      equal(await worker.done(a!, { lines: [worker.line(1, "well")] }), "accepted");
      equal(await worker.done(b!, { lines: [worker.line(1, "late")] }), "lost");
      const written = async (job: string): Promise<string[]> =>
        (await h.driver.listLog({ job, limit: 10 })).map((line) => line.text);
      deepEqual([await written(done!), await written(cancelled!)], [["well"], ["late"]]);
    },
  },
  {
    id: "log.of-a-lost-run",
    law: "Lines of a run that is lost are kept; those of a job that is gone go nowhere.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      await h.kill(worker);
      equal(await worker.report(held, { lines: [worker.line(1, "last words")] }), false);
      equal((await h.driver.listLog({ job: id, limit: 10 })).length, 1);
      const gone = { ...held, job: newId() };
      equal(await worker.report(gone, { lines: [worker.line(1, "to nobody")] }), false);
      deepEqual(await h.driver.listLog({ job: gone.job, limit: 10 }), []);
    },
  },
  {
    id: "log.pages",
    law: "Lines come by run and number, can be narrowed to a run, and go on after any line.",
    async run(h) {
      const id = await h.enqueue();
      const other = await h.enqueue({ kind: "fax" });
      const worker = await h.worker();
      for (const run of [1, 2]) {
        const held = await worker.claimOne();
        const lines = times(12, (i) => worker.line(12 - i, `${run}/${12 - i}`));
        await worker.fail(held, 0, { lines });
      }
      const held = await worker.claimOne({ kinds: ["fax"] });
      await worker.report(held, { lines: [worker.line(1, "other")] });
      const texts = async (query: object): Promise<string[]> =>
        (await h.driver.listLog({ job: id, limit: 99, ...query })).map((line) => line.text);
      const all = [1, 2].flatMap((run) => times(12, (i) => `${run}/${i + 1}`));
      deepEqual(await texts({}), all);
      deepEqual(await texts({ limit: 5 }), all.slice(0, 5));
      deepEqual(await texts({ after: { run: 1, seq: 5 } }), all.slice(5));
      deepEqual(await texts({ run: 2 }), all.slice(12));
      deepEqual(await texts({ run: 2, after: { run: 2, seq: 11 } }), ["2/12"]);
      deepEqual(await texts({ run: 1, after: { run: 1, seq: 12 } }), []);
      deepEqual(await texts({ job: other }), ["other"]);
    },
  },
];
