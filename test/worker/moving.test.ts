/** What operators make of jobs and workers from outside: another place, a purge, a new job of a failed run, the end of a session. */
import { expect, test } from "vitest";
import { defineJob, fixed } from "../../src/index.js";
import { expectSound, gate, newQudo, refused, totals, tune, until } from "./support.js";

const note = defineJob("note", { queue: "mail", run: (_payload: unknown) => undefined });
const broken = defineJob("broken", {
  maxAttempts: 1,
  run: () => {
    throw new Error("as ever");
  },
});

test("a job that waits is moved, and a worker that is there learns of it", async () => {
  const qudo = newQudo([note]);
  await qudo.work();
  const later = await qudo.enqueue(note, 1, { delay: "1h" });
  expect(await qudo.jobs.reschedule(later.id, { delay: 0, priority: 3 })).toEqual({
    status: "rescheduled",
  });
  expect(await later.result()).toBeUndefined();
  expect(await qudo.jobs.reschedule(later.id, { delay: "1h" })).toEqual({
    status: "refused",
    state: "done",
  });
  const job = (await qudo.jobs.get(later.id))!;
  expect([job.run, job.priority]).toEqual([2, 3]);
  await expectSound(qudo);
});

test("a job that waits is put off to a moment", async () => {
  const qudo = newQudo([note]);
  const { id } = await qudo.enqueue(note, 1);
  const runAt = new Date(Date.now() + 86_400_000);
  await qudo.jobs.reschedule(id, { runAt });
  expect((await qudo.jobs.get(id))!.runAt).toEqual(runAt);
  expect(await totals(qudo)).toMatchObject({ pending: 1, delayed: 1 });
});

const ABSENT = "01a2056e-0fcc-7000-b73f-72fe5e0a14cb";

test.each([
  ["nothing", {}],
  ["two times", { delay: 1, runAt: new Date() }],
  ["a priority that none has", { priority: 1e9 }],
  ["what does not exist", { when: 1 }],
])("reschedule refuses %s", async (_, options) => {
  const qudo = newQudo([note]);
  const { code } = await refused(qudo.jobs.reschedule(ABSENT, options as object));
  expect(code).toMatch(/^QUDO_(INVALID|UNKNOWN)_OPTION$/);
});

test("purge ends what is in a queue, also what runs, and nothing else", async () => {
  tune({ markStartedAfterMs: 20 });
  const [started, ended] = [gate(), gate()];
  const slow = defineJob("slow", {
    queue: "mail",
    run: async (_: unknown, { signal }) => {
      started.open();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      ended.open();
    },
  });
  const qudo = newQudo([note, slow]);
  const running = await qudo.enqueue(slow, 1);
  const worker = await qudo.work({ queues: { mail: 1 } });
  await started.passed;
  await until("it runs", async () => (await qudo.jobs.get(running.id))!.state === "running");
  const waiting = await qudo.enqueueMany(
    Array.from({ length: 1_200 }, (_, i) => [note, i, { delay: "1h" }] as const),
  );
  const other = await qudo.enqueue(note, 1, { queue: "other", delay: "1h" });
  expect(await qudo.jobs.purge("mail", { dryRun: true })).toMatchObject({
    matched: 1_201,
    changed: 0,
  });
  const result = refused(running.result());
  expect(await qudo.jobs.purge("mail")).toMatchObject({
    matched: 1_201,
    changed: 1_201,
    cancelled: 1_200,
    abandoned: 1,
  });
  expect(await result).toMatchObject({
    code: "QUDO_JOB_FAILED",
    state: "abandoned",
    reason: "purged",
  });
  await ended.passed;
  await until("it is lost", () => worker.stats.lost === 1);
  expect((await qudo.jobs.get(waiting[700]!.id))!.state).toBe("cancelled");
  expect((await qudo.jobs.get(other.id))!.state).toBe("pending");
  expect(await qudo.jobs.purge("mail")).toMatchObject({ matched: 0, changed: 0 });
  await expectSound(qudo);
});

test("purge of one kind leaves the others", async () => {
  const qudo = newQudo([note, broken]);
  await qudo.enqueue(note, 1);
  await qudo.enqueue(broken, null, { queue: "mail" });
  expect(await qudo.jobs.purge("mail", { kind: "broken" })).toMatchObject({ cancelled: 1 });
  expect(await totals(qudo)).toMatchObject({ pending: 1, cancelled: 1 });
  expect((await refused(qudo.jobs.purge("mail", { kinds: "x" } as object))).code).toBe(
    "QUDO_UNKNOWN_OPTION",
  );
});

test("a failed run is made a new job of, once; both say so", async () => {
  const qudo = newQudo([broken]);
  const { id } = await qudo.enqueue(broken, { n: 1 }, { priority: 4 });
  const worker = await qudo.work();
  await until("it was given up", () => worker.stats.abandoned === 1);
  await worker.stop();
  const attempts = [];
  for await (const attempt of qudo.attempts.list({ states: ["abandoned"] })) attempts.push(attempt);
  expect(attempts).toMatchObject([{ job: id, run: 1 }]);
  const first = await qudo.enqueueFromFailed(attempts[0]!);
  expect(first.status).toBe("inserted");
  const made = (first as { id: string }).id;
  expect(await qudo.enqueueFromFailed({ job: id, run: 1 })).toEqual({
    status: "already",
    id: made,
  });
  expect(await qudo.jobs.get(made)).toMatchObject({
    state: "pending",
    payload: { n: 1 },
    priority: 4,
    maxAttempts: 1,
    origin: { job: id, run: 1 },
  });
  for await (const attempt of qudo.attempts.list({ job: id })) expect(attempt.retriedBy).toBe(made);
  expect(await qudo.enqueueFromFailed({ job: id, run: 2 })).toEqual({ status: "absent" });
  expect((await qudo.jobs.get(id))!.state).toBe("abandoned");
  await expectSound(qudo);
});

test("enqueueFromFailed wakes a worker, and refuses what is no run", async () => {
  const qudo = newQudo([broken]);
  const worker = await qudo.work();
  const { id } = await qudo.enqueue(broken, null);
  await until("it was given up", () => worker.stats.abandoned === 1);
  await qudo.enqueueFromFailed({ job: id, run: 1 });
  await until("the new one was, too", () => worker.stats.abandoned === 2);
  expect((await refused(qudo.enqueueFromFailed({ job: "x", run: 1 }))).code).toBe(
    "QUDO_INVALID_ID",
  );
  expect((await refused(qudo.enqueueFromFailed({ job: id, run: 0 }))).code).toBe(
    "QUDO_INVALID_OPTION",
  );
  expect((await refused(qudo.enqueueFromFailed(null as never))).code).toBe("QUDO_INVALID_OPTION");
});

test("a worker that is reset loses what it holds, and goes on under a new session", async () => {
  let runs = 0;
  const hung = gate();
  const hangs = defineJob("hangs", {
    backoff: fixed("1h"),
    run: async (_: unknown, { signal }) => {
      if (++runs > 1) return "well";
      hung.open();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      return "too late";
    },
  });
  const qudo = newQudo([hangs]);
  const job = await qudo.enqueue(hangs, null);
  const worker = await qudo.work({ name: "web-1", lease: "3s" });
  await hung.passed;
  const [before] = await qudo.monitor.workers();
  expect(await qudo.resetWorker("web-1")).toEqual({ sessions: 1, jobs: 1 });
  expect(await job.result()).toBe("well");
  const after = await qudo.monitor.workers();
  expect(after.map(({ name }) => name)).toEqual(["web-1"]);
  expect(after[0]!.id).not.toBe(before!.id);
  expect((await qudo.jobs.get(job.id))!).toMatchObject({ state: "done", fails: 0, crashes: 0 });
  await worker.stop();
  await expectSound(qudo);
});

test("what a cancelled worker holds is abandoned; one that is not there has no sessions", async () => {
  const [hung, free] = [gate(), gate()];
  const hangs = defineJob("hangs", {
    run: () => {
      hung.open();
      return free.passed;
    },
  });
  const qudo = newQudo([hangs]);
  const job = await qudo.enqueue(hangs, null);
  const worker = await qudo.work();
  await hung.passed;
  const [{ id } = { id: "" }] = await qudo.monitor.workers();
  const result = refused(job.result());
  expect(await qudo.cancelWorker(id)).toEqual({ sessions: 1, jobs: 1 });
  expect(await result).toMatchObject({ reason: "worker_cancelled" });
  expect(await qudo.cancelWorker("nobody")).toEqual({ sessions: 0, jobs: 0 });
  expect((await refused(qudo.resetWorker(""))).code).toBe("QUDO_INVALID_OPTION");
  free.open();
  await until("it is lost", () => worker.stats.lost === 1);
  await expectSound(qudo);
});
