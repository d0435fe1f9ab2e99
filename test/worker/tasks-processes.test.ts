/** Processes that consume by hand: killed, and told to stop. */
import { describe, expect, test } from "vitest";
import { defineJob, type Qudo } from "../../src/index.js";
import { newConsumer, type Actor, type ConsumerOptions } from "./fixtures/actors.js";
import { attemptsOf, expectSound, newDatabase, newQudo, silent, until } from "./support.js";

const note = defineJob("note", { queue: "notes", run: (_n: number) => undefined });

/** A process may take long to begin, and to end, on a machine that does much else. */
const START_MS = 30_000;

async function consuming(n: number, options: Omit<ConsumerOptions, "url"> = {}) {
  const database = newDatabase();
  const qudo = newQudo([], database);
  const ids: string[] = [];
  for (let i = 0; i < n; i++) ids.push((await qudo.enqueue(note, i)).id);
  const actor = newConsumer({ url: database, batch: n, ...options });
  await actor.heard("ready", undefined, START_MS);
  return { database, qudo, ids, actor };
}

const ended = async (actor: Actor): Promise<Actor["ended"]> => {
  await until("it has ended", () => actor.ended !== null, START_MS);
  return actor.ended;
};

const statesOf = async (qudo: Qudo, id: string): Promise<string[]> =>
  (await attemptsOf(qudo, id)).map(({ state }) => state);

describe("a process that consumes by hand", () => {
  test("killed: its tasks come back to whoever fetches on this host, though the lease is 30 s", async () => {
    const { qudo, ids, actor } = await consuming(3);
    actor.kill("SIGKILL");
    const heir = qudo.queue("notes", { logger: silent() });
    const seen: string[] = [];
    while (seen.length < 3)
      for (const task of await heir.fetch(3)) {
        expect(task.run).toBe(2);
        seen.push(task.id);
        expect(await task.finish("heir")).toBe(true);
      }
    expect(seen.toSorted()).toEqual(ids.toSorted());
    for (const id of ids) expect(await statesOf(qudo, id)).toEqual(["crashed", "done"]);
    await expectSound(qudo);
  });

  test("frozen beyond its lease: what it does when it wakes counts no more", async () => {
    const { database, qudo, ids, actor } = await consuming(1, { queue: { lease: "1s" } });
    actor.kill("SIGSTOP");
    const heir = newQudo([], database).queue("notes", { lease: "1s", logger: silent() });
    const [task] = await heir.fetch();
    expect([task!.id, task!.run]).toEqual([ids[0], 2]);
    actor.tell("finish");
    actor.kill("SIGCONT");
    expect((await actor.heard("stats")).done).toBe(0);
    expect(await task!.finish("heir")).toBe(true);
    expect((await attemptsOf(qudo, ids[0]!)).map(({ state, result }) => [state, result])).toEqual([
      ["crashed", null],
      ["done", "heir"],
    ]);
    await expectSound(qudo);
  });

  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s: what was not started goes back at no cost, what was started is finished, then it ends by it",
    async (signal) => {
      const { qudo, ids, actor } = await consuming(3);
      actor.kill(signal);
      await until("the others are back", async () => {
        const states = await Promise.all(ids.slice(1).map((id) => statesOf(qudo, id)));
        return states.every(([state]) => state === "released");
      });
      actor.tell("finish");
      expect(await ended(actor)).toEqual({ signal, code: null });
      expect(await statesOf(qudo, ids[0]!)).toEqual(["done"]);
      for (const id of ids.slice(1))
        expect(await qudo.jobs.get(id)).toMatchObject({ state: "pending", fails: 0, crashes: 0 });
      expect(await qudo.monitor.workers()).toEqual([]);
      await expectSound(qudo);
    },
  );

  test("a second signal: what was started is given back at once, at no cost", async () => {
    const { qudo, ids, actor } = await consuming(1);
    actor.kill("SIGTERM");
    actor.kill("SIGINT");
    expect((await ended(actor))?.signal).not.toBeNull();
    expect(await statesOf(qudo, ids[0]!)).toEqual(["released"]);
    expect(await qudo.jobs.get(ids[0]!)).toMatchObject({ fails: 0, crashes: 0 });
  });

  test("that listens to signals itself goes on until it ends by itself", async () => {
    const { qudo, ids, actor } = await consuming(1, { own: true });
    actor.kill("SIGTERM");
    await actor.heard("heard");
    actor.tell("finish");
    // Its loop has ended, because the queue is closed.
    await actor.heard("stopped");
    expect(await statesOf(qudo, ids[0]!)).toEqual(["done"]);
    // The loop ends before the session does.
    await until("it has left", async () => (await qudo.monitor.workers()).length === 0);
  });
});
