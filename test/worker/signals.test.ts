/** SIGTERM and SIGINT, to real processes that do nothing about them but have workers. */
import { describe, expect, test } from "vitest";
import { defineJob, type Qudo } from "../../src/index.js";
import { newSignalled, type Actor, type SignalledOptions } from "./fixtures/actors.js";
import { attemptsOf, expectSound, gate, newDatabase, newQudo, refused, until } from "./support.js";

const hold = defineJob("hold", { run: (_n: number) => undefined });

interface Scene {
  readonly qudo: Qudo;
  readonly actor: Actor;
  readonly id: string;
}

/** A process whose handler has started. */
async function working(options: Omit<SignalledOptions, "url">): Promise<Scene> {
  const database = newDatabase();
  const qudo = newQudo([], database);
  const { id } = await qudo.enqueue(hold, 1);
  const actor = newSignalled({ url: database, ...options });
  await actor.heard("started", id);
  await actor.heard("ready");
  return { qudo, actor, id };
}

const ended = async (actor: Actor): Promise<Actor["ended"]> => {
  await until("it has ended", () => actor.ended !== null);
  return actor.ended;
};

const states = async (qudo: Qudo, id: string): Promise<string[]> =>
  (await attemptsOf(qudo, id)).map(({ state }) => state);

describe("a signal", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s lets handlers finish, and then the process ends by it",
    async (signal) => {
      const { qudo, actor, id } = await working({});
      actor.kill(signal);
      // No new ones meanwhile.
      await until(
        "the other worker has left",
        async () => (await qudo.monitor.workers()).length === 1,
      );
      const { id: late } = await qudo.enqueue(hold, 2);
      actor.tell("finish");
      expect(await ended(actor)).toEqual({ signal, code: null });
      expect(await states(qudo, id)).toEqual(["done"]);
      expect((await qudo.jobs.get(late))?.state).toBe("pending");
      expect(await qudo.monitor.workers()).toEqual([]);
      await expectSound(qudo);
    },
  );

  test("and a handler that obeys only after the grace: given back at no cost", async () => {
    const { qudo, actor, id } = await working({ worker: { grace: "50ms" } });
    actor.kill("SIGTERM");
    expect(await ended(actor)).toEqual({ signal: "SIGTERM", code: null });
    expect(await states(qudo, id)).toEqual(["released"]);
    expect(await qudo.jobs.get(id)).toMatchObject({ state: "pending", fails: 0, crashes: 0 });
  });

  test("and a handler that never obeys: given back as the last act, at no cost", async () => {
    const { qudo, actor, id } = await working({ worker: { grace: "50ms" }, deaf: true });
    actor.kill("SIGTERM");
    await actor.heard("aborted", id);
    expect(await ended(actor)).toEqual({ signal: "SIGTERM", code: null });
    expect(await states(qudo, id)).toEqual(["released"]);
    expect(await qudo.jobs.get(id)).toMatchObject({ state: "pending", fails: 0, crashes: 0 });
    expect(await qudo.monitor.workers()).toEqual([]);
    await expectSound(qudo);
  });

  test("that comes twice at once, as through npx, counts once", async () => {
    const { qudo, actor, id } = await working({});
    actor.kill("SIGINT");
    actor.kill("SIGINT");
    await until(
      "the other worker has left",
      async () => (await qudo.monitor.workers()).length === 1,
    );
    actor.tell("finish");
    expect(await ended(actor)).toEqual({ signal: "SIGINT", code: null });
    expect(await states(qudo, id)).toEqual(["done"]);
  });

  test("that comes a second time ends it at once, and what ran is given back", async () => {
    const { qudo, actor, id } = await working({ deaf: true });
    actor.kill("SIGINT");
    await until(
      "the other worker has left",
      async () => (await qudo.monitor.workers()).length === 1,
    );
    await new Promise((resolve) => setTimeout(resolve, 350));
    const begin = performance.now();
    actor.kill("SIGINT");
    expect(await ended(actor)).toEqual({ signal: "SIGINT", code: null });
    expect(performance.now() - begin).toBeLessThan(1_500);
    expect(await states(qudo, id)).toEqual(["released"]);
    expect(await qudo.jobs.get(id)).toMatchObject({ state: "pending", fails: 0, crashes: 0 });
    await expectSound(qudo);
  });

  test("that the program hears itself stops the workers and nothing else", async () => {
    const { qudo, actor, id } = await working({ own: true });
    actor.kill("SIGTERM");
    await actor.heard("heard");
    actor.tell("finish");
    await until(
      "both have stopped",
      () => actor.said.filter((s) => s.event === "stopped").length === 2,
    );
    expect(await states(qudo, id)).toEqual(["done"]);
    expect(actor.ended).toBeNull();
    actor.tell("stop");
    expect(await ended(actor)).toEqual({ signal: null, code: 0 });
  });

  test("is left to the program with signals: false", async () => {
    const { qudo, actor, id } = await working({ worker: { signals: false } });
    actor.kill("SIGTERM");
    expect(await ended(actor)).toEqual({ signal: "SIGTERM", code: null });
    expect(await states(qudo, id)).toEqual([]);
  });
});

const count = (): number => process.listenerCount("SIGTERM") + process.listenerCount("SIGINT");

describe("the listeners", () => {
  test("are there as long as a worker wants them, one for all", async () => {
    const job = defineJob("any", { run: () => undefined });
    const qudo = newQudo([job]);
    const before = count();
    const quiet = await qudo.work({ signals: false });
    expect(count()).toBe(before);
    const [one, two] = [await qudo.work(), await qudo.work()];
    expect(count()).toBe(before + 2);
    await one.stop();
    expect(count()).toBe(before + 2);
    await two.stop();
    expect(count()).toBe(before);
    await quiet.stop();
    for (const options of [{ signals: 1 }, { prune: "no" }, { grace: "soon" }])
      expect((await refused(qudo.work(options as object))).name).toBe("InvalidInputError");
  });
});

test("a job cancelled by another process: its handler knows within about a second", async () => {
  const { qudo, actor, id } = await working({});
  await until("it is shown as running", async () => (await qudo.jobs.get(id))?.state === "running");
  const aborted = gate<number>();
  const begin = performance.now();
  expect(await qudo.jobs.cancel(id)).toBe("cancelled");
  expect((await actor.heard("aborted", id)).code).toBe("QUDO_JOB_STOPPED");
  aborted.open(performance.now() - begin);
  const ms = await aborted.passed;
  console.log(`aborted ${Math.round(ms)} ms after the cancel`);
  expect(ms).toBeLessThan(1_500);
  expect(await states(qudo, id)).toEqual(["cancelled"]);
});
