/** Tasks that are not in these hands any more: cancelled, reaped, dropped. The fence holds for them as for handlers. */
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { defineJob, type Qudo, type Task, type TaskQueueOptions } from "../../src/index.js";
import type { Driver } from "../../src/storage/driver.js";
import { openDatabase } from "../../src/storage/open.js";
import {
  attemptsOf,
  expectSound,
  newDatabase,
  newQudo,
  silent,
  totals,
  tune,
  until,
} from "./support.js";

const note = defineJob("note", { queue: "notes", run: (_n: number) => undefined });

const statesOf = async (qudo: Qudo, id: string): Promise<string[]> =>
  (await attemptsOf(qudo, id)).map(({ state }) => state);

/** Another process's way to the same database. */
async function through<T>(database: string, act: (driver: Driver) => Promise<T>): Promise<T> {
  const driver = await openDatabase(database);
  try {
    return await act(driver);
  } finally {
    await driver.close();
  }
}

/** Ends every session as if its process were dead. */
const reapAll = (database: string): Promise<unknown> =>
  through(database, async (driver) => {
    const rows = await driver.sessions();
    return driver.reap(rows.map(({ id, beat }) => ({ id, beat, cause: "gone", leaseMs: 1_000 })));
  });

async function fetched(n: number, options: TaskQueueOptions = {}) {
  const database = newDatabase();
  const qudo = newQudo([], database);
  const ids: string[] = [];
  for (let i = 0; i < n; i++) ids.push((await qudo.enqueue(note, i)).id);
  const logger = silent();
  const tasks = qudo.queue("notes", { logger, ...options });
  const found = await tasks.fetch(n);
  expect(found.map(({ id }) => id)).toEqual(ids);
  return { database, qudo, tasks, ids, found, lines: logger.lines };
}

const abortOf = (task: Task): Promise<unknown> =>
  new Promise((resolve) =>
    task.signal.addEventListener("abort", () => resolve(task.signal.reason)),
  );

describe("a task that was cancelled elsewhere", () => {
  test("cannot be started", async () => {
    const { qudo, ids, found } = await fetched(1);
    await qudo.jobs.cancel(ids[0]!);
    expect(await found[0]!.start()).toBe(false);
    expect([found[0]!.state, found[0]!.active]).toEqual(["lost", false]);
    expect(await found[0]!.finish()).toBe(false);
    expect(await statesOf(qudo, ids[0]!)).toEqual(["cancelled"]);
    await until("its lease is closed", async () => {
      const [worker] = await qudo.monitor.workers();
      return worker!.leases === 0;
    });
  });

  test("can neither be finished, nor failed, nor released", async () => {
    const { qudo, ids, found } = await fetched(3);
    for (const task of found) await task.start();
    for (const id of ids) await qudo.jobs.cancel(id);
    const [a, b, c] = found;
    expect(await Promise.all([a!.finish("x"), b!.fail(new Error("x")), c!.release()])).toEqual([
      false,
      false,
      false,
    ]);
    expect(found.map(({ state }) => state)).toEqual(["lost", "lost", "lost"]);
    for (const id of ids) expect(await statesOf(qudo, id)).toEqual(["cancelled"]);
    await expectSound(qudo);
  });

  test("is told by its signal while it runs", async () => {
    const { qudo, ids, found } = await fetched(1);
    await found[0]!.start();
    const told = abortOf(found[0]!);
    await qudo.jobs.cancel(ids[0]!);
    expect(await told).toMatchObject({ code: "QUDO_JOB_STOPPED" });
    expect(found[0]!.state).toBe("lost");
  });

  test("is found out by a refresh", async () => {
    const { qudo, ids, found } = await fetched(1);
    expect(await found[0]!.refresh()).toBe("reserved");
    await qudo.jobs.cancel(ids[0]!);
    expect(await found[0]!.refresh()).toBe("lost");
    expect(found[0]!.signal.aborted).toBe(true);
  });
});

describe("tasks of a session that others ended", () => {
  test("are others' now: what these hands do counts no more", async () => {
    const { database, qudo, ids, found, tasks } = await fetched(2, { lease: "1s" });
    const [kept, unstarted] = found;
    await kept!.start();
    await reapAll(database);
    const other = newQudo([], database).queue("notes", { logger: silent() });
    const again = await other.fetch(2);
    expect(again.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    const mine = again.find(({ id }) => id === kept!.id)!;
    // It was the one that ran: the third crash would condemn it.
    expect([mine.run, mine.attempt]).toEqual([2, 1]);
    expect(await kept!.finish("late")).toBe(false);
    expect(await unstarted!.start()).toBe(false);
    expect(await mine.finish("in time")).toBe(true);
    const attempts = await attemptsOf(qudo, kept!.id);
    expect(attempts.map(({ state, result }) => [state, result])).toEqual([
      ["crashed", null],
      ["done", "in time"],
    ]);
    // A new session goes on in its place.
    const { id } = await qudo.enqueue(note, 9);
    expect((await tasks.fetch())[0]!.id).toBe(id);
    await expectSound(qudo);
  });

  test.each(["released", "abandoned"] as const)("by an operator: %s", async (how) => {
    const { database, qudo, ids, found } = await fetched(1, { lease: "1s" });
    const [session] = await qudo.monitor.workers();
    const told = abortOf(found[0]!);
    await through(database, (driver) => driver.dismiss([session!.id], how));
    expect(await told).toMatchObject({ code: "QUDO_JOB_STOPPED" });
    expect(await found[0]!.finish()).toBe(false);
    expect(await statesOf(qudo, ids[0]!)).toEqual([how]);
    await expectSound(qudo);
  });
});

describe("a task that is kept", () => {
  test("stays in these hands for longer than the lease, while others look for the dead", async () => {
    const { database, qudo, ids, found } = await fetched(2, { lease: "1s" });
    await found[0]!.start();
    const watcher = newQudo([note], database);
    await watcher.work({ queues: ["elsewhere"], lease: "1s", logger: silent() });
    const beats = async (): Promise<number> =>
      (await qudo.monitor.workers()).find(({ kinds }) => kinds[0] === "*")!.beat;
    const first = await beats();
    // Three a second.
    await until("it has beaten for two leases", async () => (await beats()) >= first + 7);
    expect(await found[0]!.finish()).toBe(true);
    expect(await found[1]!.start()).toBe(true);
    expect(await found[1]!.finish()).toBe(true);
    for (const id of ids) expect(await statesOf(qudo, id)).toEqual(["done"]);
  });

  test("that was crashed upon twice is handed out like any other, beside what runs", async () => {
    const database = newDatabase();
    const qudo = newQudo([], database);
    const { id } = await qudo.enqueue(note, 1);
    for (let crashes = 1; crashes <= 2; crashes++) {
      const victim = newQudo([], database);
      const [task] = await victim.queue("notes", { logger: silent(), lease: "1h" }).fetch();
      await task!.start();
      await reapAll(database);
    }
    const tasks = qudo.queue("notes", { logger: silent() });
    const { id: other } = await qudo.enqueue(note, 2, { priority: 9 });
    const [beside] = await tasks.fetch();
    expect(beside!.id).toBe(other);
    await beside!.start();
    const [suspect] = await tasks.fetch();
    expect([suspect!.id, suspect!.run]).toEqual([id, 3]);
    expect(await suspect!.finish()).toBe(true);
    expect(await beside!.finish()).toBe(true);
  });
});

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Fetched in a frame of its own, so that nothing here holds it. */
const fetchAndForget = async (qudo: Qudo, start: boolean): Promise<readonly string[]> => {
  const logger = silent();
  const tasks = qudo.queue("notes", { logger });
  const [task] = await tasks.fetch();
  if (start) await task!.start();
  return logger.lines;
};

describe("a task that nobody has any more", () => {
  test.each([false, true])("is given back, and that is told (started: %s)", async (started) => {
    const qudo = newQudo([]);
    const { id } = await qudo.enqueue(note, 1);
    const lines = await fetchAndForget(qudo, started);
    await until("it was given back", async () => {
      collect();
      await turn();
      return (await statesOf(qudo, id)).length > 0;
    });
    expect(await statesOf(qudo, id)).toEqual(["released"]);
    expect(lines.join()).toContain(id);
    expect(await qudo.jobs.get(id)).toMatchObject({ state: "pending", fails: 0 });
  });

  test("is kept for as long as somebody has it", async () => {
    const { qudo, ids, found } = await fetched(1);
    for (let i = 0; i < 20; i++) {
      collect();
      await turn();
    }
    expect(await statesOf(qudo, ids[0]!)).toEqual([]);
    expect(await found[0]!.finish()).toBe(true);
  });

  test("because its fetch had ended: it goes back without a trace on its owner", async () => {
    tune({ pollMs: 600_000, lookFirstMs: 600_000, lookLastMs: 600_000 });
    const database = newDatabase();
    const qudo = newQudo([], database);
    const tasks = qudo.queue("notes", { logger: silent() });
    // The fetch is given up in the moment in which its jobs arrive.
    for (let i = 0; i < 10; i++) {
      const aborting = new AbortController();
      const waiting = tasks.fetch(3, { signal: aborting.signal }).catch(() => []);
      await qudo.enqueueMany([
        [note, i],
        [note, i],
      ]);
      aborting.abort();
      for (const task of await waiting) await task.release();
    }
    await until("nothing is held", async () => (await totals(qudo))["pending"] === 20);
    const found: Task[] = [];
    while (found.length < 20) found.push(...(await tasks.fetch(20 - found.length)));
    expect(new Set(found.map(({ id }) => id)).size).toBe(20);
    await expectSound(qudo);
  });
});
