/** Consuming a queue by hand: fetching, and every end that a task may come to. */
import { describe, expect, test } from "vitest";
import { defineJob, fixed, type Qudo, type StandardSchema, type Task } from "../../src/index.js";
import {
  attemptsOf,
  expectSound,
  newDatabase,
  newQudo,
  refused,
  silent,
  totals,
  tune,
  until,
} from "./support.js";

const page = defineJob("http.fetch", {
  queue: "http",
  maxAttempts: 2,
  backoff: fixed("1h"),
  run: (_: { n: number }) => undefined,
});

const quiet = () => ({ logger: silent() });

const enqueuePages = async (qudo: Qudo, n: number): Promise<string[]> =>
  (await qudo.enqueueMany(Array.from({ length: n }, (_, i) => [page, { n: i }] as const))).map(
    ({ id }) => id,
  );

/** The only task there is, fetched. */
async function oneTask(options: { start?: boolean } = {}) {
  const qudo = newQudo([page]);
  const [id] = await enqueuePages(qudo, 1);
  const tasks = qudo.queue("http", quiet());
  const [task] = await tasks.fetch();
  if (options.start === true) expect(await task!.start()).toBe(true);
  return { qudo, tasks, task: task!, id: id! };
}

const stateOf = async (qudo: Qudo, id: string): Promise<string | undefined> =>
  (await qudo.jobs.get(id))?.state;

const statesOf = async (qudo: Qudo, id: string): Promise<string[]> =>
  (await attemptsOf(qudo, id)).map(({ state }) => state);

describe("fetch", () => {
  test("reserves up to so many, in order, and leaves the others", async () => {
    const qudo = newQudo([]);
    const low = await enqueuePages(qudo, 3);
    const { id: high } = await qudo.enqueue(page, { n: 9 }, { priority: 5 });
    const tasks = qudo.queue("http", quiet());
    const [first, second] = await tasks.fetch(2);
    expect([first!.id, second!.id]).toEqual([high, low[0]]);
    expect(first).toMatchObject({ kind: "http.fetch", queue: "http", priority: 5, attempt: 1 });
    expect(first).toMatchObject({ run: 1, maxAttempts: 2, state: "reserved", active: true });
    expect(first!.payload).toEqual({ n: 9 });
    expect(first!.database).toBeNull();
    expect(first!.createdAt).toBeInstanceOf(Date);
    expect(first!.signal.aborted).toBe(false);
    expect(await totals(qudo)).toMatchObject({ reserved: 2, pending: 2 });
    // All that is there, where that is less.
    expect((await tasks.next(10)).map(({ id }) => id)).toEqual(low.slice(1));
    expect(`${first!}`).toBe(`http.fetch ${high} reserved, attempt 1 of 2`);
  });

  test("waits until there is one", async () => {
    const database = newDatabase();
    const qudo = newQudo([], database);
    const producer = newQudo([], database);
    const tasks = qudo.queue("http", quiet());
    let came: Task[] | null = null;
    const fetched = tasks.fetch(5).then((found) => (came = found));
    await until("its session is there", async () => (await qudo.monitor.workers()).length === 1);
    expect(came).toBeNull();
    const [id] = await enqueuePages(producer, 1);
    expect((await fetched).map((task) => task.id)).toEqual([id]);
  });

  test("waits for one that is due later, with nobody else to bring it on", async () => {
    const qudo = newQudo([]);
    const { id } = await qudo.enqueue(page, { n: 1 }, { delay: "300ms" });
    const tasks = qudo.queue("http", quiet());
    expect(await tasks.fetch(1, { timeout: 0 })).toEqual([]);
    expect((await tasks.fetch())[0]!.id).toBe(id);
  });

  test("with a time-out gives nothing when nothing comes, and takes what is there", async () => {
    const qudo = newQudo([]);
    const tasks = qudo.queue("http", quiet());
    expect(await tasks.fetch(1, { timeout: "20ms" })).toEqual([]);
    expect(await tasks.fetch(1, { timeout: 0 })).toEqual([]);
    const database = newDatabase();
    const other = newQudo([], database);
    await enqueuePages(other, 3);
    // Also by the very first look, for which the session has to be opened.
    const fresh = newQudo([], database).queue("http", quiet());
    expect(await fresh.fetch(2, { timeout: 0 })).toHaveLength(2);
    expect(await fresh.fetch(2, { timeout: 0 })).toHaveLength(1);
    expect(await fresh.fetch(2, { timeout: 0 })).toEqual([]);
  });

  test("takes what there is though nobody tells of it", async () => {
    // No poll, no wake-up from another process: a fetch looks by itself.
    tune({ pollMs: 600_000, lookFirstMs: 600_000, lookLastMs: 600_000 });
    const database = newDatabase();
    const qudo = newQudo([], database);
    const tasks = qudo.queue("http", quiet());
    expect(await tasks.fetch(1, { timeout: 0 })).toEqual([]);
    await enqueuePages(newQudo([], database), 1);
    expect(await tasks.fetch(1, { timeout: 0 })).toHaveLength(1);
  });

  test("ends with its signal's reason, and what comes later is for the next one", async () => {
    const qudo = newQudo([]);
    const tasks = qudo.queue("http", quiet());
    const aborting = new AbortController();
    const waiting = refused(tasks.fetch(1, { signal: aborting.signal }));
    await until("its session is there", async () => (await qudo.monitor.workers()).length === 1);
    aborting.abort(new Error("enough"));
    expect((await waiting).message).toBe("enough");
    expect((await refused(tasks.fetch(1, { signal: aborting.signal }))).message).toBe("enough");
    const [id] = await enqueuePages(qudo, 1);
    expect((await tasks.fetch())[0]!.id).toBe(id);
    expect(await statesOf(qudo, id!)).toEqual([]);
  });

  test("asked for by several at once serves who came first, and nobody twice", async () => {
    const qudo = newQudo([]);
    const tasks = qudo.queue("http", quiet());
    const waiting = [tasks.fetch(2), tasks.fetch(3), tasks.fetch(1)];
    const all = await enqueuePages(qudo, 6);
    const got = (await Promise.all(waiting)).map((found) => found.map(({ id }) => id));
    // Each waits for one at least, and takes what is there by then.
    const more = await tasks.fetch(6 - got.flat().length || 1, { timeout: 0 });
    expect([...got.flat(), ...more.map(({ id }) => id)].toSorted()).toEqual(all.toSorted());
    expect(got.map((found) => found.length > 0)).toEqual([true, true, true]);
    expect(got[0]![0]).toBe(all[0]);
  });

  test("leaves other queues alone, and takes whatever kind there is", async () => {
    const qudo = newQudo([]);
    const any = defineJob("unheard.of", { queue: "http", run: () => undefined });
    const { id } = await qudo.enqueue(any, "x");
    const { id: elsewhere } = await qudo.enqueue(page, { n: 1 }, { queue: "other" });
    const [task, ...rest] = await qudo.queue("http", quiet()).fetch(9);
    expect([task!.id, task!.kind, task!.payload]).toEqual([id, "unheard.of", "x"]);
    expect(rest).toEqual([]);
    expect(await stateOf(qudo, elsewhere)).toBe("pending");
    expect((await qudo.monitor.workers())[0]!.kinds).toEqual(["*"]);
  });

  test("with kinds takes those only", async () => {
    const qudo = newQudo([]);
    const other = defineJob("http.head", { queue: "http", run: () => undefined });
    const { id: head } = await qudo.enqueue(other, 1, { priority: 9 });
    const [id] = await enqueuePages(qudo, 1);
    const tasks = qudo.queue("http", { kinds: [page], ...quiet() });
    expect((await tasks.fetch(9)).map((task) => task.id)).toEqual([id]);
    expect(await tasks.fetch(1, { timeout: 0 })).toEqual([]);
    expect(await stateOf(qudo, head)).toBe("pending");
    expect((await qudo.monitor.workers())[0]!.kinds).toEqual(["http.fetch"]);
    const named = qudo.queue("http", { kinds: ["http.head"], ...quiet() });
    expect((await named.fetch(9)).map((task) => task.id)).toEqual([head]);
  });

  test("by many from one database gives each job to one of them", async () => {
    const database = newDatabase();
    const all = await enqueuePages(newQudo([], database), 150);
    const queues = [1, 2, 3].map(() => newQudo([], database).queue("http", quiet()));
    const seen: string[] = [];
    const consume = async (from: (typeof queues)[number]): Promise<void> => {
      for (;;) {
        const found = await from.fetch(7, { timeout: 0 });
        if (found.length === 0) return;
        for (const task of found) {
          seen.push(task.id);
          expect(await task.finish()).toBe(true);
        }
      }
    };
    await Promise.all([...queues, ...queues].map(consume));
    expect(seen.toSorted()).toEqual(all.toSorted());
    const qudo = newQudo([], database);
    expect(await totals(qudo)).toMatchObject({ done: 150, pending: 0, reserved: 0 });
    await expectSound(qudo);
  });

  test("of one that cannot be read, or that its schema refuses, fails that one only", async () => {
    const even: StandardSchema<number> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value) =>
          (value as number) % 2 === 0
            ? { value: (value as number) * 10 }
            : { issues: [{ message: "odd" }] },
      },
    };
    const loose = defineJob("sum", { queue: "sums", run: (_: number) => undefined });
    const strict = defineJob("sum", { queue: "sums", payload: even, run: () => undefined });
    const qudo = newQudo([]);
    const { id: odd } = await qudo.enqueue(loose, 3);
    const { id } = await qudo.enqueue(loose, 4);
    const tasks = qudo.queue("sums", { kinds: [strict], ...quiet() });
    const [task] = await tasks.fetch(1);
    expect([task!.id, task!.payload]).toEqual([id, 40]);
    await until("the other one has failed", async () => (await stateOf(qudo, odd)) === "failed");
    expect((await qudo.jobs.get(odd))!.last!.error).toContain("odd");
  });

  test("of a large payload fetches it", async () => {
    const qudo = newQudo([]);
    const big = "x".repeat(200_000);
    await qudo.enqueueMany([
      [page, { n: 1 }],
      [page, big as never],
      [page, { n: 2 }],
    ]);
    const found = await qudo.queue("http", quiet()).fetch(3);
    expect(found.map(({ payload }) => payload)).toEqual([{ n: 1 }, { n: 2 }, big]);
  });
});

describe("a task", () => {
  test("that is started and finished is done, with its result, its times and its worker", async () => {
    const { qudo, tasks, task, id } = await oneTask();
    expect(await stateOf(qudo, id)).toBe("reserved");
    expect(await task.start()).toBe(true);
    expect(await task.start()).toBe(true);
    expect(task.state).toBe("running");
    expect(await qudo.jobs.get(id)).toMatchObject({ state: "running" });
    const [session] = await qudo.monitor.workers();
    expect(await task.finish({ bytes: 7 })).toBe(true);
    expect([task.state, task.active]).toEqual(["done", false]);
    const [attempt] = await attemptsOf(qudo, id);
    expect(attempt).toMatchObject({ state: "done", result: { bytes: 7 }, worker: session!.id });
    expect(attempt!.startedAt!.getTime()).toBeLessThanOrEqual(attempt!.endedAt.getTime());
    expect(await tasks.fetch(1, { timeout: 0 })).toEqual([]);
    await expectSound(qudo);
  });

  test("may be finished without being started: then it never was", async () => {
    const { qudo, task, id } = await oneTask();
    expect(await task.finish()).toBe(true);
    expect((await attemptsOf(qudo, id))[0]).toMatchObject({ state: "done", startedAt: null });
  });

  test("that failed is tried again after its kind's backoff, and abandoned after the last attempt", async () => {
    const { qudo, task, tasks, id } = await oneTask({ start: true });
    expect(await task.fail(new Error("no route"))).toBe(true);
    expect(task.state).toBe("failed");
    const failed = (await qudo.jobs.get(id))!;
    expect(failed).toMatchObject({ state: "failed", fails: 1 });
    expect(failed.last!.error).toContain("no route");
    const waits = failed.runAt.getTime() - failed.last!.endedAt.getTime();
    expect(waits).toBe(3_600_000);
    // The last attempt.
    const { id: next } = await qudo.enqueue(page, { n: 2 }, { maxAttempts: 1 });
    const [last] = await tasks.fetch();
    expect(last!.id).toBe(next);
    expect(await last!.fail("given up")).toBe(true);
    expect(last!.state).toBe("abandoned");
    expect(await stateOf(qudo, next)).toBe("abandoned");
    await expectSound(qudo);
  });

  test("of a kind that nobody defined waits as jobs do by default", async () => {
    const qudo = newQudo([]);
    const { id } = await qudo.enqueue(page, { n: 1 });
    const [task] = await qudo.queue("http", quiet()).fetch();
    await task!.fail(new Error("once"));
    const { runAt, last } = (await qudo.jobs.get(id))!;
    expect(runAt.getTime() - last!.endedAt.getTime()).toBe(60_000);
  });

  test("that is released stands where it stood, at no cost", async () => {
    const qudo = newQudo([]);
    const [first, second] = await enqueuePages(qudo, 2);
    const tasks = qudo.queue("http", quiet());
    const [task] = await tasks.fetch();
    await task!.start();
    expect(await task!.release()).toBe(true);
    expect(task!.state).toBe("released");
    expect(await qudo.jobs.get(first!)).toMatchObject({ state: "pending", fails: 0, run: 2 });
    expect((await tasks.fetch(2)).map(({ id, run }) => [id, run])).toEqual([
      [first, 2],
      [second, 1],
    ]);
  });

  test("that is snoozed comes later, at no cost", async () => {
    const { qudo, task, id } = await oneTask({ start: true });
    expect(await task.snooze("1h")).toBe(true);
    expect(task.state).toBe("snoozed");
    const { state, fails, runAt, last } = (await qudo.jobs.get(id))!;
    expect([state, fails, last!.state]).toEqual(["pending", 0, "snoozed"]);
    expect(runAt.getTime() - last!.endedAt.getTime()).toBe(3_600_000);
    expect((await refused(task.snooze("soon" as never))).code).toBe("QUDO_INVALID_DURATION");
  });

  test("that is cancelled never comes again, and its key is free", async () => {
    const qudo = newQudo([]);
    const { id } = await qudo.enqueue(page, { n: 1 }, { uniqueKey: "one" });
    const [task] = await qudo.queue("http", quiet()).fetch();
    expect(await task!.cancel()).toBe(true);
    expect(task!.state).toBe("cancelled");
    expect(await stateOf(qudo, id)).toBe("cancelled");
    expect((await qudo.enqueue(page, { n: 1 }, { uniqueKey: "one" })).status).toBe("inserted");
    await expectSound(qudo);
  });

  test("ends once", async () => {
    const { qudo, task, id } = await oneTask({ start: true });
    const ends = [
      task.finish("first"),
      task.finish("second"),
      task.fail(new Error("third")),
      task.release(),
      task.cancel(),
      task.start(),
    ];
    expect(await Promise.all(ends)).toEqual([true, false, false, false, false, false]);
    expect(await task.refresh()).toBe("done");
    expect((await attemptsOf(qudo, id)).map(({ result }) => result)).toEqual(["first"]);
  });

  test("whose result cannot be stored stays in these hands", async () => {
    const { qudo, task, id } = await oneTask({ start: true });
    expect((await refused(task.finish({ at: new Map() }))).code).toBe("QUDO_INVALID_RESULT");
    expect(task.active).toBe(true);
    expect(await task.finish("plain")).toBe(true);
    expect(await statesOf(qudo, id)).toEqual(["done"]);
  });

  test("is released at the end of its block, unless something else has ended it", async () => {
    const qudo = newQudo([]);
    const [first, second] = await enqueuePages(qudo, 2);
    const tasks = qudo.queue("http", quiet());
    {
      const found = await tasks.fetch(2);
      await using kept = found[0]!;
      await using ended = found[1]!;
      await kept.start();
      await ended.finish();
    }
    expect(await statesOf(qudo, first!)).toEqual(["released"]);
    expect(await statesOf(qudo, second!)).toEqual(["done"]);
  });

  test("says how far it is, and what it did", async () => {
    const { qudo, task, id } = await oneTask({ start: true });
    task.progress({ percent: 40 });
    task.log("half way", "warn");
    expect(await task.refresh()).toBe("running");
    expect((await qudo.jobs.get(id))!.progress).toEqual({ percent: 40 });
    task.log("there");
    await task.finish();
    const lines = [];
    for await (const { level, text } of qudo.jobs.log(id)) lines.push([level, text]);
    expect(lines).toEqual([
      ["warn", "half way"],
      ["info", "there"],
    ]);
  });

  test("is told of by the events of runs", async () => {
    const qudo = newQudo([page]);
    const told: string[] = [];
    for (const name of ["started", "done", "failed", "released"] as const)
      qudo.on(name, ({ id }) => void told.push(`${name} ${id}`));
    const [a, b] = await enqueuePages(qudo, 2);
    const [one, two] = await qudo.queue("http", quiet()).fetch(2);
    expect(told).toEqual([]);
    await one!.start();
    await one!.finish();
    await two!.release();
    expect(told).toEqual([`started ${a}`, `done ${a}`, `released ${b}`]);
  });
});

describe("a kind's time-out", () => {
  const short = defineJob("short", { queue: "short", timeout: "60ms", run: () => undefined });

  test("counts from the start; the signal tells, and who finishes soon after is heard", async () => {
    const qudo = newQudo([short]);
    const { id } = await qudo.enqueue(short, 1);
    const [task] = await qudo.queue("short", quiet()).fetch();
    const { signal } = task!;
    await task!.start();
    await until("its time is up", () => signal.aborted);
    expect(signal.reason).toMatchObject({ code: "QUDO_JOB_TIMEOUT" });
    expect(await task!.finish("all the same")).toBe(true);
    expect(await statesOf(qudo, id)).toEqual(["done"]);
  });

  test("fails the task of whoever goes on", async () => {
    tune({ abortGraceMs: 30 });
    const qudo = newQudo([short]);
    const { id } = await qudo.enqueue(short, 1);
    const [task] = await qudo.queue("short", quiet()).fetch();
    await task!.start();
    await until("it has failed", async () => (await stateOf(qudo, id)) === "failed");
    expect((await qudo.jobs.get(id))!.last!.error).toContain("QUDO_JOB_TIMEOUT");
    expect(await task!.finish()).toBe(false);
    expect(task!.state).toBe("failed");
  });
});

describe("what cannot be", () => {
  test.each([
    ["a name that is none", (qudo: Qudo) => qudo.queue(""), "QUDO_INVALID_NAME"],
    [
      "an option that does not exist",
      (qudo: Qudo) => qudo.queue("http", { concurrency: 1 } as never),
      "QUDO_UNKNOWN_OPTION",
    ],
    ["no kinds at all", (qudo: Qudo) => qudo.queue("http", { kinds: [] }), "QUDO_INVALID_OPTION"],
    [
      "kinds that are none",
      (qudo: Qudo) => qudo.queue("http", { kinds: [7 as never] }),
      "QUDO_INVALID_OPTION",
    ],
    [
      "a lease that is too short",
      (qudo: Qudo) => qudo.queue("http", { lease: "10ms" }),
      "QUDO_INVALID_OPTION",
    ],
    ["too few", (qudo: Qudo) => qudo.queue("http").fetch(0), "QUDO_INVALID_OPTION"],
    ["too many", (qudo: Qudo) => qudo.queue("http").next(1_001), "QUDO_INVALID_OPTION"],
    [
      "an option of fetch that does not exist",
      (qudo: Qudo) => qudo.queue("http").fetch(1, { wait: 1 } as never),
      "QUDO_UNKNOWN_OPTION",
    ],
    [
      "a signal that is none",
      (qudo: Qudo) => qudo.queue("http").fetch(1, { signal: 5 as never }),
      "QUDO_INVALID_OPTION",
    ],
    [
      "a time-out that is none",
      (qudo: Qudo) => qudo.queue("http").fetch(1, { timeout: "soon" }),
      "QUDO_INVALID_DURATION",
    ],
    [
      "an option of a message that does not exist",
      (qudo: Qudo) => qudo.queue("http").addMsg(1, { queue: "other" } as never),
      "QUDO_UNKNOWN_OPTION",
    ],
    [
      "a message that is none",
      (qudo: Qudo) => qudo.queue("http").removeMsg(undefined as never),
      "QUDO_INVALID_OPTION",
    ],
  ])("%s is refused", async (_, call, code) => {
    const qudo = newQudo([]);
    const error = await refused((async () => call(qudo))());
    expect(error.code).toBe(code);
    expect(await qudo.monitor.workers()).toEqual([]);
  });
});
