/** Queues consumed by hand as streams and as message boxes, emptied, and closed. */
import { describe, expect, test } from "vitest";
import { defineJob, type Qudo, type Task } from "../../src/index.js";
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

const note = defineJob("note", { queue: "notes", run: (_n: number) => undefined });
const quiet = () => ({ logger: silent() });

const enqueueNotes = async (qudo: Qudo, n: number): Promise<string[]> =>
  (await qudo.enqueueMany(Array.from({ length: n }, (_, i) => [note, i] as const))).map(
    ({ id }) => id,
  );

const statesOf = async (qudo: Qudo, id: string): Promise<string[]> =>
  (await attemptsOf(qudo, id)).map(({ state }) => state);

describe("for await", () => {
  test("fetches when it is asked, and no more than that", async () => {
    const qudo = newQudo([]);
    const all = await enqueueNotes(qudo, 4);
    const seen: string[] = [];
    for await (const task of qudo.queue("notes", { kinds: [note], ...quiet() })) {
      seen.push(task.id);
      // What nobody has asked for is for others.
      expect(await totals(qudo)).toMatchObject({ reserved: 1, pending: 4 - seen.length });
      await task.finish();
      if (seen.length === 3) break;
    }
    expect(seen).toEqual(all.slice(0, 3));
    expect(await totals(qudo)).toMatchObject({ done: 3, pending: 1, reserved: 0 });
  });

  test("with a batch fetches so many at once, and gives back what was not asked for", async () => {
    const qudo = newQudo([]);
    const all = await enqueueNotes(qudo, 5);
    const seen: string[] = [];
    for await (const task of qudo.queue("notes", quiet()).each({ batch: 4 })) {
      seen.push(task.id);
      await task.finish();
      if (seen.length === 2) break;
      expect(await totals(qudo)).toMatchObject({ reserved: 3, pending: 1 });
    }
    expect(seen).toEqual(all.slice(0, 2));
    expect(await totals(qudo)).toMatchObject({ done: 2, pending: 3, reserved: 0 });
    expect(await statesOf(qudo, all[2]!)).toEqual(["released"]);
    expect(await statesOf(qudo, all[4]!)).toEqual([]);
    await expectSound(qudo);
  });

  test("waits for what comes later, and ends when the queue is closed", async () => {
    const qudo = newQudo([]);
    const tasks = qudo.queue("notes", quiet());
    const seen: unknown[] = [];
    const loop = (async () => {
      for await (const task of tasks) {
        seen.push(task.payload);
        await task.finish();
      }
    })();
    await enqueueNotes(qudo, 1);
    await until("the first one came", () => seen.length === 1);
    await enqueueNotes(qudo, 2);
    await until("the others came", () => seen.length === 3);
    await tasks.close();
    await loop;
    expect(seen).toEqual([0, 0, 1]);
    expect(await totals(qudo)).toMatchObject({ done: 3 });
  });

  test("ends when nothing came for so long, and with its signal's reason", async () => {
    const qudo = newQudo([]);
    await enqueueNotes(qudo, 2);
    const tasks = qudo.queue("notes", quiet());
    let n = 0;
    for await (const task of tasks.each({ timeout: "30ms" })) {
      n++;
      await task.finish();
    }
    expect(n).toBe(2);
    const loop = async (signal: AbortSignal): Promise<void> => {
      for await (const task of tasks.each({ signal })) await task.finish();
    };
    expect(await refused(loop(AbortSignal.timeout(20)))).toMatchObject({ name: "TimeoutError" });
  });

  test("by several takes turns, and each task goes to one of them", async () => {
    const qudo = newQudo([]);
    const all = await enqueueNotes(qudo, 30);
    const tasks = qudo.queue("notes", quiet());
    const seen: string[] = [];
    const loop = async (): Promise<void> => {
      for await (const task of tasks.each({ timeout: 0 })) {
        seen.push(task.id);
        expect(await task.finish()).toBe(true);
      }
    };
    await Promise.all([loop(), loop(), loop()]);
    expect(seen.toSorted()).toEqual(all.toSorted());
  });
});

describe("messages", () => {
  test("are added, got and removed", async () => {
    const qudo = newQudo([]);
    const box = qudo.queue<readonly string[]>("letters", quiet());
    const { id, status } = await box.addMsg({ dear: "you" });
    expect(status).toBe("inserted");
    expect(await qudo.jobs.get(id)).toMatchObject({ kind: "message", queue: "letters" });
    const [message, said] = (await box.getMsg())!;
    expect([message.id, said]).toEqual([id, { dear: "you" }]);
    expect(message.state).toBe("running");
    // It stays, and is nobody else's, until it is removed.
    expect(await box.getMsg({ timeout: 0 })).toBeNull();
    expect((await qudo.jobs.get(id))!.state).toBe("running");
    expect(await box.removeMsg(message)).toBe(true);
    expect(await box.removeMsg(message)).toBe(false);
    expect((await qudo.jobs.get(id))!.state).toBe("done");
  });

  test("are removed by their ids, too", async () => {
    const qudo = newQudo([]);
    const box = qudo.queue("letters", quiet());
    const { id } = await box.addMsg("a");
    expect(await box.removeMsg(id)).toBe(false);
    expect((await box.getMsg())![1]).toBe("a");
    expect(await box.removeMsg(id.toUpperCase())).toBe(true);
    expect((await qudo.jobs.get(id))!.state).toBe("done");
  });

  test("go from any process to any other, with their options", async () => {
    const database = newDatabase();
    const [one, other] = [newQudo([], database), newQudo([], database)];
    const kinds = ["letter"] as const;
    const to = one.queue("letters", { kinds, ...quiet() });
    const from = other.queue("letters", { kinds, ...quiet() });
    const waiting = from.getMsg();
    await to.addMsg("later", { delay: "1h" });
    await to.addMsg("now", { priority: 3, uniqueKey: "k" });
    expect(await to.addMsg("now", { uniqueKey: "k" })).toMatchObject({ status: "unique" });
    const [message, said] = (await waiting)!;
    expect([said, message.priority, message.kind]).toEqual(["now", 3, "letter"]);
    await from.removeMsg(message);
    expect(await totals(one)).toMatchObject({ done: 1, pending: 1 });
  });

  test("that were cancelled meanwhile are not got", async () => {
    const qudo = newQudo([]);
    const box = qudo.queue("letters", quiet());
    const ids = [(await box.addMsg("a")).id, (await box.addMsg("b")).id];
    const [a, b] = await box.fetch(2);
    await qudo.jobs.cancel(ids[0]!);
    expect(await a!.start()).toBe(false);
    await b!.release();
    const [message, said] = (await box.getMsg())!;
    expect(said).toBe("b");
    expect(await box.removeMsg(message)).toBe(true);
  });

  test("of a definition are checked by its schema, and are its kind", async () => {
    const strict = defineJob("strict", {
      queue: "elsewhere",
      payload: {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: (value) =>
            typeof value === "number" ? { value } : { issues: [{ message: "no number" }] },
        },
      },
      run: (_n: number) => undefined,
    });
    const qudo = newQudo([]);
    const box = qudo.queue("numbers", { kinds: [strict], ...quiet() });
    expect((await refused(box.addMsg("x" as never))).code).toBe("QUDO_INVALID_PAYLOAD");
    const { id } = await box.addMsg(5);
    expect(await qudo.jobs.get(id)).toMatchObject({ kind: "strict", queue: "numbers" });
  });
});

describe("purge", () => {
  test("ends all of one queue: what waits or is reserved is cancelled, what runs is abandoned", async () => {
    const qudo = newQudo([]);
    const ids = await enqueueNotes(qudo, 4);
    const { id: later } = await qudo.enqueue(note, 9, { delay: "1h" });
    const { id: elsewhere } = await qudo.enqueue(note, 9, { queue: "other" });
    const tasks = qudo.queue("notes", quiet());
    const [running, reserved, done] = await tasks.fetch(3);
    await running!.start();
    await done!.finish();
    expect(await tasks.purge()).toBe(4);
    const states = await Promise.all(
      [...ids, later, elsewhere].map(async (id) => (await qudo.jobs.get(id))!.state),
    );
    expect(states).toEqual(["abandoned", "cancelled", "done", "cancelled", "cancelled", "pending"]);
    expect((await qudo.jobs.get(ids[0]!))!.last).toMatchObject({ reason: "purged" });
    // Their owners are told, and what they do counts no more.
    expect(await running!.refresh()).toBe("lost");
    expect(running!.signal.aborted).toBe(true);
    expect(await reserved!.start()).toBe(false);
    expect(await running!.finish()).toBe(false);
    expect(await tasks.purge()).toBe(0);
    await expectSound(qudo);
  });
});

describe("close", () => {
  test("ends the fetches, gives back what was not started, and ends the session", async () => {
    const qudo = newQudo([]);
    const ids = await enqueueNotes(qudo, 2);
    const tasks = qudo.queue("notes", quiet());
    const found = await tasks.fetch(2);
    const waiting = refused(tasks.fetch());
    await tasks.close();
    expect((await waiting).code).toBe("QUDO_CLOSED");
    expect((await refused(tasks.fetch())).code).toBe("QUDO_CLOSED");
    expect(found.map(({ state }) => state)).toEqual(["released", "released"]);
    expect(await found[0]!.start()).toBe(false);
    for (const id of ids) expect(await statesOf(qudo, id)).toEqual(["released"]);
    expect(await qudo.monitor.workers()).toEqual([]);
    // Another one can be had.
    expect(await qudo.queue("notes", quiet()).fetch(2)).toHaveLength(2);
  });

  test("lets what was started be finished", async () => {
    const qudo = newQudo([]);
    const [id] = await enqueueNotes(qudo, 1);
    const tasks = qudo.queue("notes", quiet());
    const [task] = await tasks.fetch();
    await task!.start();
    let closed = false;
    const closing = tasks.close().then(() => (closed = true));
    expect((await refused(tasks.fetch())).code).toBe("QUDO_CLOSED");
    expect([closed, task!.signal.aborted]).toEqual([false, false]);
    expect(await task!.finish("in time")).toBe(true);
    await closing;
    expect((await attemptsOf(qudo, id!))[0]).toMatchObject({ state: "done", result: "in time" });
    expect(await qudo.monitor.workers()).toEqual([]);
  });

  test("tells what goes on after the grace, and gives it back in the end, at no cost", async () => {
    tune({ abortGraceMs: 50 });
    const qudo = newQudo([]);
    const [id] = await enqueueNotes(qudo, 1);
    const tasks = qudo.queue("notes", quiet());
    const [task] = await tasks.fetch();
    await task!.start();
    const reason = new Promise<unknown>((resolve) =>
      task!.signal.addEventListener("abort", () => resolve(task!.signal.reason)),
    );
    const closing = tasks.close({ grace: 0 });
    expect(await reason).toMatchObject({ code: "QUDO_JOB_STOPPED" });
    expect(task!.active).toBe(true);
    await closing;
    expect([task!.active, task!.state]).toEqual([false, "released"]);
    expect(await task!.finish()).toBe(false);
    expect(await qudo.jobs.get(id!)).toMatchObject({ state: "pending", fails: 0, crashes: 0 });
    expect(await qudo.monitor.workers()).toEqual([]);
    await expectSound(qudo);
  });

  test("of its Qudo closes it, also while it waits, or never fetched", async () => {
    const qudo = newQudo([]);
    qudo.queue("idle");
    const tasks = qudo.queue("notes", quiet());
    const waiting = refused(tasks.fetch());
    await until("its session is there", async () => (await qudo.monitor.workers()).length === 1);
    await qudo.close();
    expect((await waiting).code).toBe("QUDO_CLOSED");
    expect((await refused(tasks.fetch())).code).toBe("QUDO_CLOSED");
    expect((await refused((async () => qudo.queue("notes"))())).code).toBe("QUDO_CLOSED");
  });

  test("at once after the first fetch leaves nothing behind", async () => {
    const database = newDatabase();
    const qudo = newQudo([], database);
    await qudo.migrate();
    const tasks: Task[] = [];
    const queue = qudo.queue("notes", quiet());
    const waiting = queue.fetch().then(
      (found) => tasks.push(...found),
      (error: { code?: string }) => expect(error.code).toBe("QUDO_CLOSED"),
    );
    await queue.close();
    await waiting;
    expect(tasks).toEqual([]);
    expect(await qudo.monitor.workers()).toEqual([]);
  });
});
