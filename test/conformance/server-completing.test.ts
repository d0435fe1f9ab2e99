/** Completing a run in the user's own transaction on servers: the twin of what transaction.test.ts proves of SQLite. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { afterFailure, afterSuccess } from "../../src/core/outcome.js";
import type { ServerDriver } from "../../src/storage/sql/driver.js";
import { newJob } from "../../src/testing/conformance/harness.js";
import { settlement, TestWorker, type HeldJob } from "../../src/testing/conformance/worker.js";
import {
  describeServers,
  eventsOf,
  failure,
  openUserSide,
  statesOf,
  type User,
  type UserSide,
} from "./support/user.js";

const ORDER = "insert into orders values (1)";

describeServers((kind) => {
  let side: UserSide;
  let driver: ServerDriver;
  let user: User;

  beforeEach(async () => {
    side = await openUserSide(kind);
    ({ driver } = side);
    user = await side.connect();
  });
  afterEach(async () => {
    expect(await driver.audit()).toEqual([]);
    await side.close();
  });

  const states = (...jobs: readonly HeldJob[]) => statesOf(driver, ...jobs.map(({ job }) => job));
  const orders = async () => (await user.run("select n from orders")).length;
  const events = () => eventsOf(driver);

  const held = async (uniqueKey: string | null = null): Promise<[TestWorker, HeldJob]> => {
    await driver.insertJobs([newJob({ uniqueKey })]);
    const worker = await TestWorker.open(driver);
    return [worker, await worker.claimOne()];
  };
  const inTransaction = async (body: () => unknown, last = "commit"): Promise<void> => {
    await user.run("begin");
    await body();
    await user.run(last);
  };

  const end = { elapsedMs: 5, result: '"it"' };

  test("ends the run with the user's rows, once, as its session's own", async () => {
    const [worker, run] = await held();
    await worker.start(run);
    await user.run("begin");
    await user.run(ORDER);
    await user.inside.complete(run, end);
    expect(await states(run)).toEqual(["running"]);
    await user.run("commit");
    expect([await orders(), await states(run)]).toEqual([1, ["done"]]);
    const last = (await driver.getJobs([run.job]))[0]!.last!;
    expect(last).toMatchObject({ state: "done", session: worker.session, result: '"it"' });
    expect(last.endedAt - last.startedAt!).toBe(5);
    // The lease and the running row wait for the worker.
    expect((await driver.sessions())[0]!.leases).toBe(1);
    expect(await worker.done(run)).toBe("accepted");
    expect((await driver.sessions())[0]!.leases).toBe(0);
  });

  test("carries on the counters of the runs before", async () => {
    const [worker, first] = await held();
    await worker.fail(first);
    const second = await worker.claimOne();
    await inTransaction(() => user.inside.complete(second, end));
    const { rows } = await driver.listAttempts({ limit: 10 });
    expect(rows.map(({ run, state, fails }) => [run, state, fails])).toEqual([
      [1, "failed", 1],
      [2, "done", 1],
    ]);
  });

  test("keeps the unique key for the worker, who gives it up when it settles", async () => {
    const [worker, run] = await held("u");
    await inTransaction(() => user.inside.complete(run, end));
    const rival = newJob({ uniqueKey: "u" });
    expect(await driver.insertJobs([rival])).toEqual([{ status: "unique", holder: run.job }]);
    const failed = afterFailure(run, () => 0);
    const settled = { ...settlement(run, failed), completed: true } as const;
    expect(await worker.settleAll(run.lease, [settled])).toEqual(["accepted"]);
    expect(await driver.insertJobs([rival])).toEqual([{ status: "inserted" }]);
    expect(await states(run)).toEqual(["done"]);
  });

  test("is counted with the user's commit, as an enqueue is", async () => {
    const [, run] = await held();
    const body = async (): Promise<void> => {
      await user.inside.complete(run, end);
      await user.inside.insertJobs([newJob()]);
    };
    await inTransaction(body, "rollback");
    expect(await events()).toEqual(["enqueued 1"]);
    await inTransaction(body);
    expect(await events()).toEqual(["done 1", "enqueued 2"]);
  });

  test("rolls back with them: the run goes on, and can be settled as usual", async () => {
    const [worker, run] = await held();
    await user.run("begin");
    await user.run(ORDER);
    await user.inside.complete(run, end);
    await user.run("rollback");
    expect([await orders(), await states(run)]).toEqual([0, ["reserved"]]);
    expect(await worker.fail(run)).toBe("accepted");
  });

  test("goes back with a savepoint of the user's", async () => {
    const [, run] = await held();
    await user.run("begin");
    await user.run("savepoint mine");
    await user.inside.complete(run, end);
    await user.run("rollback to savepoint mine");
    await user.run(ORDER);
    await user.run("commit");
    expect([await orders(), await states(run)]).toEqual([1, ["reserved"]]);
  });

  test("a heartbeat that comes before the settle gives up what was kept for it", async () => {
    const [worker, run] = await held("u");
    await worker.start(run);
    await inTransaction(() => user.inside.complete(run, end));
    expect(await driver.insertJobs([newJob({ uniqueKey: "u" })])).toEqual([
      { status: "unique", holder: run.job },
    ]);
    expect((await worker.heartbeat(run)).fenced).toEqual([]);
    expect(await driver.insertJobs([newJob({ uniqueKey: "u" })])).toEqual([{ status: "inserted" }]);
  });

  test("while it is open its worker beats, and settles, starts and claims others, also of the same lease", async () => {
    await driver.insertJobs([newJob(), newJob(), newJob()]);
    const worker = await TestWorker.open(driver);
    const [mine, second, third] = await worker.claim();
    await user.run("begin");
    await user.inside.complete(mine!, end);
    expect(await worker.heartbeat(mine!, second!, third!)).toMatchObject({ alive: true });
    expect(await worker.start(third!)).toBe(true);
    const lines = [worker.line(1, "it goes on")];
    expect(await worker.report(second!, { progress: "1", lines })).toBe(true);
    expect(await worker.report(third!, { lines })).toBe(true);
    expect(await worker.done(second!)).toBe("accepted");
    await driver.insertJobs([newJob()]);
    const next = await worker.claimOne();
    expect(await worker.done(next)).toBe("accepted");
    expect(await worker.done(third!)).toBe("accepted");
    await user.run("commit");
    expect(await worker.done(mine!)).toBe("accepted");
    expect((await driver.sessions())[0]!.leases).toBe(0);
  });

  test("a cancel that comes while it is open waits for it, and finds the job ended", async () => {
    const [, run] = await held();
    await user.run("begin");
    await user.inside.complete(run, end);
    const cancelled = driver.cancel([run.job]);
    await user.run("commit");
    expect(await cancelled).toEqual(["already"]);
    expect(await states(run)).toEqual(["done"]);
  });

  test("a reaper passes by the lease of one that is open, and ends nothing that was completed", async () => {
    const [worker, run] = await held();
    await user.run("begin");
    await user.inside.complete(run, end);
    const dead = { id: worker.session, beat: 0, cause: "gone", leaseMs: 30_000 } as const;
    await driver.reap([dead]);
    await user.run("commit");
    expect(await driver.reap([dead])).toMatchObject([{ status: "reaped", decided: {} }]);
    expect(await states(run)).toEqual(["done"]);
  });

  const lost: [string, (worker: TestWorker, run: HeldJob) => Promise<HeldJob>][] = [
    ["was cancelled", async (_, run) => (await driver.cancel([run.job]), run)],
    ["was settled", async (worker, run) => (await worker.done(run), run)],
    ["was given back", async (worker, run) => (await worker.release(run), run)],
    ["is not in the lease", async (_, run) => ({ ...run, run: 2 })],
    ["has no such lease", async (_, run) => ({ ...run, lease: run.job })],
    ["is another session's", async (_, run) => ({ ...run, session: run.job })],
    [
      "was reaped",
      async ({ session }, run) => {
        await driver.reap([{ id: session, beat: 0, cause: "gone", leaseMs: 30_000 }]);
        return run;
      },
    ],
  ];

  test.each(lost)("throws where the run %s, and leaves the rest to the user", async (_, lose) => {
    const [worker, run] = await held();
    const stale = await lose(worker, run);
    const before = (await driver.listAttempts({ limit: 10 })).rows;
    await user.run("begin");
    await user.run(ORDER);
    expect(await failure(user.inside.complete(stale, end))).toMatchObject({
      name: "RunLostError",
      code: "QUDO_RUN_LOST",
    });
    // It has not failed: only the user decides that it rolls back.
    expect(await orders()).toBe(1);
    await user.run("rollback");
    expect((await driver.listAttempts({ limit: 10 })).rows).toEqual(before);
  });

  test("is lost also to a cancel that was quicker by a commit", async () => {
    const [, run] = await held();
    const other = await side.connect();
    await other.run("begin");
    await other.inside.complete(run, end);
    await user.run("begin");
    const second = failure(user.inside.complete(run, end));
    await other.run("commit");
    expect((await second).name).toBe("RunLostError");
    await user.run("rollback");
  });

  test("twice in one transaction throws the second time", async () => {
    const [worker, run] = await held();
    await user.run("begin");
    await user.inside.complete(run, end);
    expect((await failure(user.inside.complete(run, end))).name).toBe("RunLostError");
    await user.run("commit");
    const all = [settlement(run, afterSuccess(run), end)];
    expect(await worker.settleAll(run.lease, all)).toEqual(["accepted"]);
  });
});
