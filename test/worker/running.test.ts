/** What becomes of single jobs in a worker: order, places, results, failures, time-outs. */
import { describe, expect, test, vi } from "vitest";
import {
  DatabaseError,
  defineJob,
  fixed,
  type JobContext,
  type StandardSchema,
} from "../../src/index.js";
import { LIMITS } from "../../src/core/defaults.js";
import { registry } from "../../src/core/job.js";
import { Run } from "../../src/worker/context.js";
import { execute } from "../../src/worker/executor.js";
import { runOf } from "../../src/worker/surroundings.js";
import { Turns } from "../../src/worker/turns.js";
import { openDatabase } from "../../src/storage/open.js";
import { newId } from "../../src/storage/ids.js";
import { REAL } from "../../src/storage/time.js";
import {
  attemptsOf,
  expectSound,
  gate,
  newBench,
  newDatabase,
  newQudo,
  order,
  silent,
  totals,
  tune,
  until,
} from "./support.js";

const isDone = (qudo: ReturnType<typeof newQudo>, n: number) => async (): Promise<boolean> =>
  (await totals(qudo)).done === n;

describe("order and places", () => {
  test("one at a time runs in order: priority first, then as enqueued", async () => {
    const seen: number[] = [];
    const job = defineJob("step", { run: async (n: number) => void seen.push(n) });
    const qudo = newQudo([job]);
    await qudo.enqueueMany(Array.from({ length: 200 }, (_, i) => [job, i] as const));
    await qudo.enqueue(job, 1_000, { priority: 1 });
    await qudo.enqueue(job, -1, { priority: -1 });
    await qudo.work({ concurrency: 1 });
    await until("all are done", isDone(qudo, 202));
    expect(seen).toEqual([1_000, ...Array.from({ length: 200 }, (_, i) => i), -1]);
  });

  test("each queue reaches its number of places and never exceeds it", async () => {
    const places = { narrow: 2, wide: 7 };
    const now = { narrow: 0, wide: 0 };
    const most = { narrow: 0, wide: 0 };
    const job = defineJob("busy", {
      run: async (_: unknown, { queue }) => {
        const name = queue as "narrow" | "wide";
        most[name] = Math.max(most[name], ++now[name]);
        await new Promise((resolve) => setTimeout(resolve, 1));
        now[name]--;
      },
    });
    const qudo = newQudo([job]);
    await qudo.enqueueMany(
      Array.from(
        { length: 300 },
        (_, i) => [job, i, { queue: i % 2 === 0 ? "narrow" : "wide" }] as const,
      ),
    );
    await qudo.work({ queues: places });
    await until("all are done", isDone(qudo, 300));
    expect(most).toEqual(places);
  });

  test("jobs of unknown kinds stay untouched, even those named like a method of objects", async () => {
    const known = defineJob("known", { run: () => undefined });
    const others = ["unknown", "constructor", "__proto__"].map((kind) =>
      defineJob(kind, { run: () => undefined }),
    );
    const qudo = newQudo([known]);
    const ids: string[] = [];
    for (const other of others) ids.push((await qudo.enqueue(other, 1, { priority: 9 })).id);
    await qudo.enqueueMany(Array.from({ length: 20 }, () => [known, 1] as const));
    await qudo.work();
    await until("the known ones are done", isDone(qudo, 20));
    for (const id of ids)
      expect(await qudo.jobs.get(id)).toMatchObject({ state: "pending", last: null });
    expect(await attemptsOf(qudo)).toHaveLength(20);
  });

  const anything: StandardSchema = {
    "~standard": { version: 1, vendor: "test", validate: async (value) => ({ value }) },
  };

  test.each([
    ["without a schema", undefined],
    ["with a schema", anything],
  ])(
    "handlers that compute do not keep the event loop from coming round, %s",
    async (_, schema) => {
      let turns = 0;
      const counts: number[] = [];
      const job = defineJob("compute", {
        payload: schema,
        timeout: "200ms",
        run: () => {
          counts.push(turns);
          const end = performance.now() + 15;
          while (performance.now() < end);
        },
      });
      const qudo = newQudo([job]);
      await qudo.enqueueMany(Array.from({ length: 20 }, () => [job, 1] as const));
      const timer = setInterval(() => turns++, 1);
      await qudo.work({ concurrency: 20 });
      await until("all are done", isDone(qudo, 20));
      clearInterval(timer);
      // A timer came between any two of them.
      expect(new Set(counts).size).toBe(20);
    },
  );
});

describe("results and failures", () => {
  test("results are stored", async () => {
    const job = defineJob("echo", { run: (payload: unknown) => payload });
    const qudo = newQudo([job]);
    const values = [{ a: [1, "€", null] }, "text", 0, false, null];
    const ids: string[] = [];
    for (const value of values) ids.push((await qudo.enqueue(job, value)).id);
    await qudo.work();
    await until("all are done", isDone(qudo, values.length));
    for (const [i, id] of ids.entries())
      expect((await qudo.jobs.get(id))?.last).toMatchObject({ state: "done", result: values[i] });
  });

  test("a failure is retried after its backoff, up to maxAttempts, then abandoned", async () => {
    const tries: [number, number][] = [];
    const job = defineJob("fails", {
      maxAttempts: 3,
      backoff: fixed("10ms"),
      run: (_: unknown, { attempt, run }) => {
        tries.push([attempt, run]);
        throw new TypeError(`no ${attempt}`);
      },
    });
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, 1);
    await qudo.work();
    await until("it is given up", async () => (await qudo.jobs.get(id))?.state === "abandoned");
    expect(tries).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
    const attempts = await attemptsOf(qudo, id);
    expect(attempts.map(({ state, reason }) => [state, reason])).toEqual([
      ["failed", null],
      ["failed", null],
      ["abandoned", "attempts"],
    ]);
    expect(attempts[0]!.error).toMatch(/^TypeError: no 1\n/);
    for (const [i, { endedAt, nextAt }] of attempts.slice(0, 2).entries()) {
      expect(nextAt!.getTime() - endedAt.getTime()).toBe(10);
      expect(attempts[i + 1]!.startedAt!.getTime()).toBeGreaterThanOrEqual(nextAt!.getTime() - 1);
    }
    await expectSound(qudo);
  });

  test("job.abort() ends it for good, also taken out of the context", async () => {
    const job = defineJob("gives-up", {
      backoff: fixed(0),
      run: (how: string, context: JobContext) => {
        const { abort } = context;
        return how === "method" ? context.abort("useless") : abort("useless");
      },
    });
    const qudo = newQudo([job]);
    const ids = [(await qudo.enqueue(job, "method")).id, (await qudo.enqueue(job, "taken out")).id];
    const worker = await qudo.work();
    await until("both ended", async () => worker.stats.abandoned === 2);
    for (const id of ids) {
      const attempts = await attemptsOf(qudo, id);
      expect(attempts).toHaveLength(1);
      expect(attempts[0]).toMatchObject({ state: "abandoned", reason: "aborted" });
      expect(attempts[0]!.error).toContain("useless");
    }
  });

  test("whatever is thrown is a failure, and a backoff function may throw too", async () => {
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error("do not look at me");
        },
        getPrototypeOf: () => {
          throw new Error("nor at my ancestors");
        },
      },
    );
    const things: unknown[] = [undefined, null, "text", 42, Symbol("s"), { a: 1 }, 1n, hostile];
    const job = defineJob("throws", {
      backoff: () => {
        throw new Error("no idea when");
      },
      run: (i: number) => {
        throw things[i];
      },
    });
    const qudo = newQudo([job]);
    const orders = things.map((_, i) => [job, i] as const);
    const enqueued = await qudo.enqueueMany(orders);
    const worker = await qudo.work();
    await until("all failed", () => worker.stats.failed === things.length);
    for (const { id } of enqueued) {
      const [attempt] = await attemptsOf(qudo, id);
      expect(attempt!.error).toBeTruthy();
      // A minute for each failure where the function does not say.
      expect(attempt!.nextAt!.getTime() - attempt!.endedAt.getTime()).toBe(60_000);
    }
  });

  test("a result that cannot be stored is a failure that says so", async () => {
    const job = defineJob("odd", { maxAttempts: 1, run: () => ({ big: 1n }) });
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, 1);
    await qudo.work();
    await until("it ended", async () => (await qudo.jobs.get(id))?.state === "abandoned");
    expect((await qudo.jobs.get(id))?.last?.error).toContain("QUDO_INVALID_RESULT");
  });
});

describe("payloads", () => {
  test("large ones arrive, and change nothing for those beside them", async () => {
    const sizes: number[] = [];
    const job = defineJob("large", { run: (text: string) => void sizes.push(text.length) });
    const qudo = newQudo([job]);
    const wanted = [10, LIMITS.inlinePayloadBytes - 2, LIMITS.inlinePayloadBytes, 1_000_000];
    await qudo.enqueueMany(wanted.map((n) => [job, "x".repeat(n)] as const));
    await qudo.work();
    await until("all are done", isDone(qudo, wanted.length));
    expect(sizes.toSorted((a, b) => a - b)).toEqual(wanted);
  });

  test("an unreadable one fails that job only", async () => {
    const job = defineJob("reads", { run: () => undefined, backoff: fixed("1h") });
    const database = newDatabase();
    const driver = await openDatabase(database);
    await driver.migrate();
    const bad = newId();
    const foreign = newId();
    await driver.insertJobs([
      order("reads", { id: bad, payload: { codec: 1, text: "{", bin: null } }),
      order("reads", { id: foreign, payload: { codec: 99, text: "1", bin: null } }),
    ]);
    await driver.close();
    const qudo = newQudo([job], database);
    await qudo.enqueueMany(Array.from({ length: 10 }, () => [job, 1] as const));
    await qudo.work();
    await until("the others are done", isDone(qudo, 10));
    for (const id of [bad, foreign])
      await until("it failed", async () => (await qudo.jobs.get(id))?.state === "failed");
    expect((await qudo.jobs.get(foreign))?.last?.error).toContain("newer qudo");
  });

  test("trouble while fetching one costs no attempt", async () => {
    const attempts: number[] = [];
    const job = defineJob("patient", {
      run: (_: unknown, { attempt }) => void attempts.push(attempt),
    });
    const bench = await newBench([job]);
    const id = newId();
    const payload = { codec: 1, text: JSON.stringify("x".repeat(100_000)), bin: null };
    await bench.driver.insertJobs([order("patient", { id, payload })]);
    let troubles = 2;
    bench.worker(
      {},
      {
        payloads: (ids) =>
          troubles-- > 0
            ? Promise.reject(new DatabaseError("QUDO_DATABASE_BUSY", "busy", true))
            : bench.driver.payloads(ids),
      },
    );
    await until("it is done", async () => (await bench.driver.getJobs([id]))[0]?.state === "done");
    expect(attempts).toEqual([1]);
    expect((await bench.driver.getJobs([id]))[0]).toMatchObject({ fails: 0, run: 1 });
  });
});

describe("time-outs", () => {
  test("abort the signal, with the reason, and fail the run", async () => {
    const reason = gate<unknown>();
    const job = defineJob("slow", {
      timeout: "20ms",
      maxAttempts: 1,
      run: (_: unknown, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            reason.open(signal.reason);
            reject(new Error("interrupted"));
          });
        }),
    });
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, 1);
    await qudo.work();
    expect(await reason.passed).toMatchObject({ code: "QUDO_JOB_TIMEOUT" });
    await until("it ended", async () => (await qudo.jobs.get(id))?.state === "abandoned");
    expect((await qudo.jobs.get(id))?.last?.error).toContain("QUDO_JOB_TIMEOUT");
  });

  test("a handler that ignores it keeps its place, and its late result is discarded", async () => {
    tune({ abortGraceMs: 30 });
    const release = gate();
    const started: string[] = [];
    const stubborn = defineJob("stubborn", {
      timeout: "20ms",
      backoff: fixed("1h"),
      run: async (name: string) => {
        started.push(name);
        if (name === "first") await release.passed;
        return name;
      },
    });
    const qudo = newQudo([stubborn]);
    const { id } = await qudo.enqueue(stubborn, "first");
    const worker = await qudo.work({ concurrency: 1, logger: silent() });
    await until("it is failed", async () => (await qudo.jobs.get(id))?.state === "failed");
    await qudo.enqueue(stubborn, "second");
    // Several looks of the pump later the one place is still taken.
    const { trips } = worker.stats;
    worker.wake();
    await until("a poll went by", async () => {
      worker.wake();
      return (await totals(qudo)).pending === 1;
    });
    expect(started).toEqual(["first"]);
    expect(worker.stats.trips).toBe(trips);
    release.open();
    await until("the second one is done", isDone(qudo, 1));
    const attempts = await attemptsOf(qudo, id);
    expect(attempts.map(({ state, result }) => [state, result])).toEqual([["failed", null]]);
    expect(worker.stats).toMatchObject({ done: 1, failed: 1, lost: 0 });
    await expectSound(qudo);
  });

  test("longer than a timer can wait are waited for to the end", async () => {
    vi.useFakeTimers();
    try {
      const days = 60 * 86_400_000;
      const job = defineJob("ages", { timeout: "60d", run: () => new Promise(() => undefined) });
      const run = new Run(
        {
          job: newId(),
          run: 1,
          fails: 0,
          crashes: 0,
          queue: "default",
          kind: "ages",
          priority: 0,
          createdAt: 0,
          maxAttempts: 6,
          timeoutMs: days,
          redact: null,
          payload: { codec: 1, text: "1", bin: null },
        },
        newId(),
        registry([job]).get("ages")!,
        { ...runOf({ context: null }), session: newId, said: () => false, quit: () => undefined },
      );
      void execute(run, new Turns(REAL), {
        fetchPayload: () => Promise.resolve(null),
        started: () => undefined,
        settle: () => undefined,
        died: () => undefined,
      });
      await vi.advanceTimersByTimeAsync(days - 1);
      expect(run.cause).toBeNull();
      await vi.advanceTimersByTimeAsync(1);
      expect(run.cause).toBe("timeout");
    } finally {
      vi.useRealTimers();
    }
  });
});
