/** Rows T1 to T16 of docs/parity.md: tasks, as DBIx::TaskQueue promised them. One test a row, on every database. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { defineJob, linearThenExponential, type JobContext } from "qudo";
import { play } from "./processes.js";
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

  test("T3 fetch and next reserve up to so many tasks, and block until there is one", async () => {
    const page = defineJob("page", { queue: "http", run: () => undefined });
    const qudo = newQudo(place.newAddress(), [page]);
    const queue = qudo.queue("http", { kinds: [page] });
    const waited = queue.fetch(5);
    const nothing = await Promise.race([waited, sleep(50, "still waiting")]);
    expect(nothing).toBe("still waiting");
    await qudo.enqueueMany([1, 2, 3].map((n) => [page, n] as const));
    const first = await waited;
    expect(first.length).toBeGreaterThan(0);
    const rest = first.length < 3 ? await queue.next(3) : [];
    expect([...first, ...rest].map(({ payload }) => payload).toSorted()).toEqual([1, 2, 3]);
    for (const task of [...first, ...rest]) expect(await task.finish()).toBe(true);
    expect(await queue.fetch(1, { timeout: 0 })).toEqual([]);
    const ended = queue.fetch(1, { signal: AbortSignal.timeout(20) });
    await expect(ended).rejects.toMatchObject({ name: "TimeoutError" });
    // As a stream, which asks for the next one when it is wanted.
    await qudo.enqueueMany([4, 5].map((n) => [page, n] as const));
    const seen: unknown[] = [];
    for await (const task of queue.each({ timeout: 0.5 })) {
      seen.push(task.payload);
      await task.finish();
    }
    expect(seen).toEqual([4, 5]);
  });

  test("T4 states: pending, reserved, running, done, failed, abandoned, cancelled; and release", async () => {
    const page = defineJob("page", { maxAttempts: 2, backoff: () => 3_600_000, run: () => 1 });
    const qudo = newQudo(place.newAddress(), [page]);
    const queue = qudo.queue("default", { kinds: [page] });
    const state = async (id: string): Promise<string> => (await qudo.jobs.get(id))!.state;
    const fetched = async (options = {}) => {
      const { id } = await qudo.enqueue(page, 1, options);
      expect(await state(id)).toBe("pending");
      const [task] = await queue.fetch();
      expect(task!.id).toBe(id);
      expect(await state(id)).toBe("reserved");
      return task!;
    };
    const done = await fetched();
    expect(await done.start()).toBe(true);
    expect(await state(done.id)).toBe("running");
    expect(await done.finish("result")).toBe(true);
    expect(await state(done.id)).toBe("done");
    const failed = await fetched();
    await failed.start();
    expect(await failed.fail(new Error("no"))).toBe(true);
    expect(await state(failed.id)).toBe("failed");
    const abandoned = await fetched({ maxAttempts: 1 });
    await abandoned.fail(new Error("no"));
    expect(await state(abandoned.id)).toBe("abandoned");
    const cancelled = await fetched();
    expect(await cancelled.cancel()).toBe(true);
    expect(await state(cancelled.id)).toBe("cancelled");
    const released = await fetched();
    await released.start();
    expect(await released.release()).toBe(true);
    expect(await state(released.id)).toBe("pending");
    // One that is dropped without finish or fail is released at the end of its block.
    {
      await using dropped = (await queue.fetch())[0]!;
      expect(dropped.id).toBe(released.id);
    }
    expect(await state(released.id)).toBe("pending");
  });

  test("T7 purge: pending and reserved are cancelled, running abandoned, in this queue only", async () => {
    const [mine, other] = ["mine", "other"].map((queue) =>
      defineJob(`in-${queue}`, { queue, run: () => undefined }),
    );
    const qudo = newQudo(place.newAddress(), [mine!, other!]);
    const added = await qudo.enqueueMany([
      [mine!, "running", { priority: 2 }],
      [mine!, "reserved", { priority: 1 }],
      [mine!, "pending"],
      [mine!, "later", { delay: "1h" }],
      [other!, "kept"],
    ]);
    const queue = qudo.queue("mine", { kinds: [mine!] });
    const [running, reserved] = await queue.fetch(2);
    await running!.start();
    expect(await queue.purge()).toBe(4);
    const states = await Promise.all(added.map(async ({ id }) => (await qudo.jobs.get(id))!.state));
    expect(states).toEqual(["abandoned", "cancelled", "cancelled", "cancelled", "pending"]);
    expect(await running!.finish()).toBe(false);
    expect(await reserved!.start()).toBe(false);
  });

  test("T8 messages: add_msg, get_msg, remove_msg", async () => {
    const qudo = newQudo(place.newAddress());
    const queue = qudo.queue("letters");
    const { id } = await queue.addMsg({ to: "you" });
    const [message, payload] = (await queue.getMsg())!;
    expect({ id: message.id, payload }).toEqual({ id, payload: { to: "you" } });
    // It stays, for nobody else, until it is removed.
    expect(await queue.getMsg({ timeout: 0 })).toBeNull();
    expect(await queue.removeMsg(message)).toBe(true);
    expect(await queue.removeMsg(message)).toBe(false);
    expect(await qudo.jobs.get(id)).toMatchObject({ state: "done" });
    await queue.addMsg("another");
    const [again] = (await queue.getMsg())!;
    expect(await queue.removeMsg(again.id)).toBe(true);
  });

  test("T10 start is false where the task was cancelled or given to somebody else meanwhile", async () => {
    const page = defineJob("page", { run: () => undefined });
    const qudo = newQudo(place.newAddress(), [page]);
    const queue = qudo.queue("default", { kinds: [page], name: "slow" });
    const [one, two] = await qudo.enqueueMany([1, 2].map((n) => [page, n] as const));
    const tasks = await queue.fetch(2);
    await qudo.jobs.cancel(one!.id);
    const cancelled = tasks.find(({ id }) => id === one!.id)!;
    expect(await cancelled.start()).toBe(false);
    expect(await cancelled.finish()).toBe(false);
    // Somebody took it away from this one, and another one does it.
    const lost = tasks.find(({ id }) => id === two!.id)!;
    expect(await qudo.resetWorker("slow")).toMatchObject({ jobs: 1 });
    expect(await qudo.workOnce()).toBe(true);
    expect(await lost.start()).toBe(false);
    expect(await qudo.jobs.get(two!.id)).toMatchObject({ state: "done", run: 2 });
  });

  test("T11 monitor: running, pending, outstanding, load, overdue tasks, changes since a time", async () => {
    const page = defineJob("page", { run: () => undefined });
    const qudo = newQudo(place.newAddress(), [page]);
    await qudo.enqueueMany([
      [page, "running", { priority: 2 }],
      [page, "reserved", { priority: 1 }],
      [page, "pending"],
      [page, "later", { delay: "1h" }],
    ]);
    const queue = qudo.queue("default", { kinds: [page] });
    const [running, reserved] = await queue.fetch(2);
    await running!.start();
    const { monitor } = qudo;
    expect(await monitor.running()).toBe(1);
    expect(await monitor.pending()).toBe(2);
    expect(await monitor.outstanding()).toBe(4);
    expect(await monitor.load()).toBe(3);
    expect(await monitor.overdue({ longerThan: "1h" })).toEqual([]);
    await until("it has run for a moment", async () => {
      const overdue = await monitor.overdue({ longerThan: 0.01 });
      return overdue.length === 1 && overdue[0]!.job === running!.id;
    });
    const before = await all(qudo.attempts.list());
    expect(before).toEqual([]);
    await reserved!.finish();
    const changes = await all(monitor.changesSince("1m"));
    expect(changes.map(({ job, what }) => [job, what])).toContainEqual([reserved!.id, "done"]);
    expect(changes.map(({ job, what }) => [job, what])).toContainEqual([running!.id, "running"]);
    const last = changes.at(-1)!.at;
    expect(await all(monitor.changesSince(new Date(last.getTime() + 60_000)))).toEqual([]);
    await running!.finish();
  });

  test("T12 reset_worker: its tasks are pending again; cancel_worker: they are abandoned", async () => {
    const page = defineJob("page", { run: () => undefined });
    const qudo = newQudo(place.newAddress(), [page]);
    const added = await qudo.enqueueMany([1, 2].map((n) => [page, n] as const));
    const states = () => Promise.all(added.map(async ({ id }) => (await qudo.jobs.get(id))!.state));
    const hung = qudo.queue("default", { kinds: [page], name: "hung" });
    const tasks = await hung.fetch(2);
    await tasks[0]!.start();
    expect(await qudo.resetWorker("hung")).toEqual({ sessions: 1, jobs: 2 });
    expect(await states()).toEqual(["pending", "pending"]);
    await hung.close({ grace: 0 });
    const wrong = qudo.queue("default", { kinds: [page], name: "wrong" });
    const [task] = await wrong.fetch(2);
    await task!.start();
    const { id } = (await qudo.monitor.workers()).find(({ name }) => name === "wrong")!;
    expect(await qudo.cancelWorker(id)).toEqual({ sessions: 1, jobs: 2 });
    expect(await states()).toEqual(["abandoned", "abandoned"]);
    expect((await qudo.jobs.get(added[0]!.id))!.last).toMatchObject({ reason: "worker_cancelled" });
  });

  test("T14 no broker: several producers and several workers, in processes of their own, on one database", async () => {
    const address = place.newAddress();
    const qudo = newQudo(address);
    await qudo.migrate();
    const allDone = async (): Promise<boolean> => (await qudo.jobCount())[0]!.jobs === 0;
    const codes = await play(address, {
      producers: 2,
      workers: 2,
      jobs: 50,
      done: () => until("all are done", allDone),
    });
    expect(codes).toEqual([0, 0, 0, 0]);
    const runs = await all(qudo.attempts.list({ kind: "note" }));
    expect(runs).toHaveLength(100);
    expect(new Set(runs.map(({ job }) => job)).size).toBe(100);
    expect(runs.every(({ state }) => state === "done")).toBe(true);
    expect((await qudo.doctor()).violations).toEqual([]);
  });

  test("T15 times and worker of each run; refresh, active, and the one-line form", async () => {
    const page = defineJob("page", { run: () => undefined });
    const qudo = newQudo(place.newAddress(), [page]);
    const { id } = await qudo.enqueue(page, 1);
    const queue = qudo.queue("default", { kinds: [page], name: "me" });
    const [task] = await queue.fetch();
    expect(task!.active).toBe(true);
    expect(await task!.refresh()).toBe("reserved");
    expect(String(task)).toBe(`page ${id} reserved, attempt 1 of 6`);
    await task!.start();
    expect(await task!.refresh()).toBe("running");
    const session = (await qudo.monitor.workers())[0]!.id;
    await task!.finish({ fine: true });
    expect({ active: task!.active, state: task!.state }).toEqual({ active: false, state: "done" });
    const [run] = await all(qudo.attempts.list({ job: id }));
    expect(run).toMatchObject({ worker: session, state: "done", result: { fine: true } });
    expect(run!.startedAt!.getTime()).toBeLessThanOrEqual(run!.endedAt.getTime());
    // Cancelled by somebody else: found out when it is asked for.
    await qudo.enqueue(page, 2);
    const [other] = await queue.fetch();
    await qudo.jobs.cancel(other!.id);
    expect(await other!.refresh()).toBe("lost");
    expect(other!.active).toBe(false);
  });
});
