/** Enqueueing in the user's own transaction on servers: what is there when, and whom it holds up. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { NewJob } from "../../src/storage/driver.js";
import type { ServerDriver } from "../../src/storage/sql/driver.js";
import { newJob } from "../../src/testing/conformance/harness.js";
import { TestWorker } from "../../src/testing/conformance/worker.js";
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

  const states = (...jobs: readonly NewJob[]) => statesOf(driver, ...jobs.map(({ id }) => id));
  const orders = async () => (await user.run("select n from orders")).length;
  const events = () => eventsOf(driver);

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
    expect(await driver.insertJobs([newJob({ uniqueKey: "k" })])).toEqual([{ status: "inserted" }]);
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
