/** Consuming a queue by hand: fetching. */
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
  run: (_n: { n: number }) => undefined,
});

const quiet = () => ({ logger: silent() });

const enqueuePages = async (qudo: Qudo, n: number): Promise<string[]> =>
  (await qudo.enqueueMany(Array.from({ length: n }, (_, i) => [page, { n: i }] as const))).map(
    ({ id }) => id,
  );

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
    const loose = defineJob("sum", { queue: "sums", run: (_n: number) => undefined });
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
