/** What operators and those who wait ask for, through the front door on a real file. */
import { describe, expect, test } from "vitest";
import { defineJob, jobsWith, Qudo, type JobFilter } from "../../src/index.js";
import { manualClock } from "../../src/testing/index.js";
import {
  closing,
  expectSound,
  gate,
  newPath,
  newQudo,
  refused,
  totals,
  tune,
  until,
} from "./support.js";

const note = defineJob("note", { queue: "mail", run: (_payload: unknown) => undefined });
const other = defineJob("other", { run: () => undefined });
const broken = defineJob("broken", {
  maxAttempts: 1,
  run: () => {
    throw new Error("as ever");
  },
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe("lists and bulk actions", () => {
  test("by state, queue, kind and time", async () => {
    const clock = manualClock(1_800_000_000_000);
    const databases = { url: `sqlite:${newPath()}`, clock };
    const qudo = closing(new Qudo({ databases }));
    const old = await qudo.enqueue(note, "old");
    clock.advance(7_200_000);
    const young = await qudo.enqueue(note, "young", { delay: "1d", priority: 2 });
    const another = await qudo.enqueue(other, 1);
    await qudo.jobs.cancel(another.id);
    const ids = async (filter: JobFilter): Promise<string[]> =>
      (await all(qudo.jobs.list(filter))).map(({ id }) => id);
    expect(await ids({ queue: "mail" })).toEqual([old.id, young.id]);
    expect(await ids({ kind: "other" })).toEqual([another.id]);
    expect(await ids({ state: ["pending", "done"] })).toEqual([old.id, young.id]);
    expect(await ids({ state: "cancelled" })).toEqual([another.id]);
    expect(await ids({ since: "1h", kind: "note" })).toEqual([young.id]);
    expect(await ids({ until: "1h" })).toEqual([old.id]);
    expect(await ids({ since: new Date(clock() - 7_200_000), until: new Date(clock()) })).toEqual([
      old.id,
    ]);
    const [job] = await all(qudo.jobs.list({ since: "1h", kind: "note" }));
    expect(job).toEqual(await qudo.jobs.get(young.id));
    expect(job).toMatchObject({ priority: 2, createdAt: new Date(clock()), payload: "young" });
  });

  test("cancelAll and retryAll: each job once, those that come meanwhile not at all", async () => {
    const qudo = newQudo([note, broken]);
    await qudo.enqueueMany(Array.from({ length: 2_300 }, (_, i) => [note, i] as const));
    await qudo.enqueueMany(Array.from({ length: 5 }, () => [other, 1] as const));
    expect(await qudo.jobs.cancelAll({ kind: "note" }, { dryRun: true })).toEqual({
      matched: 2_300,
      changed: 0,
      refused: {},
    });
    const enough = new AbortController();
    const producing = (async () => {
      // Before those that wait already, and after them.
      for (let i = 0; !enough.signal.aborted; i++)
        await qudo.enqueue(note, i, { priority: (i % 3) - 1 });
      await qudo.enqueue(note, "last");
    })();
    const cancelled = await qudo.jobs.cancelAll({ kind: "note" });
    enough.abort();
    await producing;
    expect(cancelled.matched).toBe(cancelled.changed);
    expect(cancelled.changed).toBeGreaterThanOrEqual(2_300);
    const left = (await totals(qudo))["pending"]! - 5;
    expect(left).toBeGreaterThan(0);
    const again = await qudo.jobs.retryAll({ kind: "note" });
    expect(again).toEqual({ matched: cancelled.changed, changed: cancelled.changed, refused: {} });
    expect(await totals(qudo)).toMatchObject({
      pending: cancelled.changed + left + 5,
      cancelled: 0,
    });
    expect(await qudo.jobs.retryAll({ state: "pending", kind: "other" })).toEqual({
      matched: 5,
      changed: 0,
      refused: { pending: 5 },
    });
    await expectSound(qudo);
  });

  test("retryAll wakes the workers here", async () => {
    let mended = false;
    const job = defineJob("mended", {
      maxAttempts: 1,
      run: () => {
        if (!mended) throw new Error("not yet");
        return "well";
      },
    });
    const qudo = newQudo([job]);
    await using worker = await qudo.work({ signals: false });
    const { id } = await qudo.enqueue(job, null);
    expect(await refused(qudo.jobs.result(id))).toMatchObject({
      reason: "attempts",
      message: expect.stringContaining("Error: not yet"),
    });
    mended = true;
    expect(await qudo.jobs.retryAll({ state: "abandoned" })).toMatchObject({ changed: 1 });
    expect(await qudo.jobs.result(id, { timeout: "10s" })).toBe("well");
    expect(worker.stats.abandoned).toBe(1);
  });
});

describe("results", () => {
  test("of a job that another process, or this one, has run", async () => {
    const echo = defineJob("echo", { run: (n: number) => ({ n }) });
    const path = newPath();
    const [here, there] = [newQudo([], path), newQudo([echo], path)];
    await there.work({ signals: false });
    const orders = await here.enqueueMany(Array.from({ length: 50 }, (_, i) => [echo, i] as const));
    const results = await Promise.all(orders.map((order) => order.result({ timeout: "10s" })));
    expect(results).toEqual(Array.from({ length: 50 }, (_, n) => ({ n })));
    // And of one that had ended long before.
    expect(await here.jobs.result(orders[7]!.id)).toEqual({ n: 7 });
  });

  test("where another job has the key, the holder's; of a hidden one too; of one that is cancelled none", async () => {
    const echo = defineJob("echo", { keep: 0, run: (n: number) => n });
    const qudo = newQudo([echo]);
    const holder = await qudo.enqueue(echo, 1, { uniqueKey: "k", delay: "50ms" });
    const second = await qudo.enqueue(echo, 2, { uniqueKey: "k" });
    expect(second).toMatchObject({ status: "unique", holder: holder.id });
    const unwanted = await qudo.enqueue(echo, 3);
    const none = refused(unwanted.result());
    expect(await qudo.jobs.cancel(unwanted.id)).toBe("cancelled");
    expect(await none).toMatchObject({ code: "QUDO_JOB_FAILED", state: "cancelled" });
    await qudo.work({ signals: false });
    expect(await second.result({ timeout: "10s" })).toBe(1);
    expect(await qudo.jobs.get(holder.id)).toBeNull();
    expect(await holder.result()).toBe(1);
    expect((await refused(qudo.jobs.result(second.id))).message).toContain("There is no job");
  });

  test("closing ends the wait", async () => {
    const qudo = newQudo([]);
    const wait = refused((await qudo.enqueue(note, 1)).result());
    await qudo.close();
    expect((await wait).code).toBe("QUDO_CLOSED");
  });
});

describe("handlers", () => {
  test("find the context of their Qudo", async () => {
    const { passed, open } = gate<unknown>();
    const job = jobsWith<{ n: number }>()("context", { run: (_, { context }) => open(context) });
    const context = { n: 1 };
    const databases = `sqlite:${newPath()}`;
    const qudo = closing(new Qudo({ databases, jobs: [job], context }));
    await qudo.work({ signals: false });
    await qudo.enqueue(job, null);
    expect(await passed).toBe(context);
  });

  test("write a log, which is read line by line; what a job hides is known of it", async () => {
    const talker = defineJob("talker", {
      redact: ["card"],
      run: (_payload: { card: string }, job) => {
        job.log("first");
        job.log("second", "warn");
      },
    });
    const qudo = newQudo([talker]);
    await qudo.work({ signals: false });
    const order = await qudo.enqueue(talker, { card: "4111" });
    await order.result({ timeout: "10s" });
    const lines = await all(qudo.jobs.log(order.id));
    expect(lines.map(({ run, seq, level, text }) => [run, seq, level, text])).toEqual([
      [1, 1, "info", "first"],
      [1, 2, "warn", "second"],
    ]);
    expect(lines[0]!.at).toBeInstanceOf(Date);
    expect(await all(qudo.jobs.log(order.id, { run: 2 }))).toEqual([]);
    expect(await qudo.jobs.get(order.id)).toMatchObject({ redact: ["card"], state: "done" });
  });

  test("complete their job in a transaction of their own", async () => {
    const { openHandle } = await import("../conformance/support/handle.js");
    const path = newPath();
    const db = await openHandle(path);
    const job = defineJob("pay", {
      run: (_, { completeIn }) => {
        db.exec("begin immediate");
        db.exec("create table if not exists paid (n integer)");
        db.exec("insert into paid values (1)");
        void completeIn(db, "paid");
        db.exec("commit");
      },
    });
    const qudo = newQudo([job], path);
    await qudo.work({ signals: false });
    expect(await (await qudo.enqueue(job, null)).result({ timeout: "10s" })).toBe("paid");
    expect(db.prepare("select count(*) as n from paid").get()).toMatchObject({ n: 1 });
  });
});

describe("upkeep", () => {
  test("a paused queue, or kind, is not worked on until it is resumed; then at once", async () => {
    const qudo = newQudo([note, other]);
    expect(await qudo.pause("mail")).toBe(true);
    expect(await qudo.pause("mail")).toBe(false);
    expect(await qudo.pause("default", { kind: "other" })).toBe(true);
    const [mail, plain] = await qudo.enqueueMany([
      [note, 1],
      [other, 1],
    ]);
    await using worker = await qudo.work({ signals: false });
    const free = await qudo.enqueue(note, 2, { queue: "default" });
    await free.result({ timeout: "10s" });
    expect(worker.stats.done).toBe(1);
    expect(await qudo.resume("mail", { kind: "note" })).toBe(false);
    expect(await qudo.resume("mail")).toBe(true);
    await mail!.result({ timeout: "10s" });
    expect(await qudo.resume("default", { kind: "other" })).toBe(true);
    await plain!.result({ timeout: "10s" });
    expect(worker.stats.done).toBe(3);
  });

  test("resume wakes the workers here", async () => {
    const { openHandle } = await import("../conformance/support/handle.js");
    // On one handle there is no other connection's write to be seen, and the next poll is far away.
    tune({ pollMs: 60_000 });
    const handle = await openHandle(newPath());
    const qudo = closing(new Qudo({ databases: { handle }, jobs: [note] }));
    await qudo.pause("mail");
    const order = await qudo.enqueue(note, 1);
    const worker = await qudo.work({ signals: false });
    await until("it has looked in vain", () => worker.stats.trips > 0);
    await qudo.resume("mail");
    await order.result({ timeout: "10s" });
  });

  test("prune: a dry run counts what the policy, a job's own word, or the times given would have deleted", async () => {
    const clock = manualClock();
    const databases = { url: `sqlite:${newPath()}`, clock };
    const keep = { other: "1h" };
    const qudo = closing(new Qudo({ databases, jobs: [note, broken], keep }));
    const worker = await qudo.work({ signals: false, prune: false });
    const orders = await qudo.enqueueMany([
      [note, 1],
      [note, 2],
      [note, 3, { keep: "20m" }],
      [broken, 1],
    ]);
    await Promise.all(orders.map((order) => order.result().catch(() => undefined)));
    await worker.stop();
    const waiting = await qudo.enqueue(note, "waits");
    expect(await qudo.prune()).toEqual({ jobs: 0, counts: 0 });
    expect(await qudo.prune({ done: 0, other: 0 })).toEqual({ jobs: 0, counts: 0 });
    clock.advance(1_200_000);
    expect(await qudo.jobs.get(orders[2]!.id)).toBeNull();
    expect(await qudo.prune({ dryRun: true })).toEqual({ jobs: 1, counts: 0 });
    expect(await qudo.prune({ done: "20m", dryRun: true })).toEqual({ jobs: 3, counts: 0 });
    expect(await qudo.prune()).toEqual({ jobs: 1, counts: 0 });
    clock.advance(2_400_000);
    expect(await qudo.prune()).toEqual({ jobs: 1, counts: 0 });
    expect(await totals(qudo)).toMatchObject({ done: 2, abandoned: 0, pending: 1 });
    const { jobs, counts } = await qudo.prune({ done: 0, counts: "5m" });
    expect(jobs).toBe(2);
    expect(counts).toBeGreaterThan(0);
    expect(await qudo.jobs.get(waiting.id)).toMatchObject({ state: "pending" });
    await expectSound(qudo);
  });

  test("tally tells what happened, by minutes that are Dates", async () => {
    const clock = manualClock(1_800_000_000_000);
    const qudo = closing(new Qudo({ databases: { url: `sqlite:${newPath()}`, clock } }));
    await qudo.enqueue(note, 1);
    clock.advance(60_000);
    const [{ id }] = (await qudo.enqueueMany([
      [note, 2],
      [note, 3],
    ])) as [{ id: string }, unknown];
    await qudo.jobs.cancel(id);
    const at = { queue: "mail", kind: "note" };
    const now = new Date(Math.floor(clock() / 60_000) * 60_000);
    const rows = await qudo.monitor.tally(0);
    expect(rows.toSorted((a, b) => (a.event < b.event ? -1 : 1))).toEqual([
      { ...at, minute: now, event: "cancelled", n: 1 },
      { ...at, minute: now, event: "enqueued", n: 2 },
    ]);
    const before = await qudo.monitor.tally(new Date(clock() - 60_000));
    expect(before.map(({ n }) => n).toSorted()).toEqual([1, 1, 2]);
  });

  test("of a job its worker, its progress and its start are told while it runs", async () => {
    const { passed, open } = gate();
    const job = defineJob("long", {
      run: async (_, { progress }) => {
        progress({ half: true });
        await passed;
      },
    });
    const qudo = newQudo([job]);
    await qudo.work({ signals: false });
    const order = await qudo.enqueue(job, null, { expiresAt: new Date(Date.now() + 60_000) });
    await until("it is shown", async () => {
      const info = await qudo.jobs.get(order.id);
      return info?.state === "running" && info.progress !== null;
    });
    const [session] = await qudo.monitor.workers();
    expect(await qudo.jobs.get(order.id)).toMatchObject({
      worker: session!.id,
      progress: { half: true },
      startedAt: expect.any(Date),
      expiresAt: expect.any(Date),
      timeout: null,
    });
    open();
    await order.result({ timeout: "10s" });
  });
});
