/** Enqueueing: one commit for calls made together, nothing written of what is refused, errors told to whom they concern. */
import { describe, expect, test } from "vitest";
import { defineJob, idFromName, Qudo, type EnqueueOptions } from "../../src/index.js";
import { Batcher } from "../../src/core/batcher.js";
import { Extensions } from "../../src/client/extensions.js";
import { Producer } from "../../src/client/producer.js";
import { Results } from "../../src/client/results.js";
import { Serializers } from "../../src/core/serializer.js";
import { silent as silentEvents } from "../../src/core/events.js";
import type { StandardSchema } from "../../src/core/schema.js";
import type { Driver, NewJob } from "../../src/storage/driver.js";
import { newId } from "../../src/storage/ids.js";
import {
  closing,
  gate,
  newQudo,
  refused,
  totals,
  until,
  watchedHandle,
  type Watch,
} from "./support.js";

const note = defineJob("note", { run: (_payload: unknown) => undefined });

async function watched(): Promise<{ qudo: Qudo; watch: Watch }> {
  const watch = watchedHandle();
  const qudo = closing(new Qudo({ databases: { handle: watch.handle } }));
  await qudo.migrate();
  await qudo.enqueue(note, "first, so that lane and tables are there");
  watch.commits = 0;
  watch.inserts.length = 0;
  return { qudo, watch };
}

describe("batches", () => {
  test("50 calls at once are one commit", async () => {
    const { qudo, watch } = await watched();
    const calls = Array.from({ length: 50 }, (_, i) => qudo.enqueue(note, i));
    const ids = new Set((await Promise.all(calls)).map(({ id }) => id));
    expect(ids.size).toBe(50);
    expect(watch.inserts).toEqual([50]);
    expect(watch.commits).toBe(1);
  });

  test("a lone call waits for no timer", async () => {
    const { qudo } = await watched();
    // Without timers: setImmediate still runs, and nothing else is needed.
    const real = globalThis.setTimeout;
    globalThis.setTimeout = (() => {
      throw new Error("a timer was set");
    }) as unknown as typeof setTimeout;
    try {
      expect((await qudo.enqueue(note, 1)).status).toBe("inserted");
    } finally {
      globalThis.setTimeout = real;
    }
  });

  test("calls made while a batch is on its way share the next commit", async () => {
    const { qudo, watch } = await watched();
    const first = qudo.enqueue(note, 1);
    const others = first.then(() => Promise.all([2, 3, 4].map((n) => qudo.enqueue(note, n))));
    await others;
    expect(watch.inserts).toEqual([1, 3]);
  });

  test("at most 1,000 rows share a commit, in the order given", async () => {
    const { qudo, watch } = await watched();
    const orders = Array.from({ length: 2_500 }, (_, i) => [note, i] as const);
    const enqueued = await qudo.enqueueMany(orders);
    expect(watch.inserts).toEqual([1_000, 1_000, 500]);
    const ids = enqueued.map(({ id }) => id);
    expect(ids).toEqual(ids.toSorted());
  });

  test("at most 4 MiB share a commit, counted in bytes of UTF-8", async () => {
    const { qudo, watch } = await watched();
    // Each 900,002 bytes in 300,002 characters: by characters thirteen would fit, by bytes four.
    const big = "€".repeat(300_000);
    await Promise.all(Array.from({ length: 9 }, () => qudo.enqueue(note, big)));
    expect(watch.inserts).toEqual([4, 4, 1]);
  });

  test("an item above the limit goes alone", async () => {
    const sent: number[][] = [];
    const send = (items: number[]): Promise<number[]> => {
      sent.push(items);
      return Promise.resolve(items);
    };
    const batcher = new Batcher(
      send,
      { items: 10, bytes: 5, sizeOf: (n) => n },
      { soon: (then) => void setImmediate(then) },
    );
    await Promise.all([1, 9, 2, 3, 1].map((n) => batcher.add(n)));
    expect(sent).toEqual([[1], [9], [2, 3], [1]]);
  });

  test("an error of the database rejects the calls of its batch only, and nothing of it is there", async () => {
    const { qudo, watch } = await watched();
    watch.failNext = Object.assign(new Error("disk full"), { errcode: 13 });
    const calls = await Promise.allSettled([1, 2, 3].map((n) => qudo.enqueue(note, n)));
    expect(calls.map((c) => c.status)).toEqual(["rejected", "rejected", "rejected"]);
    expect((calls[0] as PromiseRejectedResult).reason).toMatchObject({
      code: "QUDO_DATABASE_FULL",
    });
    expect((await qudo.enqueue(note, 4)).status).toBe("inserted");
    expect(await totals(qudo)).toMatchObject({ pending: 2 });
  });

  test("of many batches the one that failed rejects, the others are written", async () => {
    const { qudo, watch } = await watched();
    const big = "x".repeat(1_000_000);
    watch.failNext = Object.assign(new Error("disk full"), { errcode: 13 });
    const calls = await Promise.allSettled(
      Array.from({ length: 6 }, () => qudo.enqueue(note, big)),
    );
    expect(calls.map((c) => c.status)).toEqual([
      ...Array.from({ length: 4 }, () => "rejected"),
      ...Array.from({ length: 2 }, () => "fulfilled"),
    ]);
  });

  test("close() waits for what was asked for before, also where a schema takes its time", async () => {
    const { passed, open } = gate();
    const slow: StandardSchema = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: async (value) => {
          await passed;
          return { value };
        },
      },
    };
    const job = defineJob("slow", { payload: slow, run: () => undefined });
    const { qudo } = await watched();
    const call = qudo.enqueue(job, 1);
    const closed = qudo.close();
    // Time enough for everything that waits for nothing.
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    open();
    expect((await call).status).toBe("inserted");
    await closed;
    expect((await refused(qudo.jobs.get(newId()))).message).toContain("closed");
  });
});

describe("what is refused", () => {
  const schema: StandardSchema<{ n: number }> = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) =>
        typeof (value as { n?: unknown } | null)?.n === "number"
          ? { value: value as { n: number } }
          : { issues: [{ message: "not a number", path: ["n"] }] },
    },
  };
  const strict = defineJob("strict", { payload: schema, run: () => undefined });
  const loop: { self?: unknown } = {};
  loop.self = loop;

  const badPayloads: [string, unknown][] = [
    ["a function", () => 1],
    ["a symbol inside", { deep: [Symbol("s")] }],
    ["a BigInt", 1n],
    ["NaN", { n: Number.NaN }],
    ["Infinity", [Number.POSITIVE_INFINITY]],
    ["a cycle", loop],
    ["a NUL", "a\0b"],
    ["half a surrogate pair", "\ud800"],
    ["a Map", new Map()],
    ["an invalid Date", new Date(Number.NaN)],
    ["more than 1 MiB", "x".repeat(1_048_576)],
  ];
  const badOptions: [string, unknown][] = [
    ["an unknown option", { dealy: "1s" }],
    ["a bad id", { id: "42" }],
    ["a bad delay", { delay: "soon" }],
    ["a negative delay", { delay: -1 }],
    ["delay and runAt", { delay: 1, runAt: new Date() }],
    ["a runAt that is no date", { runAt: Date.now() }],
    ["an invalid expiresAt", { expiresAt: new Date("never") }],
    ["a priority out of range", { priority: 40_000 }],
    ["a fractional priority", { priority: 1.5 }],
    ["priority null", { priority: null }],
    ["an empty queue", { queue: "" }],
    ["a queue with control characters", { queue: "a\nb" }],
    ["maxAttempts 0", { maxAttempts: 0 }],
    ["maxAttempts null", { maxAttempts: null }],
    ["an empty unique key", { uniqueKey: "" }],
    ["a unique key that is no text", { uniqueKey: 7 }],
    ["a unique key past 1,024 bytes", { uniqueKey: "€".repeat(400) }],
    ["a bad keep", { keep: "for ever" }],
    ["a keep of null", { keep: null }],
    ["a keep for an end that does not exist", { keep: { failed: 1 } }],
    ["a bad keep for one end", { keep: { done: "ever" } }],
  ];

  test("every bad payload and option, before anything is written", async () => {
    const { qudo, watch } = await watched();
    for (const [what, payload] of badPayloads) {
      const error = await refused(qudo.enqueue(note, payload));
      expect(error.name, what).toBe("InvalidInputError");
    }
    for (const [what, options] of badOptions) {
      const error = await refused(qudo.enqueue(note, 1, options as EnqueueOptions));
      expect(error.name, what).toBe("InvalidInputError");
    }
    const bySchema = await refused(qudo.enqueue(strict, { n: "1" } as unknown as { n: number }));
    expect(bySchema).toMatchObject({ code: "QUDO_INVALID_PAYLOAD" });
    expect(bySchema.message).toContain("payload.n: not a number");
    for (const job of [undefined, "note", {}, { kind: "note" }])
      expect((await refused(qudo.enqueue(job as unknown as typeof note, 1))).name).toBe(
        "InvalidInputError",
      );
    expect(watch.commits).toBe(0);
    expect(await totals(qudo)).toMatchObject({ pending: 1 });
  });

  test("enqueueMany writes none when one is bad, and touches nothing that was there", async () => {
    const { qudo, watch } = await watched();
    const mine = newId();
    await qudo.enqueue(note, "mine", { id: mine });
    watch.commits = 0;
    const bad: EnqueueOptions = { delay: "soon" };
    await refused(
      qudo.enqueueMany([
        [note, 1],
        [note, "other", { id: mine }],
        [note, 3, bad],
      ]),
    );
    await refused(
      qudo.enqueueMany([
        [note, 1],
        [strict, {} as { n: number }],
      ]),
    );
    expect(watch.commits).toBe(0);
    expect(await qudo.jobs.get(mine)).toMatchObject({ payload: "mine", state: "pending" });
  });

  test("a schema sees what JSON carries, so that what passes here passes in the worker", async () => {
    const date: StandardSchema<{ at: Date }> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value) =>
          (value as { at: unknown }).at instanceof Date
            ? { value: value as { at: Date } }
            : { issues: [{ message: "no Date" }] },
      },
    };
    const job = defineJob("dated", { payload: date, run: () => undefined });
    const { qudo } = await watched();
    expect((await refused(qudo.enqueue(job, { at: new Date() }))).message).toContain("no Date");
  });
});

describe("what is stored", () => {
  test("the payload and options of the moment of the call", async () => {
    const { qudo } = await watched();
    const anything: StandardSchema = {
      "~standard": { version: 1, vendor: "test", validate: async (value) => ({ value }) },
    };
    const job = defineJob("kept", { payload: anything, run: () => undefined });
    const payload = { n: 1 };
    const options: EnqueueOptions = { priority: 1 };
    const calls = [qudo.enqueue(job, payload, options)];
    payload.n = 2;
    options.priority = 2;
    calls.push(qudo.enqueue(job, payload, options));
    const jobs = await Promise.all((await Promise.all(calls)).map(({ id }) => qudo.jobs.get(id)));
    expect(jobs.map((j) => [j?.payload, j?.priority])).toEqual([
      [{ n: 1 }, 1],
      [{ n: 2 }, 2],
    ]);
  });

  test("duplicates and unique conflicts are reported, each to its call", async () => {
    const { qudo } = await watched();
    const id = idFromName("invoice", "2026-1");
    expect(idFromName("invoice", "2026-1")).toBe(id);
    expect(await qudo.enqueue(note, "a", { id })).toEqual({ id, status: "inserted", holder: null });
    expect(await qudo.enqueue(note, "b", { id: id.toUpperCase() })).toEqual({
      id,
      status: "duplicate",
      holder: null,
    });
    const [holder, second, other] = await qudo.enqueueMany([
      [note, 1, { uniqueKey: "k" }],
      [note, 2, { uniqueKey: "k" }],
      [note, 3, { uniqueKey: "l" }],
    ]);
    expect(holder!.status).toBe("inserted");
    expect(second).toMatchObject({ status: "unique", holder: holder!.id });
    expect(other!.status).toBe("inserted");
    expect(await qudo.jobs.get(second!.id)).toBeNull();
    expect((await qudo.jobs.get(id))?.payload).toBe("a");
  });

  test("how long it is kept: its own word, what that leaves out by its kind, else by the policy", async () => {
    const inserted: NewJob[] = [];
    const driver = {
      insertJobs: (jobs: readonly NewJob[]) => {
        inserted.push(...jobs);
        return Promise.resolve(jobs.map(() => ({ status: "inserted" })));
      },
    } as unknown as Driver;
    const open = (): Promise<Driver> => Promise.resolve(driver);
    const extensions = new Extensions(new Serializers(), silentEvents);
    const producer = new Producer(open, {
      results: new Results(open),
      emit: silentEvents,
      extensions,
      onInserted: () => undefined,
    });
    const kept = defineJob("kept", { keep: { done: "1h", other: "2h" }, run: () => undefined });
    const brief = defineJob("brief", { keep: 0, run: () => undefined });
    await producer.enqueueMany([
      [note, 1],
      [note, 1, { keep: "1s" }],
      [note, 1, { keep: { other: "1s" } }],
      [kept, 1],
      [kept, 1, { keep: { done: 0 } }],
      [brief, 1],
    ]);
    expect(inserted.map(({ keepDoneMs, keepOtherMs }) => [keepDoneMs, keepOtherMs])).toEqual([
      [null, null],
      [1_000, 1_000],
      [null, 1_000],
      [3_600_000, 7_200_000],
      [0, 7_200_000],
      [0, 0],
    ]);
  });

  test("a key is free again when its job has ended", async () => {
    const job = defineJob("once", { run: () => undefined });
    const qudo = newQudo([job]);
    await using worker = await qudo.work();
    const first = await qudo.enqueue(job, null, { uniqueKey: "k" });
    await until("it is done", async () => (await qudo.jobs.get(first.id))?.state === "done");
    expect((await qudo.enqueue(job, null, { uniqueKey: "k" })).status).toBe("inserted");
    expect(worker.stats.lost).toBe(0);
  });

  test("attempts.list refuses states and filters that do not exist", async () => {
    const { qudo } = await watched();
    for (const filter of [{ states: ["constructor"] }, { states: ["doen"] }, { kin: "note" }])
      expect((await refused(qudo.attempts.list(filter as object).next())).name).toBe(
        "InvalidInputError",
      );
  });
});

test("close() ends while somebody goes on enqueueing: from then on calls are refused", async () => {
  const { qudo } = await watched();
  let refusal: unknown = null;
  const producing = (async () => {
    for (;;) await qudo.enqueue(note, "more");
  })().catch((error: unknown) => (refusal = error));
  await qudo.enqueue(note, "one more");
  await qudo.close();
  await producing;
  expect(refusal).toMatchObject({ code: "QUDO_CLOSED" });
});
