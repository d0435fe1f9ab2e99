/** job.completeIn: effects and outcome in the handler's own transaction, together or not at all. */
import { describe, expect, test } from "vitest";
import { defineJob, fixed, snooze, type JobContext } from "../../src/index.js";
import type { QudoEvents } from "../../src/core/events.js";
import { userTransaction } from "../../src/storage/sqlite/transaction.js";
import { listening } from "./listener.js";
import { gate, newBench, newPath, openHandle, order, until, type Bench } from "./support.js";

type Handle = ReturnType<typeof openHandle>;

/** A worker whose handlers get `handle`: a connection of the user's, with a table of effects. */
async function newUser(run: (job: JobContext<Handle>) => unknown) {
  const path = newPath();
  const job = defineJob("effect", {
    backoff: fixed("1h"),
    run: (_: unknown, context) => run(context as JobContext<Handle>),
  });
  const bench = await newBench([job], path);
  const handle = openHandle(path);
  handle.exec("pragma busy_timeout=2000; create table effect (n integer)");
  const { id } = order("effect");
  await bench.driver.insertJobs([order("effect", { id })]);
  const told: { name: string; event: unknown }[] = [];
  const worker = bench.worker(
    {},
    {},
    {
      context: handle,
      emit: listening(
        ["done", "failed", "abandoned", "released", "lost", "snoozed"],
        (name, event) => told.push({ name, event }),
      ),
      transaction: (of) => userTransaction(of, path),
    },
  );
  await until("it ended", () => told.length > 0);
  await worker.stop();
  expect(await bench.driver.audit()).toEqual([]);
  const effects = (handle.prepare("select count(*) n from effect").all() as { n: number }[])[0]!.n;
  handle.close();
  const [row] = await bench.driver.getJobs([id]);
  return { bench, id, worker, told, effects, row: row! };
}

const EFFECT = "insert into effect values (1)";

/** Completed in a transaction that is rolled back, and then this. */
const undone = (end: (job: JobContext<Handle>) => unknown) =>
  newUser((job) => {
    job.context.exec("begin immediate");
    void job.completeIn(job.context);
    job.context.exec("rollback");
    return end(job);
  });

describe("completeIn", () => {
  test("committed: done with its result, whatever the handler returns", async () => {
    const { worker, told, effects, row } = await newUser((job) => {
      job.context.exec("begin immediate");
      job.context.exec(EFFECT);
      void job.completeIn(job.context, { kept: true });
      job.context.exec("commit");
      return "ignored";
    });
    expect(row).toMatchObject({ state: "done", last: { result: '{"kept":true}', error: null } });
    expect(effects).toBe(1);
    expect(worker.stats).toMatchObject({ done: 1, failed: 0, lost: 0 });
    expect(told.map(({ name }) => name)).toEqual(["done"]);
  });

  test("committed: done, whatever the handler throws, also a wish", async () => {
    for (const thrown of [new Error("after it"), snooze("1s")]) {
      const { worker, told, row } = await newUser(({ context, completeIn }) => {
        context.exec("begin immediate");
        void completeIn(context);
        context.exec("commit");
        throw thrown;
      });
      expect(row).toMatchObject({ state: "done", last: { result: null } });
      expect(worker.stats).toMatchObject({ done: 1, snoozed: 0, failed: 0 });
      expect(told.map(({ name }) => name)).toEqual(["done"]);
    }
  });

  test("rolled back: the run failed, and says why", async () => {
    const { worker, told, effects, row } = await newUser((job) => {
      job.context.exec("begin immediate");
      job.context.exec(EFFECT);
      void job.completeIn(job.context, 1);
      job.context.exec("rollback");
      throw new TypeError("the reason");
    });
    expect(row).toMatchObject({ state: "failed", fails: 1 });
    expect(row.last!.error).toContain("QUDO_COMPLETE_ROLLED_BACK");
    expect(row.last!.error).toContain("TypeError: the reason");
    expect(effects).toBe(0);
    expect(worker.stats).toMatchObject({ done: 0, failed: 1 });
    expect(told).toMatchObject([{ name: "failed", event: { delayMs: 3_600_000 } }]);
    expect((told[0]!.event as QudoEvents["failed"]).error).toBe(row.last!.error);
  });

  test("rolled back without a word: failed too, and what the handler asks for stands", async () => {
    expect((await undone(() => "fine")).row).toMatchObject({ state: "failed" });
    expect((await undone((job) => job.abort("no use"))).row).toMatchObject({
      state: "abandoned",
      last: { reason: "aborted" },
    });
    expect((await undone((job) => job.snooze("1h"))).row).toMatchObject({
      state: "pending",
      last: { state: "snoozed" },
    });
  });

  test("of a run that was cancelled throws, and the run counts as lost", async () => {
    const cancelled = gate<Bench>();
    const started = gate<string>();
    const codes: unknown[] = [];
    const path = newPath();
    const job = defineJob("late", {
      run: async (_: unknown, { id, signal, completeIn, context }: JobContext) => {
        const handle = context as Handle;
        started.open(id);
        await cancelled.passed;
        handle.exec("begin immediate");
        handle.exec(EFFECT);
        try {
          await completeIn(handle, 1);
          handle.exec("commit");
        } catch (error) {
          handle.exec("rollback");
          codes.push((error as { code: string }).code, signal.aborted);
          throw error;
        }
      },
    });
    const bench = await newBench([job], path);
    const handle = openHandle(path);
    handle.exec("pragma busy_timeout=2000; create table effect (n integer)");
    await bench.driver.insertJobs([order("late")]);
    const worker = bench.worker(
      { lease: "1h" },
      {},
      { context: handle, transaction: (of) => userTransaction(of, path) },
    );
    await bench.driver.cancel([await started.passed]);
    cancelled.open(bench);
    await until("its end is lost", () => worker.stats.lost === 1);
    expect(codes).toEqual(["QUDO_RUN_LOST", true]);
    expect(handle.prepare("select * from effect").all()).toEqual([]);
    expect(worker.stats).toMatchObject({ done: 0, failed: 0, released: 0 });
    await worker.stop();
    expect(await bench.driver.audit()).toEqual([]);
    handle.close();
  });

  test("where the worker was given no way to do it is refused", async () => {
    const job = defineJob("asks", { run: (_: unknown, { completeIn }) => completeIn({}, 1) });
    const bench = await newBench([job]);
    const { id } = order("asks");
    await bench.driver.insertJobs([order("asks", { id })]);
    const worker = bench.worker();
    await until("it failed", () => worker.stats.failed === 1);
    expect((await bench.driver.getJobs([id]))[0]!.last!.error).toContain("QUDO_UNSUPPORTED");
  });
});
