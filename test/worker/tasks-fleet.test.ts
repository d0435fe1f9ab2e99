/** Consuming by hand from several databases: all of them are fetched from, none of them is waited for that is out. */
import { afterEach, describe, expect, test } from "vitest";
import { registry } from "../../src/core/job.js";
import { DEFAULTS } from "../../src/core/defaults.js";
import { defineJob, Qudo, type Task } from "../../src/index.js";
import { REAL } from "../../src/storage/time.js";
import { Fleet } from "../../src/worker/fleet.js";
import { Consumer } from "../../src/worker/tasks/queue.js";
import { Sea, twoSeas } from "./fleets.js";
import { closing, gate, newDatabase, order, refused, silent, until } from "./support.js";

const consumers: Consumer[] = [];

afterEach(async () => {
  await Promise.all(consumers.splice(0).map((consumer) => consumer.close({ grace: 0 })));
});

/** A consumer of "default" over these. */
function consuming(seas: readonly Sea[]): Consumer {
  const parts = seas.map(({ part }) => part);
  const consumer: Consumer = new Consumer(
    "default",
    { logger: silent(), signals: false },
    {
      registry: registry([]),
      keep: DEFAULTS,
      queueLimits: new Map(),
      time: REAL,
      start: async (kinds, settings, hand) =>
        new Fleet(parts, kinds, settings, (database) => ({
          onWork: () => consumer.wake(database),
          hand,
        })),
      enqueue: () => Promise.reject(new Error("not here")),
      purge: () => Promise.reject(new Error("not here")),
    },
  );
  consumers.push(consumer);
  return consumer;
}

const orders = (n: number) => Array.from({ length: n }, () => order("job"));

const states = async ({ driver }: Sea, task: Task): Promise<string[]> =>
  (await driver.listAttempts({ limit: 100 })).rows
    .filter(({ job }) => job === task.id)
    .map(({ state }) => state);

describe("several databases", () => {
  test("are all fetched from; each task is settled where it was", async () => {
    const seas = await twoSeas();
    const [a, b] = seas;
    await a.driver.insertJobs(orders(6));
    await b.driver.insertJobs(orders(4));
    const tasks = consuming(seas);
    const seen: string[] = [];
    for await (const task of tasks.each({ batch: 3, timeout: "50ms" })) {
      seen.push(task.database!);
      expect(await task.start()).toBe(true);
      expect(await task.finish(task.database)).toBe(true);
    }
    expect(seen.filter((name) => name === "a")).toHaveLength(6);
    expect(seen.filter((name) => name === "b")).toHaveLength(4);
    expect(await a.driver.counts({})).toMatchObject([{ done: 6, pending: 0 }]);
    expect(await b.driver.counts({})).toMatchObject([{ done: 4, pending: 0 }]);
    await tasks.close();
    for (const { driver } of seas) {
      expect(await driver.sessions()).toEqual([]);
      expect(await driver.audit()).toEqual([]);
    }
  });

  test("give no more than was asked for: the rest stays for others", async () => {
    const seas = [await Sea.open("a"), await Sea.open("b"), await Sea.open("c")];
    for (const { driver } of seas) await driver.insertJobs(orders(5));
    const tasks = consuming(seas);
    const held = [...(await tasks.fetch(2)), ...(await tasks.fetch(1)), ...(await tasks.fetch(4))];
    expect(held.length).toBeGreaterThanOrEqual(3);
    // What another database brings when a fetch has been served already is for the next one, and given back after a second.
    await until("nothing is held but what was handed out", async () => {
      let [reserved, pending] = [0, 0];
      for (const { driver } of seas)
        for (const lane of await driver.counts({})) {
          reserved += lane.reserved;
          pending += lane.pending;
        }
      return reserved === held.length && pending === 15 - held.length;
    });
    // What was given back cost nothing.
    for (const { driver } of seas)
      for (const { state } of (await driver.listAttempts({ limit: 10 })).rows)
        expect(state).toBe("released");
  });

  test("one by one are all looked at, before it is said that there is nothing", async () => {
    const seas = [await Sea.open("a"), await Sea.open("b"), await Sea.open("c")];
    const tasks = consuming(seas);
    for (const sea of seas) {
      await sea.driver.insertJobs(orders(1));
      const [task] = await tasks.fetch(1, { timeout: 0 });
      expect(task?.database).toBe(sea.name);
      await task!.finish();
      expect(await tasks.fetch(1, { timeout: 0 })).toEqual([]);
    }
  });

  test("one of which is out: the others go on, and it is fetched from when it is back", async () => {
    const seas = await twoSeas({ retryMs: 50 });
    const [a, b] = seas;
    await a.driver.insertJobs(orders(1));
    await b.driver.insertJobs(orders(2));
    a.down = true;
    const tasks = consuming(seas);
    const found = [...(await tasks.fetch(1)), ...(await tasks.fetch(1))];
    expect(found.map(({ database }) => database)).toEqual(["b", "b"]);
    for (const task of found) expect(await task.finish()).toBe(true);
    const waiting = tasks.fetch(1);
    a.down = false;
    const [task] = await waiting;
    expect(task!.database).toBe("a");
    expect(await task!.finish()).toBe(true);
  });

  test("a task of one that went out meanwhile is settled when it is back", async () => {
    const seas = await twoSeas({ retryMs: 50 });
    const [a, b] = seas;
    await a.driver.insertJobs(orders(1));
    const tasks = consuming(seas);
    const [task] = await tasks.fetch(1);
    await task!.start();
    a.down = true;
    const finished = task!.finish("kept");
    await until("it was tried", () => a.tries.includes("trip"));
    // The other one is not held up.
    await b.driver.insertJobs(orders(1));
    tasks.wake("b");
    const [other] = await tasks.fetch(1);
    expect(other!.database).toBe("b");
    expect(await other!.finish()).toBe(true);
    a.down = false;
    expect(await finished).toBe(true);
    expect(await states(a, task!)).toEqual(["done"]);
  });

  test("one that answers slowly holds up nobody who can be served by another one", async () => {
    const seas = await twoSeas();
    const [a, b] = seas;
    const tasks = consuming(seas);
    expect(await tasks.fetch(1, { timeout: 0 })).toEqual([]);
    const slow = gate();
    a.before = (operation) => (operation === "trip" ? slow.passed : undefined);
    await b.driver.insertJobs(orders(1));
    const [task] = await tasks.fetch(1);
    expect(task!.database).toBe("b");
    expect(await task!.finish()).toBe(true);
    slow.open();
  });

  test("none of which can be used: whoever waits is told, and the next one tries again", async () => {
    const seas = await twoSeas();
    let broken = true;
    for (const sea of seas)
      sea.before = (operation) => {
        if (broken && operation === "openSession") throw new Error("no such right");
      };
    const tasks = consuming(seas);
    expect((await refused(tasks.fetch(1))).message).toBe("no such right");
    broken = false;
    await seas[0]!.driver.insertJobs(orders(1));
    expect(await tasks.fetch(1)).toHaveLength(1);
  });

  test("through a Qudo: messages go out to all, and are got from all; a purge empties all", async () => {
    const databases = ["a", "b"].map((name) => ({ name, url: newDatabase() }));
    const qudo = closing(new Qudo({ databases, placement: "spread" }));
    const job = defineJob("job", { queue: "box", run: () => undefined });
    const box = qudo.queue("box", { kinds: [job], logger: silent() });
    for (let i = 0; i < 40; i++) await box.addMsg(i);
    const seen = new Map<string, number>();
    for (let i = 0; i < 30; i++) {
      const [message] = (await box.getMsg())!;
      seen.set(message.database!, (seen.get(message.database!) ?? 0) + 1);
      expect(await box.removeMsg(message)).toBe(true);
    }
    expect([...seen.keys()].toSorted()).toEqual(["a", "b"]);
    expect(await box.purge()).toBe(10);
    expect(await box.getMsg({ timeout: 0 })).toBeNull();
    await box.close();
    expect((await qudo.doctor()).violations).toEqual([]);
  });
});
