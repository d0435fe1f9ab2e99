/** job.replace, job.reenqueue, job.dequeue: what a handler makes of its job beside returning and throwing. */
import { expect, test } from "vitest";
import {
  defineJob,
  fixed,
  type JobContext,
  type JobDefinition,
  type JobState,
} from "../../src/index.js";
import type { QudoEvents } from "../../src/core/events.js";
import { Orders } from "../../src/client/orders.js";
import type { Driver } from "../../src/storage/driver.js";
import type { Prepare } from "../../src/worker/replacing.js";
import { listening } from "./listener.js";
import { attemptsOf, expectSound, newBench, newQudo, order, refused, until } from "./support.js";

const child = defineJob("child", { queue: "children", run: (n: number) => n * 2 });

/** A parent whose handler does this; its retries come late. */
const parentOf = (run: (job: JobContext) => unknown) =>
  defineJob("parent", { backoff: fixed("1h"), run: (_: unknown, job) => run(job) });

/** It has run once, whatever came of it. */
async function ran(parent: JobDefinition<unknown>, options: { uniqueKey?: string } = {}) {
  const qudo = newQudo([parent, child]);
  const told: QudoEvents["enqueued"][] = [];
  const { id } = await qudo.enqueue(parent, null, options);
  qudo.on("enqueued", (event) => told.push(event));
  const worker = await qudo.work({ queues: ["default"] });
  await until("it ran", async () => (await qudo.jobs.get(id))!.last !== null);
  await worker.stop();
  await expectSound(qudo);
  return { qudo, id, told, job: (await qudo.jobs.get(id))! };
}

test("the jobs that replace it are there when it is done, and are told of", async () => {
  let ids: readonly string[] = [];
  const { qudo, told, job } = await ran(
    parentOf(async ({ replace }) => {
      ids = await replace([
        [child, 1],
        [child, 2, { delay: "1h", priority: 5 }],
      ]);
      ids = [...ids, ...(await replace([[child, 3]]))];
      return "replaced";
    }),
  );
  expect(job).toMatchObject({ state: "done", last: { result: "replaced" } });
  const children = await Promise.all(ids.map((id) => qudo.jobs.get(id)));
  expect(children).toMatchObject([
    { kind: "child", queue: "children", payload: 1, state: "pending", priority: 0 },
    { payload: 2, state: "pending", priority: 5 },
    { payload: 3, state: "pending" },
  ]);
  expect(told.map(({ id, kind, queue, status }) => [id, kind, queue, status])).toEqual(
    ids.map((id) => [id, "child", "children", "inserted"]),
  );
});

test("they are worked on at once by the worker that is there", async () => {
  const parent = parentOf(({ replace }) => replace([[child, 21, { id: CHILD }]]));
  const qudo = newQudo([parent, child]);
  await qudo.work();
  await qudo.enqueue(parent, null);
  expect(await childResult(qudo)).toBe(42);
});

const CHILD = "01a2056e-0fcc-7000-b73f-72fe5e0a14cb";

/** It may not be there yet. */
async function childResult(qudo: ReturnType<typeof newQudo>): Promise<unknown> {
  await until("the child is there", async () => (await qudo.jobs.get(CHILD)) !== null);
  return qudo.jobs.result(CHILD);
}

const ENDS: readonly (readonly [string, JobState, (job: JobContext) => unknown])[] = [
  [
    "throws after all",
    "failed",
    () => {
      throw new Error("after all");
    },
  ],
  ["snoozes", "pending", (job) => job.snooze("1h")],
  ["aborts", "abandoned", (job) => job.abort("no use")],
  ["dequeues its job", "cancelled", (job) => job.dequeue()],
];

test.each(ENDS)("a handler that %s leaves none", async (_, state, end) => {
  const { qudo, told, job } = await ran(
    parentOf(async (context) => {
      await context.replace([[child, 1]]);
      return end(context);
    }),
  );
  expect(job.state).toBe(state);
  expect(told).toEqual([]);
  expect(await qudo.monitor.counts({ kind: "child" })).toEqual([]);
});

test("a run that was cancelled meanwhile leaves none", async () => {
  const parent = parentOf(async ({ replace, id }) => {
    await replace([[child, 1]]);
    await qudo.jobs.cancel(id);
  });
  const qudo = newQudo([parent, child]);
  await qudo.enqueue(parent, null);
  const worker = await qudo.work({ queues: ["default"] });
  await until("it was lost", () => worker.stats.lost === 1);
  expect((await qudo.jobs.page({ kind: "child" })).jobs).toEqual([]);
  await worker.stop();
  await expectSound(qudo);
});

test("its unique key is handed over", async () => {
  const again: JobDefinition<unknown> = parentOf(({ replace }) =>
    replace([[again, null, { uniqueKey: "one", delay: "1h" }]]),
  );
  const { qudo, id, told } = await ran(again, { uniqueKey: "one" });
  expect(told.map(({ status }) => status)).toEqual(["inserted"]);
  const other = await qudo.enqueue(again, null, { uniqueKey: "one" });
  expect(other).toMatchObject({ status: "unique", holder: told[0]!.id });
  expect(told[0]!.id).not.toBe(id);
});

test("one whose key another has is not added, and the rest are", async () => {
  const parent = parentOf(({ replace }) =>
    replace([
      [child, 1, { uniqueKey: "taken" }],
      [child, 2],
    ]),
  );
  const qudo = newQudo([parent, child]);
  const { id: holder } = await qudo.enqueue(child, 0, { uniqueKey: "taken" });
  const statuses: string[] = [];
  qudo.on("enqueued", ({ kind, status }) => kind === "child" && statuses.push(status));
  const { id } = await qudo.enqueue(parent, null);
  const worker = await qudo.work({ queues: ["default"] });
  await until("it is told", () => statuses.length === 2);
  await worker.stop();
  expect(statuses).toEqual(["unique", "inserted"]);
  expect((await qudo.jobs.get(id))!.state).toBe("done");
  expect((await qudo.jobs.get(holder))!.state).toBe("pending");
  expect((await qudo.monitor.counts({ kind: "child" }))[0]!.pending).toBe(2);
});

test("what cannot be enqueued is refused at the call, and fails a handler that does not look", async () => {
  let error: Error & { code?: string } = new Error();
  const { job } = await ran(
    parentOf(async ({ replace }) => {
      error = await refused(replace([[child, 1, { priority: 1e9 }]]));
      void replace([
        [child, 1],
        [child, Number.NaN],
      ]);
    }),
  );
  expect(error.code).toBe("QUDO_INVALID_OPTION");
  expect(job.state).toBe("failed");
  expect(job.last!.error).toMatch(/QUDO_INVALID_(OPTION|PAYLOAD)/);
});

test("not together with completeIn", async () => {
  const errors: unknown[] = [];
  const { job } = await ran(
    parentOf(async (job) => {
      await job.replace([]);
      try {
        await job.completeIn({});
      } catch (error) {
        errors.push(error);
      }
    }),
  );
  expect(errors).toMatchObject([{ code: "QUDO_REPLACE_IN_TRANSACTION" }]);
  expect(job.state).toBe("done");
});

const prepare: Prepare = async (orders) => orders.map((one) => new Orders().prepare(one).job);

test("an end whose answer was lost is sent again, and adds nothing more", async () => {
  const parent = parentOf(({ replace }) =>
    replace([
      [child, 1, { delay: "1h" }],
      [child, 2, { delay: "1h" }],
    ]),
  );
  const bench = await newBench([parent, child]);
  const { id } = order("parent");
  await bench.driver.insertJobs([order("parent", { id })]);
  const told: unknown[] = [];
  let lost = 0;
  const trip: Driver["trip"] = async (asked) => {
    const outcome = await bench.driver.trip(asked);
    if (asked.settle.length > 0 && lost++ === 0) throw new Error("the answer was lost");
    return outcome;
  };
  const worker = bench.worker(
    {},
    { trip },
    { prepare, emit: listening(["enqueued"], (_, event) => told.push(event)) },
  );
  await until("it is done", () => worker.stats.done === 1);
  await worker.stop();
  expect(lost).toBeGreaterThan(1);
  expect(told).toMatchObject([{ status: "duplicate" }, { status: "duplicate" }]);
  const [lane] = await bench.driver.counts({ kind: "child" });
  expect(lane!.pending).toBe(2);
  expect(await bench.driver.audit()).toEqual([]);
});

test("reenqueue comes again at once, or after its delay, and costs no attempt", async () => {
  let runs = 0;
  const parent = parentOf(({ reenqueue }) => (++runs === 1 ? reenqueue() : reenqueue("1h")));
  const qudo = newQudo([parent]);
  const { id } = await qudo.enqueue(parent, null);
  const worker = await qudo.work();
  await until("it ran twice", () => worker.stats.snoozed === 2);
  await worker.stop();
  const attempts = await attemptsOf(qudo, id);
  expect(attempts.map(({ state }) => state)).toEqual(["snoozed", "snoozed"]);
  const { state, fails, run, runAt } = (await qudo.jobs.get(id))!;
  expect([state, fails, run]).toEqual(["pending", 0, 3]);
  expect(runAt.getTime() - attempts[1]!.endedAt.getTime()).toBe(3_600_000);
});

test("dequeue takes the job out: cancelled, and free of its key", async () => {
  const parent = parentOf(({ dequeue }) => dequeue());
  const { qudo, id, job } = await ran(parent, { uniqueKey: "one" });
  expect(job).toMatchObject({ state: "cancelled", fails: 0, last: { error: null, result: null } });
  expect((await qudo.enqueue(parent, null, { uniqueKey: "one" })).status).toBe("inserted");
  expect((await refused(qudo.jobs.result(id))).code).toBe("QUDO_JOB_FAILED");
  expect((await qudo.jobs.retry(id)).status).toBe("unique");
});
