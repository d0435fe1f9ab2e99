/** Rows T1 to T16 of docs/parity.md: tasks, as DBIx::TaskQueue promised them. One test a row, on every database. */
import { expect, test } from "vitest";
import { defineJob, linearThenExponential, type JobContext } from "qudo";
import { all, gate, newQudo, onEachDatabase, until } from "./support.js";

onEachDatabase((place) => {
  test("T1 a queue is named, its tables have a name and are made on demand, a worker has an id", async () => {
    const address = place.newAddress();
    const mine = defineJob("fetch", { queue: "http.fetch", run: () => undefined });
    const qudo = newQudo(address, [mine]);
    expect(await qudo.schemaVersion()).toBeNull();
    const { id } = await qudo.enqueue(mine, { url: "http://example.com/" });
    expect(await qudo.schemaVersion()).toBeGreaterThan(0);
    expect(await qudo.jobs.get(id)).toMatchObject({ queue: "http.fetch" });
    const worker = await qudo.work({ name: "web-1:4711" });
    await until("it is done", () => worker.stats.done === 1);
    expect(await qudo.monitor.workers()).toMatchObject([{ name: "web-1:4711" }]);
    const { host, pid } = (await qudo.monitor.workers())[0]!;
    expect({ host: host.length > 0, pid }).toEqual({ host: true, pid: process.pid });
    // Another name for the tables, another queue in the same database. In a file there is one.
    if (place.engine === "SQLite") return;
    const aside = new URL(address);
    aside.searchParams.set("prefix", "aside_");
    expect(await newQudo(aside.href).schemaVersion()).toBeNull();
  });

  test("T2 enqueue: start_in, max_retries and queue; the task has an id", async () => {
    const task = defineJob("task", { run: () => undefined });
    const qudo = newQudo(place.newAddress(), [task]);
    const plain = await qudo.enqueue(task, 1);
    expect(await qudo.jobs.get(plain.id)).toMatchObject({ maxAttempts: 6, queue: "default" });
    const { id } = await qudo.enqueue(task, 1, { delay: 60, maxAttempts: 3, queue: "aside" });
    const found = (await qudo.jobs.get(id))!;
    expect(found).toMatchObject({ id, maxAttempts: 3, queue: "aside", state: "pending" });
    expect(found.runAt.getTime() - found.createdAt.getTime()).toBe(60_000);
    expect(await qudo.workOnce({ queues: ["aside"] })).toBe(false);
  });

  test("T5 each retry is a run of its own with the same id: result, error, worker and times are kept", async () => {
    const task = defineJob("second-try", {
      backoff: () => 1,
      run: (_: unknown, { attempt }) => {
        if (attempt === 1) throw new Error("not yet");
        return { at: attempt };
      },
    });
    const qudo = newQudo(place.newAddress(), [task]);
    const { id } = await qudo.enqueue(task, 1);
    await (
      await qudo.work({ maxJobs: 2 })
    ).stopped;
    const [first, second, ...none] = await all(qudo.attempts.list({ job: id }));
    expect(none).toEqual([]);
    expect(first).toMatchObject({ job: id, run: 1, state: "failed", result: null });
    expect(first!.error).toContain("not yet");
    expect(second).toMatchObject({
      job: id,
      run: 2,
      state: "done",
      result: { at: 2 },
      error: null,
    });
    for (const { worker, startedAt, endedAt } of [first!, second!]) {
      expect(worker).toMatch(/^[0-9a-f-]{36}$/);
      expect(startedAt!.getTime()).toBeLessThanOrEqual(endedAt.getTime());
    }
    expect(first!.endedAt.getTime()).toBeLessThanOrEqual(second!.startedAt!.getTime());
  });

  test("T6 the first five retries wait 60 s × n, then exponentially longer; −1 tries for ever", async () => {
    const waits: number[] = [];
    const usual = linearThenExponential({ delay: "60s" });
    const task = defineJob("stubborn", {
      maxAttempts: -1,
      // The real wait is noted, and not waited for.
      backoff: (fails) => {
        waits.push(usual(fails, 0.5));
        return 1;
      },
      run: () => {
        throw new Error("no");
      },
    });
    const qudo = newQudo(place.newAddress(), [task]);
    const { id } = await qudo.enqueue(task, 1);
    const worker = await qudo.work({ maxJobs: 8 });
    await worker.stopped;
    const [a, b, c, d, e, f, g] = waits;
    expect([a, b, c, d, e]).toEqual([60_000, 120_000, 180_000, 240_000, 300_000]);
    expect(f! / e!).toBeCloseTo(2, 1);
    expect(g! / f!).toBeCloseTo(2, 1);
    expect(await qudo.jobs.get(id)).toMatchObject({ state: "failed", fails: 8, maxAttempts: -1 });
    // And as shipped, without any of this: the first retry is due in a minute.
    const shipped = defineJob("shipped", { run: () => Promise.reject(new Error("no")) });
    const other = newQudo(place.newAddress(), [shipped]);
    const one = await other.enqueue(shipped, 1);
    await other.workOnce();
    const [run] = await all(other.attempts.list({ job: one.id }));
    expect(run!.nextAt!.getTime() - run!.endedAt.getTime()).toBe(60_000);
  });

  test("T9 a worker: batch, sleep, idle_timeout, process, on_die and quit", async () => {
    const died: string[] = [];
    const task = defineJob("task", {
      maxAttempts: 1,
      run: (what: string, job: JobContext) => {
        if (what === "die") throw new Error("in the handler");
        if (what === "quit") job.quit();
      },
    });
    const qudo = newQudo(place.newAddress(), [task]);
    const work = async (options: object): Promise<number> => {
      const worker = await qudo.work({ concurrency: 1, batch: 1, sleep: 1, ...options });
      await worker.stopped;
      const { done, abandoned } = worker.stats;
      return done + abandoned;
    };
    const tasks = (...payloads: string[]) =>
      qudo.enqueueMany(payloads.map((one) => [task, one] as const));
    await tasks("a", "b", "c");
    expect(await work({ maxJobs: 2 })).toBe(2);
    await tasks("quit", "left");
    expect(await work({})).toBe(2);
    expect(await work({ idleTimeout: 0.2 })).toBe(1);
    await tasks("die");
    const onDie = (error: unknown, job: JobContext): void =>
      void died.push(`${job.kind}: ${(error as Error).message}`);
    expect(await work({ maxJobs: 1, onDie })).toBe(1);
    expect(died).toEqual(["task: in the handler"]);
    // And asked from outside: what runs comes to its end, nothing more is taken.
    const [begun, end] = [gate(), gate()];
    const slow = defineJob("slow", {
      run: async () => {
        begun.open();
        await end.passed;
      },
    });
    const other = newQudo(place.newAddress(), [slow]);
    await other.enqueueMany([1, 2].map((n) => [slow, n] as const));
    const worker = await other.work({ concurrency: 1 });
    await begun.passed;
    const left = worker.quit();
    end.open();
    await left;
    expect(worker.stats.done).toBe(1);
  });
});
