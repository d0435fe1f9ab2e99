/** Figures, what takes too long, what changed, the logs under their old names, and why a job is not running: as a user asks for them. */
import { describe, expect, test } from "vitest";
import { defineJob, fixed, type Change, type JobContext } from "../../src/index.js";
import { openDatabase } from "../../src/storage/open.js";
import { newId } from "../../src/storage/ids.js";
import { gate, newDatabase, newQudo, refused, silent, until } from "./support.js";

/** A job that tells of its progress, which shows it as running, and waits until it is let go. */
function held() {
  const [begun, go] = [gate(), gate()];
  const job = defineJob("held", {
    queue: "slow",
    run: async (_: null, job: JobContext) => {
      job.progress({ half: true });
      begun.open();
      await go.passed;
    },
  });
  return { job, begun, go };
}

const greet = defineJob("greet", { run: (payload: { i: number }) => Promise.resolve(payload.i) });
const fail = defineJob("fail", {
  backoff: fixed("1h"),
  run: (payload: { why: string }) => Promise.reject(new Error(payload.why)),
});
const giveUp = defineJob("give.up", {
  run: (_: null, job: JobContext) => job.abort("there is no such thing"),
});

const working = { signals: false, logger: silent(), concurrency: 1 };

async function all<Row>(rows: AsyncIterable<Row>): Promise<Row[]> {
  const found: Row[] = [];
  for await (const row of rows) found.push(row);
  return found;
}

/** Three of greet, two that failed, one given up: all ended, oldest first. */
async function ended(qudo: ReturnType<typeof newQudo>): Promise<void> {
  for (let i = 0; i < 3; i++) await qudo.enqueue(greet, { i });
  for (const why of ["first", "second"]) await qudo.enqueue(fail, { why }, { uniqueKey: why });
  await qudo.enqueue(giveUp, null);
  const worker = await qudo.work(working);
  await until(
    "all of them have ended",
    async () => (await qudo.attempts.page()).attempts.length === 6,
  );
  await worker.stop();
}

describe("figures", () => {
  test("say what runs, what waits, what is due, and what has not ended", async () => {
    const { job, begun, go } = held();
    const qudo = newQudo([job]);
    for (let i = 0; i < 3; i++) await qudo.enqueue(job, null);
    await qudo.enqueue(job, null, { delay: "1h" });
    const before = await qudo.monitor.figures();
    expect(before).toMatchObject({ running: 0, pending: 4, delayed: 1, outstanding: 4, load: 3 });
    expect(before.dueSince).toBeInstanceOf(Date);
    await qudo.work({ ...working, queues: { slow: 1 } });
    await begun.passed;
    await until("it is shown as running", async () => (await qudo.monitor.running()) === 1);
    const { reserved, ...figures } = await qudo.monitor.figures({ queue: "slow", kind: "held" });
    expect(figures).toMatchObject({ running: 1, delayed: 1, failed: 0, outstanding: 4, load: 3 });
    expect(figures.pending + reserved).toBe(3);
    expect(await qudo.monitor.outstanding()).toBe(4);
    expect(await qudo.monitor.load()).toBe(3);
    expect(await qudo.monitor.pending({ kind: "none" })).toBe(0);
    const [one, ...others] = await qudo.monitor.figuresByDatabase();
    expect([one!.database, one!.outstanding, others]).toEqual([null, 4, []]);
    expect(await qudo.jobCount()).toEqual([{ database: null, jobs: 4 }]);
    expect(await qudo.jobCount("held")).toEqual([{ database: null, jobs: 4 }]);
    expect(await qudo.jobCount(["none"])).toEqual([{ database: null, jobs: 0 }]);
    go.open();
    await until("what was let go has ended", async () => (await qudo.monitor.outstanding()) === 1);
    expect(await qudo.monitor.figures()).toMatchObject({ running: 0, load: 0, dueSince: null });
    // What has ended is not in them, and in the counts only where it is asked for.
    expect(await qudo.monitor.counts({ ended: false })).toMatchObject([{ pending: 1, done: 0 }]);
    expect(await qudo.monitor.counts()).toMatchObject([{ pending: 1, done: 3 }]);
  });
});

describe("what takes too long", () => {
  test("runs and waiting jobs, the longest first, as far as they are asked for", async () => {
    const { job, begun, go } = held();
    const qudo = newQudo([job]);
    const first = await qudo.enqueue(job, null, { priority: 1 });
    await qudo.work({ ...working, queues: { slow: 1 } });
    await begun.passed;
    const ids = [first.id];
    for (let i = 0; i < 3; i++) ids.push((await qudo.enqueue(greet, { i }, { queue: "none" })).id);
    await until("it is shown as running, and how far it is", async () => {
      const [shown] = await qudo.monitor.overdue({ longerThan: 0 });
      return shown !== undefined && shown.progress !== null;
    });
    const [run] = await qudo.monitor.overdue({ longerThan: 0 });
    expect(run).toMatchObject({ job: first.id, run: 1, kind: "held", queue: "slow" });
    expect(run!.progress).toEqual({ half: true });
    const [session] = await qudo.monitor.workers();
    expect(run!.worker).toBe(session!.id);
    expect(await qudo.monitor.overdue({ since: run!.startedAt })).toEqual([]);
    const after = new Date(run!.startedAt.getTime() + 1);
    expect(await qudo.monitor.overdue({ since: after, kinds: ["held"] })).toHaveLength(1);
    expect(await qudo.monitor.overdue({ since: after, kinds: ["greet"] })).toEqual([]);
    expect(await qudo.monitor.overdue({ longerThan: "1h" })).toEqual([]);
    await until(
      "all of them have been due for a while",
      async () => (await all(qudo.monitor.late({ longerThan: 0 }))).length === 3,
    );
    const waiting = await all(qudo.monitor.late({ longerThan: 0, queue: "none" }));
    expect(waiting.map(({ job }) => job)).toEqual(ids.slice(1));
    expect(waiting[0]).toMatchObject({ run: 1, kind: "greet", priority: 0, fails: 0, crashes: 0 });
    expect(await all(qudo.monitor.late({ longerThan: "1h" }))).toEqual([]);
    go.open();
  });

  test("what cannot be asked is refused by name", async () => {
    const qudo = newQudo([]);
    const both = { since: new Date(), longerThan: "1s" };
    for (const options of [{}, both, { longerThan: "soon" }, { longerThan: "1s", kinds: "mail" }])
      expect((await refused(qudo.monitor.overdue(options as object))).name).toBe(
        "InvalidInputError",
      );
    const unknown = { longerThan: "1s", limit: 1 } as object;
    expect((await refused(qudo.monitor.overdue(unknown))).message).toContain('no option "limit"');
    expect((await refused(all(qudo.monitor.late({})))).message).toContain(
      "monitor.late takes since",
    );
  });
});

describe("what changed", () => {
  test("ends, runs and due jobs, in the order of time, since a moment", async () => {
    const { job, begun, go } = held();
    const qudo = newQudo([job, greet]);
    const done = await qudo.enqueue(greet, { i: 1 });
    const running = await qudo.enqueue(job, null);
    await qudo.work({ ...working, queues: { slow: 1, default: 1 } });
    await begun.passed;
    await done.result();
    await until("it is shown as running", async () => (await qudo.monitor.running()) === 1);
    const due = await qudo.enqueue(greet, { i: 2 }, { queue: "nobody" });
    await qudo.enqueue(greet, { i: 3 }, { delay: "1h" });
    const changes = await all(qudo.monitor.changesSince("1h"));
    const told = changes.map(({ what, job }) => `${what} ${job}`);
    expect(told.toSorted()).toEqual(
      [`done ${done.id}`, `running ${running.id}`, `due ${due.id}`].toSorted(),
    );
    const times = changes.map(({ at }) => at.getTime());
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    const end = changes.find(({ what }) => what === "done")!;
    expect(end.attempt).toMatchObject({ job: done.id, state: "done", result: 1 });
    expect(changes.find(({ what }) => what === "running")!.worker).not.toBeNull();
    const after = new Date(changes.at(-1)!.at.getTime() + 1);
    expect(await all(qudo.monitor.changesSince(after))).toEqual([]);
    const only = await all(qudo.monitor.changesSince("1h", { queue: "nobody", kinds: ["greet"] }));
    expect(only.map(({ job }) => job)).toEqual([due.id]);
    go.open();
  });

  test("followed: each change once, as it happens, until the signal ends it", async () => {
    const qudo = newQudo([greet]);
    const controller = new AbortController();
    const seen: Change[] = [];
    const following = (async () => {
      const { signal } = controller;
      for await (const change of qudo.monitor.follow({ since: "1h", every: "10ms", signal })) {
        seen.push(change);
        if (seen.filter(({ what }) => what === "done").length === 20) controller.abort();
      }
    })();
    await qudo.work(working);
    const ids: string[] = [];
    for (let i = 0; i < 20; i++) ids.push((await qudo.enqueue(greet, { i })).id);
    await following;
    const done = seen.filter(({ what }) => what === "done").map(({ job }) => job);
    expect(done.toSorted()).toEqual(ids.toSorted());
    const keys = seen.map(({ what, job, run }) => `${what} ${job} ${run}`);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe("the log of runs", () => {
  test("pages: ten from the first one on, by offset, by cursor, from either end", async () => {
    const qudo = newQudo([greet]);
    for (let i = 0; i < 25; i++) await qudo.enqueue(greet, { i });
    await qudo.jobs.cancelAll({});
    const every = (await all(qudo.attempts.list())).map(({ job }) => job);
    expect(every).toHaveLength(25);
    const page = await qudo.attempts.page();
    expect(page.attempts.map(({ job }) => job)).toEqual(every.slice(0, 10));
    const next = await qudo.attempts.page({ after: page.next!, offset: 10 });
    expect(next.attempts.map(({ job }) => job)).toEqual(every.slice(20));
    expect(next.next).toBeNull();
    const newest = await qudo.attempts.page({ newestFirst: true, offset: 5, limit: 5 });
    expect(newest.attempts.map(({ job }) => job)).toEqual(every.toReversed().slice(5, 10));
    const some = await all(qudo.attempts.list({ limit: 7, offset: 3 }, 2));
    expect(some.map(({ job }) => job)).toEqual(every.slice(3, 10));
    expect(await all(qudo.attempts.list({ since: "1h", until: 0, kinds: ["none"] }))).toEqual([]);
    expect(await all(qudo.attempts.list({ until: "1h" }))).toEqual([]);
  });

  test("what no page can be is refused", async () => {
    const qudo = newQudo([]);
    for (const [options, message] of [
      [{ limit: 0 }, "limit is 0"],
      [{ limit: 1_001 }, "limit is 1001"],
      [{ offset: 10_001 }, "offset is 10001"],
      [{ states: ["well"] }, 'no run state "well"'],
      [{ kinds: "mail" }, 'kinds is "mail"; give a list'],
      [{ newest: true }, 'no option "newest"'],
      [{ after: "nowhere" }, "no cursor"],
    ] as const)
      expect((await refused(qudo.attempts.page(options as object))).message).toContain(message);
    const twice = { kinds: ["a"], funcs: ["a"] };
    for (const call of [qudo.exceptionList(twice), qudo.jobStatusList(twice)])
      expect((await refused(call)).message).toContain("kinds and funcs mean the same");
    expect((await refused(qudo.exceptionList({ states: [] } as object))).message).toContain(
      "exceptionList",
    );
  });
});

describe("the logs of older queues", () => {
  test("exceptions: kind, time, message, key, argument, and whether a new job was made of it", async () => {
    const database = newDatabase();
    const qudo = newQudo([greet, fail, giveUp], database);
    await ended(qudo);
    const list = await qudo.exceptionList();
    expect(list.map(({ kind, message }) => `${kind}: ${message}`)).toEqual([
      "fail: Error: first",
      "fail: Error: second",
      expect.stringContaining("give.up: "),
    ]);
    expect(list[0]).toMatchObject({
      run: 1,
      queue: "default",
      state: "failed",
      arg: { why: "first" },
      uniqueKey: "first",
      retried: false,
      retriedBy: null,
    });
    expect(list[0]!.at).toBeInstanceOf(Date);
    expect(list[0]!.error).toContain("\n    at ");
    expect(list[2]!.message).toContain("there is no such thing");
    const funcs = await qudo.exceptionList({ funcs: ["fail"], limit: 1, offset: 1 });
    expect(funcs.map(({ message }) => message)).toEqual(["Error: second"]);
    const newest = await qudo.exceptionList({ kinds: ["fail"], newestFirst: true });
    expect(newest.map(({ message }) => message)).toEqual(["Error: second", "Error: first"]);
    const driver = await openDatabase({ url: database });
    const { job, run } = list[2]!;
    const id = newId();
    expect(await driver.enqueueFromFailed([{ job, run, id }])).toEqual([{ status: "inserted" }]);
    await driver.close();
    const after = await qudo.exceptionList();
    expect(after.map(({ retried, retriedBy }) => [retried, retriedBy])).toEqual([
      [false, null],
      [false, null],
      [true, id],
    ]);
  });

  test("job status: completed, failed, abort; with argument, key, start and end", async () => {
    const qudo = newQudo([greet, fail, giveUp]);
    await ended(qudo);
    const list = await qudo.jobStatusList();
    expect(list.map(({ kind, status }) => `${kind} ${status}`)).toEqual(
      "greet completed,greet completed,greet completed,fail failed,fail failed,give.up abort".split(
        ",",
      ),
    );
    expect(list[4]).toMatchObject({ uniqueKey: "second", arg: { why: "second" }, state: "failed" });
    for (const { startedAt, endedAt } of list)
      expect(startedAt!.getTime()).toBeLessThanOrEqual(endedAt.getTime());
    expect(await qudo.jobStatusList({ limit: 2, offset: 5 })).toHaveLength(1);
    expect(await qudo.jobStatusList({ funcs: ["greet"], since: "1h" })).toHaveLength(3);
    expect(await qudo.jobStatusList({ until: "1h" })).toEqual([]);
  });
});

async function codes(qudo: ReturnType<typeof newQudo>, id: string): Promise<string[]> {
  return (await qudo.explain(id)).reasons.map(({ code }) => code);
}

describe("why a job is not running", () => {
  test("from its first moment to its end", async () => {
    const { job, begun, go } = held();
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, null);
    expect(await codes(qudo, id)).toEqual(["no_workers"]);
    await qudo.pause("slow");
    await qudo.pause("slow", { kind: "held" });
    expect(await codes(qudo, id)).toEqual(["queue_paused", "kind_paused", "no_workers"]);
    await qudo.work({ ...working, queues: { slow: 1 } });
    await until("the worker is there", async () => (await codes(qudo, id)).length === 2);
    expect(await codes(qudo, id)).toEqual(["queue_paused", "kind_paused"]);
    await qudo.resume("slow");
    await qudo.resume("slow", { kind: "held" });
    await begun.passed;
    await until("it is shown as running", async () => (await codes(qudo, id))[0] === "running");
    const { job: shown, at, reasons } = await qudo.explain(id.toUpperCase());
    expect([shown!.id, shown!.state, at]).toEqual([id, "running", expect.any(Date)]);
    expect(reasons[0]!.says).toMatch(/^the worker .* has run it for/);
    const next = await qudo.enqueue(job, null, { priority: 1 });
    const behind = await qudo.enqueue(job, null);
    expect((await codes(qudo, next.id))[0]).toMatch(/^(next|reserved)$/);
    const later = await qudo.enqueue(job, null, { delay: "1h" });
    expect(await codes(qudo, later.id)).toEqual(["delayed"]);
    go.open();
    await until("the last one is done", async () => (await codes(qudo, behind.id))[0] === "done");
    expect(await codes(qudo, id)).toEqual(["done"]);
  });

  test("a kind that nobody knows, a try that failed, one given up, one cancelled", async () => {
    const qudo = newQudo([greet, fail, giveUp]);
    await qudo.work({ ...working, queues: { default: 1, other: 1 } });
    const unknown = defineJob("unknown", { run: () => undefined });
    const { id } = await qudo.enqueue(unknown, null);
    await until(
      "nobody knows its kind",
      async () => (await codes(qudo, id))[0] === "no_worker_for_kind",
    );
    const { says } = (await qudo.explain(id)).reasons[0]!;
    expect(says).toContain("Known: fail, give.up, greet.");
    const failed = await qudo.enqueue(fail, { why: "refused" });
    await until("it has failed", async () => (await codes(qudo, failed.id))[0] === "backoff");
    expect((await qudo.explain(failed.id)).reasons[0]!.says).toContain("Error: refused");
    const given = await qudo.enqueue(giveUp, null);
    await until("it was given up", async () => (await codes(qudo, given.id))[0] === "abandoned");
    await qudo.jobs.cancel(id);
    expect(await codes(qudo, id)).toEqual(["cancelled"]);
  });

  test("how many come first, as far as that is counted", async () => {
    const qudo = newQudo([greet]);
    await qudo.work({ ...working, queues: { other: 1 } });
    const orders = Array.from({ length: 12 }, (_, i) => [greet, { i }] as const);
    await qudo.enqueueMany(orders);
    const { id } = await qudo.enqueue(greet, { i: 12 }, { priority: -1 });
    await until("others come first", async () => (await codes(qudo, id))[0] === "behind");
    expect((await qudo.explain(id)).reasons[0]!.says).toContain("12 jobs of the queue default");
  });

  test("one that is not there", async () => {
    const qudo = newQudo([]);
    expect(await refused(qudo.explain(newId()))).toMatchObject({ code: "QUDO_JOB_ABSENT" });
    expect(await refused(qudo.explain("x"))).toMatchObject({ code: "QUDO_INVALID_ID" });
  });
});
