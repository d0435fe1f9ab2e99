/** What follows when a hook throws, or does not go on as it must: row by row of docs/hooks.md, on a real database. */
import { describe, expect, test } from "vitest";
import { defineJob, EnqueuePartlyError, type Enqueued, type Hooks } from "../../src/index.js";
import { boom, setting, worked } from "./hooked.js";
import { attemptsOf, expectSound, gate, newQudo, refused } from "./support.js";

describe("one that throws", () => {
  test.each<[string, Hooks]>([
    ["preEnqueue", { preEnqueue: boom }],
    ["preEnqueue, later", { preEnqueue: () => Promise.reject(new Error("boom")) }],
    ["serialize", { serialize: boom }],
    ["around.enqueue before next()", { around: { enqueue: boom } }],
  ])("in %s refuses that job, and no other one", async (_, hooks) => {
    const { job, qudo, log } = setting();
    const other = defineJob("other", { run: () => undefined });
    qudo.use({ ...hooks, kinds: [job] });
    expect((await refused(qudo.enqueue(job, 1))).message).toBe("boom");
    const error = await refused(
      qudo.enqueueMany([
        [job, 1],
        [other, 2],
        [other, 3],
      ]),
    );
    expect(error).toBeInstanceOf(EnqueuePartlyError);
    const [first, ...rest] = (error as EnqueuePartlyError<Enqueued>).results;
    expect(first).toMatchObject({ message: "boom" });
    for (const one of rest) expect(await qudo.jobs.get((one as Enqueued).id)).not.toBeNull();
    expect((await qudo.monitor.counts()).map(({ kind, pending }) => [kind, pending])).toEqual([
      ["other", 2],
    ]);
    expect(log).toEqual([]);
  });

  test("what is wrong with an order itself refuses all of the call, hooks or none", async () => {
    const { job, qudo } = setting();
    qudo.use({ preEnqueue: () => Promise.resolve() });
    const orders = [1, () => 1, 3].map((payload) => [job, payload] as const);
    expect(await refused(qudo.enqueueMany(orders))).toMatchObject({ code: "QUDO_INVALID_PAYLOAD" });
    expect(await qudo.monitor.counts()).toEqual([]);
  });

  test("in postEnqueue changes nothing: the job is there, the others are called, and it is told", async () => {
    const { job, qudo, failures } = setting();
    const log: string[] = [];
    qudo.use({ name: "outer", postEnqueue: () => void log.push("outer") });
    qudo.use({ name: "broken", postEnqueue: boom });
    qudo.use({ name: "later", postEnqueue: () => Promise.reject(new Error("later")) });
    const { id, status } = await qudo.enqueue(job, 1);
    expect(status).toBe("inserted");
    expect(await qudo.jobs.get(id)).not.toBeNull();
    expect(log).toEqual(["outer"]);
    expect(failures.map(({ hook, point, kind }) => [hook, point, kind])).toEqual([
      ["later", "postEnqueue", "step"],
      ["broken", "postEnqueue", "step"],
    ]);
    expect(failures[0]).toMatchObject({ id, error: { message: "later" } });
  });

  test("in around.enqueue after next() rejects the call, though the job is there", async () => {
    const { job, qudo } = setting();
    let id = "";
    qudo.use({
      around: {
        enqueue: async (draft, next) => {
          await next();
          id = draft.id;
          boom();
        },
      },
    });
    expect((await refused(qudo.enqueue(job, 1))).message).toBe("boom");
    expect(await qudo.jobs.get(id)).not.toBeNull();
  });

  test.each<[string, Hooks]>([
    ["deserialize", { deserialize: boom }],
    ["preWork", { preWork: boom }],
    ["preWork, later", { preWork: () => Promise.reject(new Error("boom")) }],
    ["around.work before next()", { around: { work: boom } }],
  ])("in %s fails the run before its handler, and it is tried again", async (_, hooks) => {
    const { job, qudo, log } = setting();
    qudo.use(hooks);
    const { id } = await qudo.enqueue(job, 1);
    await worked(qudo, 1);
    expect(await attemptsOf(qudo, id)).toMatchObject([
      { state: "failed", error: expect.stringContaining("boom") as string },
    ]);
    expect(log).toEqual([]);
    await expectSound(qudo);
  });

  test("in preWork may ask for what a handler may: to snooze, or to give up", async () => {
    const { job, qudo } = setting();
    qudo.use({
      preWork: (run) => (run.payload === 1 ? run.snooze("1h") : run.abort("not today")),
    });
    const jobs = await qudo.enqueueMany([
      [job, 1],
      [job, 2],
    ]);
    await worked(qudo, 2);
    const states = await Promise.all(jobs.map(async ({ id }) => (await attemptsOf(qudo, id))[0]));
    expect(states.map((attempt) => attempt?.state)).toEqual(["snoozed", "abandoned"]);
  });

  test("in around.work after next() fails the run, though the handler has returned", async () => {
    const { job, qudo, log } = setting();
    qudo.use({ around: { work: (_, next) => next().then(boom) } });
    const { id } = await qudo.enqueue(job, 1);
    await worked(qudo, 1);
    expect(log).toEqual(["handler 1"]);
    expect(await attemptsOf(qudo, id)).toMatchObject([{ state: "failed" }]);
  });

  test.each(["postWork", "onFailed", "onAbandoned"] as const)(
    "in %s never changes the outcome: it is told, and the others are called",
    async (point) => {
      const { job, qudo, failures } = setting();
      const log: string[] = [];
      qudo.use({ name: "outer", [point]: () => void log.push("outer") });
      qudo.use({ name: "broken", [point]: boom });
      const payload = { postWork: "ok", onFailed: "fail", onAbandoned: "abort" }[point];
      const { id } = await qudo.enqueue(job, payload);
      await worked(qudo, 1);
      const state = { postWork: "done", onFailed: "failed", onAbandoned: "abandoned" }[point];
      expect(await attemptsOf(qudo, id)).toMatchObject([{ state }]);
      expect(log).toEqual(["outer"]);
      expect(failures).toMatchObject([{ hook: "broken", point, id, error: { message: "boom" } }]);
      await expectSound(qudo);
    },
  );
});

describe("one that is misused", () => {
  const misused = { code: "QUDO_HOOK_MISUSED" };

  test("around.enqueue without next() refuses the job", async () => {
    const { job, qudo } = setting();
    qudo.use({ around: { enqueue: () => undefined } });
    expect(await refused(qudo.enqueue(job, 1))).toMatchObject(misused);
    expect(await qudo.monitor.counts()).toEqual([]);
  });

  test("around.enqueue that hides a refusal hides nothing", async () => {
    const { job, qudo } = setting();
    qudo.use({
      around: {
        enqueue: async (_, next) => {
          await next().catch(() => undefined);
        },
      },
    });
    qudo.use({ preEnqueue: boom });
    expect((await refused(qudo.enqueue(job, 1))).message).toBe("boom");
  });

  test("around.work without next(), and without an answer, fails the run: nothing is done that was not", async () => {
    const { job, qudo, log } = setting();
    qudo.use({ around: { work: () => undefined } });
    const { id } = await qudo.enqueue(job, 1);
    await worked(qudo, 1);
    const [attempt] = await attemptsOf(qudo, id);
    expect(attempt).toMatchObject({
      state: "failed",
      error: expect.stringContaining("QUDO_HOOK_MISUSED") as string,
    });
    expect(log).toEqual([]);
  });

  test("around.work that catches the handler's error and returns nothing leaves the run failed", async () => {
    const { job, qudo } = setting();
    qudo.use({ around: { work: (_, next) => next().catch(() => undefined) } });
    const { id } = await qudo.enqueue(job, "fail");
    await worked(qudo, 1);
    expect(await attemptsOf(qudo, id)).toMatchObject([{ state: "failed" }]);
  });

  test("around.work that answers before the handler has ended waits for it", async () => {
    const ended = gate();
    let over = false;
    const job = defineJob("slow", {
      run: async () => {
        await ended.passed;
        over = true;
      },
    });
    const qudo = newQudo([job]);
    qudo.use({
      around: {
        work: (_, next) => {
          void next();
          setImmediate(ended.open);
          return "too soon";
        },
      },
    });
    const { id } = await qudo.enqueue(job, null);
    await using _ = await qudo.work();
    expect(await qudo.jobs.result(id)).toBe("too soon");
    expect(over).toBe(true);
  });
});
