/** Laws about enqueueing: what goes in comes out, a known id goes in once, a delay is kept. */
import { deepEqual, equal } from "node:assert/strict";
import { jsonPayload, newJob } from "./harness.js";
import type { Law } from "./law.js";

export const enqueueLaws: readonly Law[] = [
  {
    id: "enqueue.as-it-went-in",
    law: "A job is claimed with all that it was enqueued with.",
    async run(h) {
      const spec = {
        queue: "letters",
        kind: "Print",
        priority: -7,
        maxAttempts: 3,
        timeoutMs: 900,
        redact: ["text"],
      };
      const payload = jsonPayload({ text: "Grüße ✉ 'quoted' \\ \" %_" });
      const id = await h.enqueue({ ...spec, payload });
      const row = await h.job(id);
      const held = await (await h.worker()).claimOne({ queue: "letters", kinds: ["Print"] });
      const { lease: _, session: __, createdAt: ___, ...claimed } = held;
      const first = { job: id, run: 1, fails: 0, crashes: 0 };
      deepEqual(claimed, { ...first, ...spec, payload });
      for (const key of ["queue", "kind", "priority", "maxAttempts", "redact"] as const)
        deepEqual(row[key], spec[key], key);
      deepEqual(row.payload, payload);
    },
  },
  {
    id: "enqueue.binary-payload",
    law: "A binary payload comes back byte for byte.",
    async run(h) {
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      const id = await h.enqueue({ payload: { codec: 1, text: null, bin: bytes } });
      const held = await (await h.worker()).claimOne();
      const [fetched] = await h.driver.payloads([id]);
      for (const payload of [held.payload, fetched, (await h.job(id)).payload]) {
        equal(payload!.text, null);
        deepEqual([...payload!.bin!], [...bytes]);
      }
    },
  },
  {
    id: "enqueue.payload-codec",
    law: "Each payload keeps the number of its serializer, text and bytes side by side, small and large.",
    async run(h) {
      const bytes = new Uint8Array(100_000).fill(7);
      const payloads = [
        jsonPayload("json"),
        { codec: 2, text: null, bin: Uint8Array.of(0, 255) },
        { codec: 32_767, text: "own", bin: null },
        { codec: 3, text: null, bin: bytes },
        { codec: 4, text: null, bin: new Uint8Array() },
      ];
      const ids = await h.enqueueAll(payloads.map((payload) => ({ payload })));
      const held = await (await h.worker()).claim();
      const fetched = await h.driver.payloads(ids);
      for (const [i, sent] of payloads.entries()) {
        const claimed = held.find(({ job }) => job === ids[i])!.payload;
        for (const payload of [fetched[i], (await h.job(ids[i]!)).payload, claimed]) {
          // One that is large need not come with the claim.
          if (payload === null && sent.bin === bytes) continue;
          equal(payload!.codec, sent.codec);
          equal(payload!.text, sent.text);
          deepEqual(payload!.bin && [...payload!.bin], sent.bin && [...sent.bin]);
        }
      }
    },
  },
  {
    id: "enqueue.duplicate-waiting",
    law: "An id that waits is a duplicate, and the job stays as it was first enqueued.",
    async run(h) {
      const id = await h.enqueue({ priority: 1, payload: jsonPayload("first") });
      const again = newJob({ id, priority: 2, payload: jsonPayload("second") });
      deepEqual(await h.driver.insertJobs([again]), [{ status: "duplicate" }]);
      const held = await (await h.worker()).claim();
      deepEqual(
        held.map((job) => job.payload?.text),
        ['"first"'],
      );
      equal((await h.job(id)).priority, 1);
    },
  },
  {
    id: "enqueue.duplicate-held",
    law: "An id that a worker holds is a duplicate, and cannot be claimed a second time.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      await worker.claimOne();
      deepEqual(await h.driver.insertJobs([newJob({ id })]), [{ status: "duplicate" }]);
      deepEqual(await worker.claim(), []);
    },
  },
  {
    id: "enqueue.duplicate-finished",
    law: "An id that has ended is a duplicate, and does not run again.",
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      await worker.done(await worker.claimOne());
      deepEqual(await h.driver.insertJobs([newJob({ id })]), [{ status: "duplicate" }]);
      deepEqual(await worker.claim(), []);
      await h.assertState(id, "done");
    },
  },
  {
    id: "enqueue.duplicate-in-one-call",
    law: "The same id twice in one call is one job.",
    async run(h) {
      const job = newJob();
      const outcomes = await h.driver.insertJobs([job, job]);
      deepEqual(outcomes, [{ status: "inserted" }, { status: "duplicate" }]);
      equal((await (await h.worker()).claim()).length, 1);
    },
  },
  {
    id: "enqueue.resend-by-two",
    law: "A call sent again over another connection inserts nothing more.",
    async run(h) {
      const jobs = [newJob(), newJob({ uniqueKey: "k" }), newJob({ delayMs: 60_000 })];
      const other = await h.connect();
      const answers = await Promise.all([h.driver.insertJobs(jobs), other.insertJobs(jobs)]);
      const inserted = answers.flat().filter((outcome) => outcome.status === "inserted");
      const duplicate = answers.flat().filter((outcome) => outcome.status === "duplicate");
      deepEqual([inserted.length, duplicate.length], [3, 3]);
      equal((await h.totals()).pending, 3);
    },
  },
  {
    id: "enqueue.delay",
    law: "A delayed job cannot be claimed before its time, and can be at its time.",
    requires: ["clock"],
    async run(h) {
      const id = await h.enqueue({ delayMs: 1_000 });
      const worker = await h.worker();
      equal((await h.job(id)).runAt, h.clock.now() + 1_000);
      h.clock.advance(999);
      await h.driver.promote(10);
      deepEqual(await worker.claim(), [], "one millisecond early");
      h.clock.advance(1);
      await h.driver.promote(10);
      equal((await worker.claimOne()).job, id);
    },
  },
  {
    id: "enqueue.run-at",
    law: "A moment given beats a delay given; one in the past is now.",
    requires: ["clock"],
    async run(h) {
      const now = h.clock.now();
      const [later, past] = await h.enqueueAll([
        { runAt: now + 5_000, delayMs: 1 },
        { runAt: now - 5_000, delayMs: 60_000 },
      ]);
      equal((await h.job(later!)).runAt, now + 5_000);
      equal((await h.job(past!)).runAt, now);
      equal((await (await h.worker()).claimOne()).job, past);
    },
  },
];
