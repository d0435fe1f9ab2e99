/** Hooks on a real database: their order, what they may change, and what follows when one throws: row by row of docs/hooks.md. */
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import {
  defineJob,
  EnqueuePartlyError,
  fixed,
  snooze,
  type Enqueued,
  type FailedHook,
  type Hooks,
  type Qudo,
  type WorkOutcome,
} from "../../src/index.js";
import { attemptsOf, expectSound, gate, newQudo, refused, until } from "./support.js";

const boom = (): never => {
  throw new Error("boom");
};

/** One kind that does what its payload says. */
function setting(own: Hooks[] = []) {
  const log: string[] = [];
  const job = defineJob("step", {
    backoff: fixed("1h"),
    maxAttempts: 2,
    hooks: own,
    run: (payload: unknown, { abort }): unknown => {
      log.push(`handler ${JSON.stringify(payload)}`);
      if (payload === "fail") throw new Error("no luck");
      if (payload === "abort") abort("useless");
      return payload === "snooze" ? snooze("1h") : { got: payload };
    },
  });
  const qudo = newQudo([job]);
  const failures: FailedHook[] = [];
  qudo.on("hook:failed", (failed) => failures.push(failed));
  return { job, qudo, log, failures };
}

/** Works until so many runs have an outcome, then stops. */
async function worked(qudo: Qudo, runs: number): Promise<void> {
  await using _ = await qudo.work();
  await until("all have ended", async () => (await attemptsOf(qudo)).length >= runs);
}

/** Says at each point that it was there. */
function noting(name: string, log: string[]): Hooks {
  const at = (point: string) => (): void => void log.push(`${name} ${point}`);
  return {
    name,
    preEnqueue: at("preEnqueue"),
    serialize: at("serialize"),
    postEnqueue: at("postEnqueue"),
    deserialize: at("deserialize"),
    preWork: at("preWork"),
    postWork: at("postWork"),
    onFailed: at("onFailed"),
    onAbandoned: at("onAbandoned"),
    around: {
      enqueue: async (_, next) => {
        log.push(`${name} enqueue {`);
        await next();
        log.push(`} ${name} enqueue`);
      },
      work: async (_, next) => {
        log.push(`${name} work {`);
        await next();
        log.push(`} ${name} work`);
      },
    },
  };
}

describe("called", () => {
  test("in order on the way in, in the reverse one on the way out, the kind's own innermost", async () => {
    const own: Hooks[] = [];
    const log: string[] = [];
    own.push(noting("own", log));
    const { job, qudo, log: handler } = setting(own);
    qudo.use(noting("a", log));
    qudo.use(noting("b", log));
    await qudo.enqueue(job, 1);
    const each = (point: string): string[] => ["a", "b", "own"].map((name) => `${name} ${point}`);
    const back = (point: string): string[] => each(point).toReversed();
    expect(log).toEqual([
      "a enqueue {",
      "b enqueue {",
      "own enqueue {",
      ...each("preEnqueue"),
      ...each("serialize"),
      ...back("postEnqueue"),
      "} own enqueue",
      "} b enqueue",
      "} a enqueue",
    ]);
    log.length = 0;
    await worked(qudo, 1);
    expect(handler).toEqual(["handler 1"]);
    expect(log).toEqual([
      ...back("deserialize"),
      "a work {",
      "b work {",
      "own work {",
      ...each("preWork"),
      "} own work",
      "} b work",
      "} a work",
      ...back("postWork"),
    ]);
    await expectSound(qudo);
  });

  test("at once when they are used, no more when they are not, and only for their kinds", async () => {
    const { job, qudo } = setting();
    const log: string[] = [];
    const [all, others] = [noting("all", log), noting("others", log)];
    qudo.use(all);
    qudo.use({ ...others, kinds: ["another"] });
    expect(() => qudo.use(all)).toThrow(expect.objectContaining({ code: "QUDO_HOOKS_TWICE" }));
    await qudo.enqueue(job, 1);
    expect(log.filter((line) => line === "all preEnqueue")).toHaveLength(1);
    expect(await qudo.unuse(all)).toBe(true);
    expect(await qudo.unuse(all)).toBe(false);
    log.length = 0;
    await qudo.enqueue(job, 2);
    await worked(qudo, 2);
    expect(log).toEqual([]);
  });

  test("to the end by a run that has begun with them", async () => {
    const { job, qudo } = setting();
    const [begun, goOn] = [gate(), gate()];
    const log: string[] = [];
    const hooks: Hooks = {
      preWork: () => {
        begun.open();
        return goOn.passed;
      },
      postWork: () => void log.push("postWork"),
    };
    qudo.use(hooks);
    await qudo.enqueue(job, 1);
    await using worker = await qudo.work();
    await begun.passed;
    await qudo.unuse(hooks);
    goOn.open();
    await until("it has ended", async () => (await attemptsOf(qudo)).length === 1);
    await worker.stop();
    expect(log).toEqual(["postWork"]);
  });
});

describe("may change", () => {
  test("preEnqueue: payload and options, before they are checked", async () => {
    const { job, qudo, log } = setting();
    qudo.use({
      preEnqueue: async (draft) => {
        await Promise.resolve();
        expect(draft).toMatchObject({ kind: "step", payload: { n: 1 } });
        draft.payload = { n: 2 };
        draft.options = { ...draft.options, priority: 7 };
      },
    });
    const { id } = await qudo.enqueue(job, { n: 1 });
    expect(await qudo.jobs.get(id)).toMatchObject({ payload: { n: 2 }, priority: 7 });
    await worked(qudo, 1);
    expect(log).toEqual(['handler {"n":2}']);
    qudo.use({ preEnqueue: (draft) => void (draft.options.priority = 1e9) });
    expect(await refused(qudo.enqueue(job, 1))).toMatchObject({ code: "QUDO_INVALID_OPTION" });
  });

  test("what the caller changes after the call changes no job", async () => {
    const { job, qudo } = setting();
    qudo.use({ preEnqueue: () => Promise.resolve() });
    const payload = { n: 1 };
    const enqueued = qudo.enqueue(job, payload);
    payload.n = 2;
    expect((await qudo.jobs.get((await enqueued).id))?.payload).toEqual({ n: 1 });
  });

  test("serialize and deserialize: what is stored, where the handler sees nothing of it", async () => {
    const { job, qudo, log } = setting();
    const attic = new Map<string, unknown>();
    qudo.use({
      serialize: async (draft) => {
        await Promise.resolve();
        attic.set(draft.id, draft.payload);
        draft.payload = { in: "the attic" };
      },
      deserialize: (draft) => void (draft.payload = attic.get(draft.id)),
    });
    const large = { text: "x".repeat(2_000_000) };
    const { id } = await qudo.enqueue(job, large);
    expect((await qudo.jobs.get(id))?.payload).toEqual({ in: "the attic" });
    await worked(qudo, 1);
    expect(log).toEqual([`handler ${JSON.stringify(large)}`]);
  });

  test("around.work: the result, also without the handler", async () => {
    const { job, qudo, log } = setting();
    qudo.use({
      around: {
        work: async ({ payload }, next) =>
          payload === "cached" ? "from the cache" : { wrapped: await next() },
      },
    });
    const jobs = await qudo.enqueueMany([
      [job, "cached"],
      [job, "new"],
    ]);
    await using _ = await qudo.work();
    expect(await Promise.all(jobs.map((one) => one.result()))).toEqual([
      "from the cache",
      { wrapped: { got: "new" } },
    ]);
    expect(log).toEqual(['handler "new"']);
  });

  test("around.work: what the handler runs in", async () => {
    const store = new AsyncLocalStorage<string>();
    let seen: string | undefined;
    const job = defineJob("seen", { run: () => void (seen = store.getStore()) });
    const qudo = newQudo([job]);
    qudo.use({ around: { work: ({ id }, next) => store.run(id, next) } });
    const { id } = await qudo.enqueue(job, null);
    await worked(qudo, 1);
    expect(seen).toBe(id);
  });

  test("the outcome: nothing; it is told as the database has it", async () => {
    const { job, qudo } = setting();
    const told: [string, string, WorkOutcome][] = [];
    const tell = (point: string) => (run: { payload: unknown }, outcome: WorkOutcome) =>
      void told.push([point, String(run.payload), outcome]);
    qudo.use({
      postWork: async (run, outcome) => {
        const [attempt] = await attemptsOf(qudo, run.id);
        expect(attempt?.state).toBe(outcome.state);
        tell("postWork")(run, outcome);
      },
      onFailed: tell("onFailed"),
      onAbandoned: tell("onAbandoned"),
    });
    await qudo.enqueueMany(["ok", "fail", "abort", "snooze"].map((how) => [job, how] as const));
    await worked(qudo, 4);
    await until("all are told", () => told.length === 6);
    const of = (point: string, payload: string): WorkOutcome =>
      told.find(([at, of]) => at === point && of === payload)![2];
    expect(of("postWork", "ok")).toMatchObject({
      state: "done",
      result: { got: "ok" },
      error: null,
      thrown: undefined,
      delayMs: null,
    });
    expect(of("onFailed", "fail")).toMatchObject({
      state: "failed",
      delayMs: 3_600_000,
      thrown: expect.objectContaining({ message: "no luck" }) as Error,
    });
    expect(of("onFailed", "fail")).toBe(of("onFailed", "fail"));
    expect(of("onAbandoned", "abort")).toMatchObject({ state: "abandoned", reason: "aborted" });
    expect(of("postWork", "snooze")).toMatchObject({ state: "snoozed", delayMs: 3_600_000 });
    expect(told.map(([point]) => point).toSorted()).toEqual([
      "onAbandoned",
      "onFailed",
      ...Array.from({ length: 4 }, () => "postWork"),
    ]);
  });

  test("the outcome of a run that others have decided is that it is lost", async () => {
    const begun = gate();
    const states: string[] = [];
    const job = defineJob("held", {
      run: (_: unknown, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason as Error));
          begun.open();
        }),
    });
    const qudo = newQudo([job]);
    qudo.use({ postWork: (_, { state }) => void states.push(state) });
    const { id } = await qudo.enqueue(job, null);
    await using _ = await qudo.work({ lease: "1s" });
    await begun.passed;
    await qudo.jobs.cancel(id);
    await until("it is told", () => states.length === 1);
    expect(states).toEqual(["lost"]);
  });
});

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

test("stopping waits until hooks have been told of the last runs", async () => {
  const { job, qudo } = setting();
  const [begun, goOn] = [gate(), gate()];
  let told = false;
  qudo.use({
    postWork: async () => {
      begun.open();
      await goOn.passed;
      told = true;
    },
  });
  await qudo.enqueue(job, 1);
  const worker = await qudo.work();
  await begun.passed;
  const stopped = worker.stop();
  goOn.open();
  await stopped;
  expect(told).toBe(true);
});

test("secrets of a payload that hooks have read are masked in errors and lines", async () => {
  const job = defineJob("secret", {
    backoff: fixed("1h"),
    run: (payload: { password: string }, { log }) => {
      log(`logging in with ${payload.password}`);
      throw new Error(`${payload.password} is wrong`);
    },
  });
  const qudo = newQudo([job]);
  qudo.use({
    serialize: (draft) => void (draft.payload = { sealed: true }),
    deserialize: (draft) => void (draft.payload = { password: "hunter2" }),
  });
  const { id } = await qudo.enqueue(job, { password: "hunter2" });
  await worked(qudo, 1);
  const [attempt] = await attemptsOf(qudo, id);
  expect(attempt?.error).toContain("[redacted]");
  expect(attempt?.error).not.toContain("hunter2");
  for await (const line of qudo.jobs.log(id)) expect(line.text).not.toContain("hunter2");
});
