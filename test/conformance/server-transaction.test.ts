/** The user's own transaction on servers: what it ends, whom it holds up, and what is proved of SQLite's in transaction.test.ts. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { afterFailure, afterSuccess } from "../../src/core/outcome.js";
import type { NewJob } from "../../src/storage/driver.js";
import type { ServerDriver } from "../../src/storage/sql/driver.js";
import { newJob } from "../../src/testing/conformance/harness.js";
import { settlement, TestWorker, type HeldJob } from "../../src/testing/conformance/worker.js";
import { has } from "../servers/index.js";
import { openUserSide, type ServerKind, type User, type UserSide } from "./support/user.js";

const ORDER = "insert into orders values (1)";

async function failure(call: unknown): Promise<Error & { code?: string }> {
  try {
    await call;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was accepted");
}

const kinds: ServerKind[] = ["postgres", "mariadb"];
const here = await Promise.all(kinds.map((kind) => has(kind)));

describe.each(kinds.filter((_, i) => here[i]))("%s", (kind) => {
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

  const states = async (...jobs: readonly (NewJob | HeldJob)[]): Promise<(string | undefined)[]> =>
    (await driver.getJobs(jobs.map((job) => ("id" in job ? job.id : job.job)))).map(
      (row) => row?.state,
    );
  const orders = async () => (await user.run("select n from orders")).length;
  const events = async (): Promise<string[]> =>
    (await driver.tally(0)).map(({ event, n }) => `${event} ${n}`).toSorted();

  describe("enqueue", () => {
    test("commits with the user's row, and nobody sees it before", async () => {
      const job = newJob();
      await user.run("begin");
      await user.run(ORDER);
      expect(await user.inside.insertJobs([job])).toEqual([{ status: "inserted" }]);
      expect(await states(job)).toEqual([undefined]);
      expect(await driver.audit()).toEqual([]);
      await user.run("commit");
      expect([await orders(), await states(job)]).toEqual([1, ["pending"]]);
      expect(await events()).toEqual(["enqueued 1"]);
      const worker = await TestWorker.open(driver);
      expect((await worker.claimOne()).job).toBe(job.id);
    });

    test("holds nobody up: others enqueue, claim, settle and count in the same lane meanwhile", async () => {
      await driver.insertJobs([newJob()]);
      const worker = await TestWorker.open(driver);
      const [before] = await worker.claim();
      const [mine, theirs] = [newJob(), newJob({ delayMs: 60_000 })];
      await user.run("begin");
      expect(await user.inside.insertJobs([mine])).toEqual([{ status: "inserted" }]);
      const other = await side.connect();
      await other.run("begin");
      expect(await other.inside.insertJobs([theirs])).toEqual([{ status: "inserted" }]);
      const own = newJob();
      expect(await driver.insertJobs([own])).toEqual([{ status: "inserted" }]);
      expect(await worker.done(before!)).toBe("accepted");
      const held = await worker.claimOne();
      expect(held.job).toBe(own.id);
      expect(await worker.fail(held, 60_000)).toBe("accepted");
      expect(await driver.promote(10)).toMatchObject({ moved: 0 });
      await other.run("commit");
      await user.run("commit");
      expect(await states(mine, theirs, own)).toEqual(["pending", "pending", "failed"]);
      expect(await events()).toEqual(["done 1", "enqueued 4", "failed 1"]);
    });

    test.each(["commit", "rollback"])(
      "waits for a key that another open transaction has taken, and is told after its %s",
      async (last) => {
        await driver.insertJobs([newJob()]);
        const [theirs, mine] = [newJob({ uniqueKey: "k" }), newJob({ uniqueKey: "k" })];
        const other = await side.connect();
        await other.run("begin");
        await other.inside.insertJobs([theirs]);
        await user.run("begin");
        const waiting = user.inside.insertJobs([mine]);
        let waits = true;
        void Promise.resolve(waiting).finally(() => (waits = false));
        // Other keys are free meanwhile.
        const free = await driver.insertJobs([newJob({ uniqueKey: "l" })]);
        expect([free, waits]).toEqual([[{ status: "inserted" }], true]);
        await other.run(last);
        const [outcome] = await waiting;
        await user.run("commit");
        if (last === "commit") expect(outcome).toEqual({ status: "unique", holder: theirs.id });
        else expect(outcome).toEqual({ status: "inserted" });
        const there = last === "commit" ? ["pending", undefined] : [undefined, "pending"];
        expect(await states(theirs, mine)).toEqual(there);
      },
    );

    test("waits for an id that another open transaction inserts, and then calls it a duplicate", async () => {
      const job = newJob();
      const other = await side.connect();
      await other.run("begin");
      await other.inside.insertJobs([job]);
      await user.run("begin");
      await user.run(ORDER);
      const fresh = newJob();
      const waiting = user.inside.insertJobs([job, fresh]);
      await other.run("commit");
      expect(await waiting).toEqual([{ status: "duplicate" }, { status: "inserted" }]);
      await user.run("commit");
      expect([await orders(), await states(job, fresh)]).toEqual([1, ["pending", "pending"]]);
      expect(await events()).toEqual(["enqueued 2"]);
    });

    test("a lane that rolls back is forgotten; the same transaction can be tried again", async () => {
      const job = newJob({ kind: "never seen before" });
      await user.run("begin");
      await user.inside.insertJobs([job]);
      await user.run("rollback");
      await driver.insertJobs([newJob({ kind: "takes the number of that lane" })]);
      await user.run("begin");
      expect(await user.inside.insertJobs([job])).toEqual([{ status: "inserted" }]);
      await user.run("commit");
      expect((await driver.getJobs([job.id]))[0]?.kind).toBe("never seen before");
    });

    test("what others committed after its snapshot is told, or the transaction has to be repeated", async () => {
      await user.run(
        kind === "postgres" ? "begin isolation level repeatable read" : "start transaction",
      );
      await user.run("select * from orders");
      const holder = newJob({ kind: "new to it", uniqueKey: "k" });
      await driver.insertJobs([holder]);
      const attempt = user.inside.insertJobs([
        holder,
        newJob({ kind: "new to it", uniqueKey: "k" }),
        newJob({ kind: "new to it" }),
      ]);
      if (kind === "postgres") {
        expect((await failure(attempt)).code).toBe("40001");
        await user.run("rollback");
        return;
      }
      expect(await attempt).toEqual([
        { status: "duplicate" },
        { status: "unique", holder: holder.id },
        { status: "inserted" },
      ]);
      await user.run("commit");
      expect(await driver.counts({ kind: "new to it" })).toMatchObject([{ pending: 2 }]);
    });

    test("an id that ended before, with a key, takes no key", async () => {
      const job = newJob({ uniqueKey: "k" });
      await user.run("begin");
      // A snapshot in which the job does not exist.
      if (kind === "mariadb") await user.run("select * from orders");
      await driver.insertJobs([job]);
      await driver.cancel([job.id]);
      expect(await user.inside.insertJobs([job])).toEqual([{ status: "duplicate" }]);
      await user.run("commit");
      expect(await driver.insertJobs([newJob({ uniqueKey: "k" })])).toEqual([
        { status: "inserted" },
      ]);
    });

    test("is all or nothing: a call that fails leaves what was there before it", async () => {
      const [before, half] = [newJob(), newJob({ kind: "new" })];
      await user.run("begin");
      await user.inside.insertJobs([before]);
      const broken = { ...newJob(), id: "no id" };
      await failure(user.inside.insertJobs([half, half, broken]));
      if (kind === "postgres") expect((await failure(user.run(ORDER))).code).toBe("25P02");
      else await user.run(ORDER);
      await user.run("commit");
      const there = kind === "postgres" ? undefined : "pending";
      expect(await states(before, half)).toEqual([there, undefined]);
      expect(await driver.counts({ kind: "new" })).toEqual([]);
    });

    test("without an open transaction is refused", async () => {
      const error = await failure(user.inside.insertJobs([newJob()]));
      expect(error).toMatchObject({ name: "InvalidInputError", code: "QUDO_NO_TRANSACTION" });
      expect(await driver.counts({})).toEqual([]);
    });

    test("in a transaction that has failed, or on a connection that is closed, the library's own error is thrown", async () => {
      if (kind === "postgres") {
        await user.run("begin");
        await failure(user.run("select 1 / 0"));
        expect((await failure(user.inside.insertJobs([newJob()]))).code).toBe("25P02");
        await user.run("rollback");
      }
      const gone = await side.connect();
      await gone.end();
      expect((await failure(gone.inside.insertJobs([newJob()]))).name).toBe("Error");
    });

    if (kind === "mariadb")
      test.each([
        [{ charset: "LATIN1_SWEDISH_CI" }, "set sql_mode = ''"],
        [{}, "set sql_mode = 'NO_BACKSLASH_ESCAPES'"],
        [{}, "set sql_mode = 'ANSI,STRICT_ALL_TABLES'"],
        [{}, "set sql_mode = 'PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH'"],
      ])(
        "whatever the connection is set to, texts arrive as they are: %j, %s",
        async (options, mode) => {
          const odd = await side.connect(options);
          await odd.run(mode);
          const text = `\\' or 1=1 -- " 名 👋 é \0\n ? :x`;
          const job = newJob({
            queue: "é'\\",
            kind: "名",
            uniqueKey: text,
            payload: { codec: 1, text: JSON.stringify(text), bin: null },
          });
          for (let i = 0; i < 2; i++) {
            await odd.run("start transaction");
            await odd.inside.insertJobs([i === 0 ? job : newJob({ queue: "é'\\", kind: "名" })]);
            await odd.run("commit");
          }
          const [row] = await driver.getJobs([job.id]);
          expect(row).toMatchObject({ queue: "é'\\", kind: "名", uniqueKey: text });
          expect(JSON.parse(row!.payload.text!)).toBe(text);
          expect(await driver.counts({})).toHaveLength(1);
        },
      );
  });

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

  describe("complete", () => {
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
      expect(await driver.insertJobs([newJob({ uniqueKey: "u" })])).toEqual([
        { status: "inserted" },
      ]);
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
});
