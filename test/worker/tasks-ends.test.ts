/** Consuming a queue by hand: every end that a task may come to, and what it says before that. */
import { describe, expect, test } from "vitest";
import { defineJob, fixed, type Qudo } from "../../src/index.js";
import { attemptsOf, expectSound, newQudo, refused, silent, tune, until } from "./support.js";

const page = defineJob("http.fetch", {
  queue: "http",
  maxAttempts: 2,
  backoff: fixed("1h"),
  run: (_n: { n: number }) => undefined,
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

describe("jobs in the place of a task", () => {
  test("are there when it is finished, and never were when it is not", async () => {
    const next = defineJob("next", { queue: "next", run: (_n: number) => undefined });
    const qudo = newQudo([]);
    await enqueuePages(qudo, 2);
    const [one, other] = await qudo.queue("http", quiet()).fetch(2);
    const ids = await one!.replace([
      [next, 1],
      [next, 2],
    ]);
    await other!.replace([[next, 3]]);
    expect(await stateOf(qudo, ids[0]!)).toBeUndefined();
    expect(await one!.finish()).toBe(true);
    expect(await other!.fail(new Error("no"))).toBe(true);
    expect(await qudo.jobs.get(ids[1]!)).toMatchObject({ kind: "next", payload: 2 });
    expect(await qudo.queue("next", quiet()).fetch(9)).toHaveLength(2);
    await expectSound(qudo);
  });
});
