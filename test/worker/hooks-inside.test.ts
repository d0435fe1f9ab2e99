/** Hooks where jobs are enqueued in the user's own transaction, or by a caller who cannot wait; and over several databases. */
import { describe, expect, test } from "vitest";
import { defineJob, messagePack, Qudo, v8, type Enqueued, type Hooks } from "../../src/index.js";
import { attemptsOf, closing, newPath, openHandle, refused, until } from "./support.js";

const step = defineJob("step", { run: (n: number) => n });

/** A queue on a file, and a handle of the user's on the same one. */
async function inside(...use: Hooks[]) {
  const path = newPath();
  const qudo = closing(new Qudo({ databases: `sqlite:${path}`, jobs: [step], use }));
  await qudo.migrate();
  const handle = openHandle(path);
  const pending = async (): Promise<number> =>
    (await qudo.monitor.counts()).reduce((sum, lane) => sum + lane.pending, 0);
  return { qudo, handle, pending };
}

const boom = (): never => {
  throw new Error("boom");
};

describe("in the user's transaction", () => {
  test("hooks that answer at once keep it synchronous", async () => {
    const log: string[] = [];
    const { qudo, handle, pending } = await inside({
      preEnqueue: (draft) => void (draft.payload = Number(draft.payload) + 1),
      serialize: () => void log.push("serialize"),
      postEnqueue: ({ status, payload }) => void log.push(`${status} ${String(payload)}`),
      around: {
        enqueue: (_, next) => {
          log.push("in");
          void next();
          log.push("out");
        },
      },
    });
    handle.exec("begin immediate");
    const enqueued = qudo.in(handle).enqueue(step, 1);
    expect(log).toEqual(["in", "serialize", "inserted 2", "out"]);
    handle.exec("commit");
    expect((await qudo.jobs.get((await enqueued).id))?.payload).toBe(2);
    handle.exec("begin immediate");
    qudo.in(handle).enqueueManySync([
      [step, 1],
      [step, 2],
    ]);
    handle.exec("rollback");
    expect(await pending()).toBe(1);
    handle.close();
  });

  test.each<[string, Hooks]>([
    ["preEnqueue", { preEnqueue: (draft) => (draft.payload === 2 ? boom() : undefined) }],
    ["serialize", { serialize: (draft) => (draft.payload === 2 ? boom() : undefined) }],
    [
      "around.enqueue",
      { around: { enqueue: (draft, next) => (draft.payload === 2 ? boom() : void next()) } },
    ],
  ])("%s that throws for one of many refuses all: none is inserted", async (_, hooks) => {
    const { qudo, handle, pending } = await inside(hooks);
    const orders = [1, 2, 3].map((n) => [step, n] as const);
    handle.exec("begin immediate");
    expect(() => qudo.in(handle).enqueueManySync(orders)).toThrow("boom");
    expect((await refused(qudo.in(handle).enqueueMany(orders))).message).toBe("boom");
    handle.exec("commit");
    expect(await pending()).toBe(0);
    handle.close();
  });

  test("a hundred jobs at once find their way through an around, and more are refused", async () => {
    const log: string[] = [];
    const { qudo, handle, pending } = await inside({
      around: {
        enqueue: async (_, next) => {
          await next();
          log.push("out");
        },
      },
    });
    const orders = Array.from({ length: 101 }, (_, n) => [step, n] as const);
    handle.exec("begin immediate");
    const many = refused(qudo.in(handle).enqueueMany(orders));
    expect(await many).toMatchObject({ code: "QUDO_UNSUPPORTED" });
    const made = await qudo.in(handle).enqueueMany(orders.slice(1));
    handle.exec("commit");
    expect(made.map(({ status }) => status)).toEqual(made.map(() => "inserted"));
    expect(log).toHaveLength(100);
    expect(await pending()).toBe(100);
    handle.close();
  });
});

describe("for a caller who cannot wait", () => {
  test("hooks are called, and answer at once", async () => {
    const { qudo } = await inside({
      preEnqueue: (draft) => void (draft.payload = 7),
    });
    const { id } = qudo.enqueueSync(step, 1);
    expect((await qudo.jobs.get(id))?.payload).toBe(7);
  });

  test.each<[string, Hooks]>([
    ["preEnqueue", { preEnqueue: () => Promise.resolve() }],
    ["serialize", { serialize: () => Promise.resolve() }],
    ["around.enqueue that has not gone in", { around: { enqueue: () => Promise.resolve() } }],
  ])("%s that answers with a promise refuses the job", async (_, hooks) => {
    const { qudo, pending } = await inside(hooks);
    expect(() => qudo.enqueueSync(step, 1)).toThrow(
      expect.objectContaining({ code: "QUDO_HOOK_MISUSED" }),
    );
    expect(await pending()).toBe(0);
  });

  test("what goes on later than the insert is left to itself, and its failure is told", async () => {
    const told: string[] = [];
    const { qudo, pending } = await inside(
      {
        name: "a",
        around: {
          enqueue: async (_, next) => {
            await next();
            throw new Error("late");
          },
        },
      },
      { name: "b", postEnqueue: () => Promise.reject(new Error("later")) },
    );
    qudo.on("hook:failed", ({ hook, point }) => told.push(`${hook} ${point}`));
    expect(qudo.enqueueSync(step, 1).status).toBe("inserted");
    expect(await pending()).toBe(1);
    await until("both are told", () => told.length === 2);
    expect(told.toSorted()).toEqual(["a around.enqueue", "b postEnqueue"]);
  });
});

test("completed in a transaction, a run is told as done with the result it recorded there", async () => {
  const path = newPath();
  const handle = openHandle(path);
  const outcomes: unknown[] = [];
  const pay = defineJob("pay", {
    run: (_: null, job) => {
      handle.exec("begin immediate");
      void job.completeIn(handle, { paid: true });
      handle.exec("commit");
    },
  });
  const qudo = closing(new Qudo({ databases: `sqlite:${path}`, jobs: [pay] }));
  qudo.use({ postWork: (_, { state, result }) => void outcomes.push({ state, result }) });
  await qudo.enqueue(pay, null);
  await using worker = await qudo.work();
  await until("it is told", () => outcomes.length === 1);
  expect(outcomes).toEqual([{ state: "done", result: { paid: true } }]);
  await worker.stop();
  handle.close();
});

test("bytes go through a user's transaction, and over several databases, as through any other way", async () => {
  const seen: unknown[] = [];
  const jobs = [v8, messagePack()].map((serializer) =>
    defineJob(serializer.name, { serializer, run: (value: unknown) => void seen.push(value) }),
  );
  const value = { at: new Date(0), bytes: new Uint8Array([0, 1]) };
  const path = newPath();
  const places: string[] = [];
  const databases = [
    { name: "a", url: `sqlite:${path}` },
    { name: "b", url: `sqlite:${newPath()}` },
  ];
  const use = [
    { postEnqueue: ({ database }: { database?: string }) => void places.push(database!) },
  ];
  const qudo = closing(new Qudo({ databases, jobs, use }));
  const enqueued: Enqueued[] = [];
  for (const job of jobs)
    enqueued.push(
      ...(await qudo.enqueueMany(Array.from({ length: 8 }, () => [job, value] as const))),
    );
  expect(places).toHaveLength(16);
  // Each database tells of its own when it has them.
  expect(places.toSorted()).toEqual(enqueued.map(({ database }) => database!).toSorted());
  const handle = openHandle(path);
  handle.exec("begin immediate");
  qudo.in(handle).enqueueManySync(jobs.map((job) => [job, value] as const));
  handle.exec("commit");
  handle.close();
  await using _ = await qudo.work();
  await until("all have ended", async () => (await attemptsOf(qudo)).length === 18);
  expect(seen).toEqual(Array.from({ length: 18 }, () => value));
});
