/** The user's own transaction, on real files: what is enqueued or completed in it commits and rolls back with the user's rows. */
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { afterFailure, afterSuccess } from "../../src/core/outcome.js";
import type { Driver } from "../../src/storage/driver.js";
import { openTransaction } from "../../src/storage/open.js";
import { openSqlite, type HandleLike } from "../../src/storage/sqlite/index.js";
import { newJob } from "../../src/testing/conformance/harness.js";
import { settlement, TestWorker, type HeldJob } from "../../src/testing/conformance/worker.js";
import { openHandle } from "./support/handle.js";

let folder: string;
let path: string;
let driver: Driver;
let db: HandleLike;
const handles: HandleLike[] = [];

async function newHandle(file = path): Promise<HandleLike> {
  const handle = await openHandle(file);
  handles.push(handle);
  return handle;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "qudo-transaction-"));
  path = join(folder, "app.db");
  driver = await openSqlite({ path, busyDeadlineMs: 50 });
  await driver.migrate();
  db = await newHandle();
  db.exec("create table orders (id integer primary key) strict");
});

afterEach(async () => {
  expect(await driver.audit()).toEqual([]);
  await driver.close();
  for (const handle of handles.splice(0)) handle.close();
  rmSync(folder, { recursive: true });
});

const tx = (handle: unknown = db, file = path) => openTransaction(handle, `sqlite:${file}`);
const ORDER = "insert into orders default values";
const orders = (): number => (db.prepare("select id from orders").all() as unknown[]).length;
const states = async (...ids: string[]): Promise<(string | undefined)[]> =>
  (await driver.getJobs(ids)).map((row) => row?.state);

function refused(call: () => unknown): Error & { code?: string; transient?: boolean } {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was accepted");
}

describe("enqueue", () => {
  test("commits with the user's row, and nobody sees it before", async () => {
    const job = newJob();
    db.exec("begin immediate");
    db.exec(ORDER);
    expect(tx().insertJobs([job])).toEqual([{ status: "inserted" }]);
    expect(await states(job.id)).toEqual([undefined]);
    expect(await driver.audit()).toEqual([]);
    db.exec("commit");
    expect([orders(), await states(job.id)]).toEqual([1, ["pending"]]);
    const worker = await TestWorker.open(driver);
    expect((await worker.claimOne()).job).toBe(job.id);
  });

  test("rolls back with it, its lane too, and the same transaction can be tried again", async () => {
    const job = newJob({ kind: "never seen before" });
    db.exec("begin");
    tx().insertJobs([job]);
    db.exec("rollback");
    expect(await states(job.id)).toEqual([undefined]);
    await driver.insertJobs([newJob({ kind: "takes the number of that lane" })]);
    db.exec("begin");
    expect(tx().insertJobs([job])).toEqual([{ status: "inserted" }]);
    db.exec("commit");
    expect((await driver.getJobs([job.id]))[0]?.kind).toBe("never seen before");
  });

  test("goes with a savepoint of the user's, and leaves that transaction open", async () => {
    const [kept, gone] = [newJob(), newJob()];
    db.exec("begin immediate");
    tx().insertJobs([kept]);
    db.exec("savepoint mine");
    tx().insertJobs([gone]);
    db.exec("rollback to mine");
    db.exec("release mine");
    db.exec(ORDER);
    db.exec("commit");
    expect([orders(), await states(kept.id, gone.id)]).toEqual([1, ["pending", undefined]]);
  });

  test("without an open transaction is one of its own", async () => {
    const jobs = [newJob(), newJob({ delayMs: 60_000 })];
    expect(tx().insertJobs(jobs)).toEqual([{ status: "inserted" }, { status: "inserted" }]);
    expect(db.isTransaction).toBe(false);
    expect(await states(...jobs.map(({ id }) => id))).toEqual(["pending", "pending"]);
  });

  test("reports a unique key that is taken, and a known id, without harm to the transaction", async () => {
    const holder = newJob({ uniqueKey: "u" });
    await driver.insertJobs([holder]);
    db.exec("begin immediate");
    db.exec(ORDER);
    const fresh = newJob();
    expect(tx().insertJobs([newJob({ uniqueKey: "u" }), fresh, holder, fresh])).toEqual([
      { status: "unique", holder: holder.id },
      { status: "inserted" },
      { status: "duplicate" },
      { status: "duplicate" },
    ]);
    db.exec("commit");
    expect([orders(), await states(fresh.id)]).toEqual([1, ["pending"]]);
  });

  test("is all or nothing: a call that fails leaves what was there before it, and the transaction open", async () => {
    const before = newJob();
    db.exec("begin immediate");
    tx().insertJobs([before]);
    const broken = { ...newJob(), id: "no id" };
    const half = newJob();
    refused(() => tx().insertJobs([half, broken]));
    expect(db.isTransaction).toBe(true);
    db.exec("commit");
    expect(await states(before.id, half.id)).toEqual(["pending", undefined]);
    refused(() => tx().insertJobs([half, broken]));
    expect(db.isTransaction).toBe(false);
    expect(await states(half.id)).toEqual([undefined]);
  });

  test("behind another's write lock is refused as busy, says what to do, and writes nothing", async () => {
    db.exec("pragma busy_timeout=0");
    const other = await newHandle();
    other.exec("begin immediate");
    const job = newJob();
    db.exec("begin");
    const error = refused(() => tx().insertJobs([job]));
    expect(error).toMatchObject({ code: "QUDO_DATABASE_BUSY", transient: true });
    expect(error.message).toContain('"begin immediate"');
    db.exec("rollback");
    expect(refused(() => tx().insertJobs([job])).code).toBe("QUDO_DATABASE_BUSY");
    other.exec("rollback");
    expect(await states(job.id)).toEqual([undefined]);
  });
});

async function held(uniqueKey: string | null = null): Promise<[TestWorker, HeldJob]> {
  await driver.insertJobs([newJob({ uniqueKey })]);
  const worker = await TestWorker.open(driver);
  return [worker, await worker.claimOne()];
}

const events = async (): Promise<string[]> =>
  (await driver.tally(0)).map(({ event, n }) => `${event} ${n}`);

describe("complete", () => {
  const end = { elapsedMs: 5, result: '"it"' };

  test("ends the run with the user's rows, once, as its session's own", async () => {
    const [worker, run] = await held();
    await worker.start(run);
    db.exec("begin immediate");
    db.exec(ORDER);
    expect(tx().complete(run, end)).toBeUndefined();
    expect(await states(run.job)).toEqual(["running"]);
    db.exec("commit");
    expect(await states(run.job)).toEqual(["done"]);
    const last = (await driver.getJobs([run.job]))[0]!.last!;
    expect(last).toMatchObject({ state: "done", session: worker.session, result: '"it"' });
    expect(last.endedAt - last.startedAt!).toBe(5);
    // The lease and the running row wait for the worker.
    expect(await driver.audit()).toEqual([]);
    expect((await driver.sessions())[0]!.leases).toBe(1);
    expect(await worker.done(run)).toBe("accepted");
    expect((await driver.sessions())[0]!.leases).toBe(0);
  });

  test("keeps the unique key for the worker, who gives it up when it settles", async () => {
    const [worker, run] = await held("u");
    tx().complete(run, end);
    const rival = newJob({ uniqueKey: "u" });
    expect(await driver.insertJobs([rival])).toEqual([{ status: "unique", holder: run.job }]);
    const settled = {
      ...settlement(
        run,
        afterFailure(run, () => 0),
      ),
      completed: true,
    } as const;
    expect(await worker.settleAll(run.lease, [settled])).toEqual(["accepted"]);
    expect(await driver.insertJobs([rival])).toEqual([{ status: "inserted" }]);
    expect(await states(run.job)).toEqual(["done"]);
  });

  test("is counted with the user's commit, as an enqueue is", async () => {
    const [, run] = await held();
    db.exec("begin immediate");
    tx().complete(run, end);
    tx().insertJobs([newJob()]);
    db.exec("rollback");
    expect(await events()).toEqual(["enqueued 1"]);
    tx().complete(run, end);
    tx().insertJobs([newJob()]);
    expect((await events()).toSorted()).toEqual(["done 1", "enqueued 2"]);
  });

  test("rolls back with them: the run goes on, and can be settled as usual", async () => {
    const [worker, run] = await held();
    db.exec("begin immediate");
    db.exec(ORDER);
    tx().complete(run, end);
    db.exec("rollback");
    expect([orders(), await states(run.job)]).toEqual([0, ["reserved"]]);
    expect(await worker.fail(run)).toBe("accepted");
  });

  test("a heartbeat that comes before the settle gives up what was kept for it", async () => {
    const [worker, run] = await held("u");
    await worker.start(run);
    tx().complete(run, end);
    const [blocked] = await driver.insertJobs([newJob({ uniqueKey: "u" })]);
    expect(blocked).toEqual({ status: "unique", holder: run.job });
    expect((await worker.heartbeat(run)).fenced).toEqual([]);
    expect(await driver.audit()).toEqual([]);
    expect(await driver.insertJobs([newJob({ uniqueKey: "u" })])).toEqual([{ status: "inserted" }]);
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
    db.exec("begin immediate");
    db.exec(ORDER);
    expect(refused(() => tx().complete(stale, end))).toMatchObject({
      name: "RunLostError",
      code: "QUDO_RUN_LOST",
    });
    expect(db.isTransaction).toBe(true);
    db.exec("rollback");
    expect((await driver.listAttempts({ limit: 10 })).rows).toEqual(before);
  });

  test("twice in one transaction throws the second time", async () => {
    const [worker, run] = await held();
    db.exec("begin immediate");
    tx().complete(run, end);
    expect(refused(() => tx().complete(run, end)).code).toBe("QUDO_RUN_LOST");
    db.exec("commit");
    const all = [settlement(run, afterSuccess(run), end)];
    expect(await worker.settleAll(run.lease, all)).toEqual(["accepted"]);
  });
});

const wrong = (handle: unknown, file = path): string => {
  const error = refused(() => openTransaction(handle, `sqlite:${file}`));
  expect(error).toMatchObject({ name: "InvalidInputError", code: "QUDO_WRONG_DATABASE" });
  return error.message;
};

describe("which handle", () => {
  test.each([null, undefined, 7, "app.db", {}, { exec() {} }, { query() {} }])(
    "%j is none",
    (thing) => expect(wrong(thing)).toContain("no SQLite handle"),
  );

  test("a client that answers later is none", () => {
    const later = { exec() {}, prepare: () => ({ all: () => Promise.resolve([]) }) };
    expect(wrong(later)).toContain("at once");
  });

  test("a closed one is none", async () => {
    const closed = await openHandle(path);
    closed.close();
    expect(wrong(closed)).toContain("closed");
  });

  test("one on another file is refused, with both names", async () => {
    const other = join(folder, "other.db");
    const message = wrong(await newHandle(other));
    expect(message).toContain(other);
    expect(message).toContain(path);
  });

  test("one in memory is refused; of a queue in memory only its own handle will do", async () => {
    const memory = await newHandle(":memory:");
    expect(wrong(memory)).toContain("in memory");
    expect(wrong(memory, ":memory:")).toContain("in memory");
    expect(refused(() => openTransaction(db, { handle: memory })).message).toContain("in memory");
    const queue = await openSqlite({ path: "memory", handle: memory });
    await queue.migrate();
    const own = openTransaction(memory, { handle: memory });
    expect(own.insertJobs([newJob()])).toEqual([{ status: "inserted" }]);
  });

  test("the file counts, not its name: by a link, and for a queue on a handle", async () => {
    const link = join(folder, "link.db");
    symlinkSync(path, link);
    expect(tx(db, link).insertJobs([newJob()])).toEqual([{ status: "inserted" }]);
    const second = await newHandle();
    const own = openTransaction(db, { handle: second });
    expect(own.insertJobs([newJob()])).toEqual([{ status: "inserted" }]);
  });

  test("a file without qudo's tables is refused, and stays without", async () => {
    const bare = join(folder, "bare.db");
    const handle = await newHandle(bare);
    handle.exec("create table t (a)");
    const error = refused(() => tx(handle, bare).insertJobs([newJob()]));
    expect(error.code).toBe("QUDO_SCHEMA_MISSING");
    expect(error.message).toContain("await qudo.migrate()");
    expect(handle.prepare("select name from sqlite_master").all()).toEqual([{ name: "t" }]);
  });
});

/** Handles that tell of an open transaction in better-sqlite3's way, and not at all. */
const SHAPES: [string, (handle: HandleLike) => Partial<HandleLike>][] = [
  [
    "inTransaction",
    (handle) => ({
      get inTransaction() {
        return handle.isTransaction === true;
      },
    }),
  ],
  ["nothing", () => ({})],
];

describe.each(SHAPES)("a client that tells by %s", (_, tells) => {
  const shaped = (handle: HandleLike): HandleLike =>
    Object.defineProperties(
      {
        exec: (sql: string) => handle.exec(sql),
        prepare: (sql: string) => handle.prepare(sql),
        close: () => handle.close(),
      },
      Object.getOwnPropertyDescriptors(tells(handle)),
    );

  test("inside a transaction and without one", async () => {
    const handle = shaped(db);
    const [inside, outside] = [newJob(), newJob()];
    db.exec("begin");
    tx(handle).insertJobs([inside]);
    expect(db.isTransaction).toBe(true);
    db.exec("rollback");
    tx(handle).insertJobs([outside]);
    expect(db.isTransaction).toBe(false);
    expect(await states(inside.id, outside.id)).toEqual([undefined, "pending"]);
  });
});
