/** Real processes that are killed, stopped and woken again. */
import { describe, expect, test } from "vitest";
import { defineJob, type Qudo } from "../../src/index.js";
import { newActor, type Actor } from "./fixtures/actors.js";
import { attemptsOf, expectSound, newDatabase, newQudo, totals, until } from "./support.js";

const hold = defineJob("hold", { run: (_n: number) => undefined });
const work = defineJob("work", { run: (_ms: number) => undefined });
const pill = defineJob("pill", { run: () => undefined });

async function newFile(): Promise<{ url: string; qudo: Qudo }> {
  const database = newDatabase();
  const qudo = newQudo([], database);
  await qudo.migrate();
  return { url: database, qudo };
}

async function ready(...actors: Actor[]): Promise<void> {
  await Promise.all(actors.map((actor) => actor.heard("ready")));
}

describe("processes", () => {
  test("kill -9: another one on this host runs the jobs again at once, though the lease is 30 s", async () => {
    const { url, qudo } = await newFile();
    const victim = newActor({ url, concurrency: 5 });
    await ready(victim);
    const enqueued = await qudo.enqueueMany(
      Array.from({ length: 5 }, (_, i) => [hold, i] as const),
    );
    for (const { id } of enqueued) await victim.heard("started", id);
    const heir = newActor({ url, concurrency: 10 });
    await ready(heir);
    const killed = performance.now();
    victim.kill("SIGKILL");
    for (const { id } of enqueued) expect((await heir.heard("started", id)).run).toBe(2);
    const tookMs = performance.now() - killed;
    console.log(`started again after ${Math.round(tookMs)} ms`);
    expect(tookMs).toBeLessThan(2_500);
    heir.tell("finish");
    await until("all are done", async () => (await totals(qudo)).done === 5);
    for (const { id } of enqueued)
      expect((await attemptsOf(qudo, id)).map(({ state }) => state)).toEqual(["crashed", "done"]);
    await expectSound(qudo);
  });

  test("four on one file: each is served", async () => {
    const { url, qudo } = await newFile();
    const actors = Array.from({ length: 4 }, () => newActor({ url, concurrency: 5 }));
    await ready(...actors);
    await until("all sessions are open", async () => (await qudo.monitor.workers()).length === 4);
    const jobs = 2_000;
    await qudo.enqueueMany(Array.from({ length: jobs }, () => [work, 2] as const));
    await until("all are done", async () => (await totals(qudo)).done === jobs, 20_000);
    const shares = new Map<unknown, number>(actors.map(({ pid }) => [pid, 0]));
    for (const { result } of await attemptsOf(qudo)) shares.set(result, shares.get(result)! + 1);
    console.log(`shares of ${jobs} jobs: ${[...shares.values()].join(", ")}`);
    expect(shares.size).toBe(4);
    for (const share of shares.values()) expect(share).toBeGreaterThan(0);
    for (const actor of actors) actor.tell("stop");
    await until("all have left", () => actors.every(({ ended }) => ended !== null));
    expect(await qudo.monitor.workers()).toEqual([]);
    await expectSound(qudo);
  });

  test("SIGSTOP beyond the lease: others do the jobs, the sleeper's own end comes too late", async () => {
    const { url, qudo } = await newFile();
    const sleeper = newActor({ url, lease: "1s", concurrency: 3 });
    await ready(sleeper);
    const enqueued = await qudo.enqueueMany(
      Array.from({ length: 3 }, (_, i) => [hold, i] as const),
    );
    for (const { id } of enqueued) await sleeper.heard("started", id);
    const heir = newActor({ url, lease: "1s", concurrency: 10 });
    await ready(heir);
    sleeper.kill("SIGSTOP");
    for (const { id } of enqueued) expect((await heir.heard("started", id)).run).toBe(2);
    heir.tell("finish");
    await until("the other one did them", async () => (await totals(qudo)).done === 3);
    const before = await attemptsOf(qudo);
    sleeper.kill("SIGCONT");
    const woken = performance.now();
    for (const { id } of enqueued)
      expect((await sleeper.heard("aborted", id)).code).toBe("QUDO_JOB_STOPPED");
    const tookMs = performance.now() - woken;
    console.log(`aborted ${Math.round(tookMs)} ms after SIGCONT`);
    expect(tookMs).toBeLessThan(1_000);
    sleeper.tell("finish");
    await until("its late ends were counted", () => {
      sleeper.tell("stats");
      return sleeper.said.some(({ event, lost }) => event === "stats" && lost === 3);
    });
    expect(await attemptsOf(qudo)).toEqual(before);
    for (const { result } of before.filter(({ state }) => state === "done"))
      expect(result).toBe(heir.pid);
    // It lives on under a new session, and works.
    heir.tell("stop");
    await until("the other one has left", () => heir.ended !== null);
    await qudo.enqueue(work, 1);
    await until("the sleeper works again", async () => (await totals(qudo)).done === 4);
    await expectSound(qudo);
  });

  test("a pill that kills its process is condemned after three crashes, and no innocent with it", async () => {
    const { url, qudo } = await newFile();
    const innocent = 60;
    const { id } = await qudo.enqueue(pill, null);
    await qudo.enqueueMany(Array.from({ length: innocent }, () => [work, 20] as const));
    let deaths = 0;
    let supervised = true;
    const supervise = (): void => {
      const actor = newActor({ url, concurrency: 5 });
      actor.process.once("exit", () => {
        deaths++;
        if (supervised) supervise();
      });
    };
    supervise();
    await until(
      "everything has ended",
      async () => {
        const { done, abandoned } = await totals(qudo);
        return done === innocent && abandoned === 1;
      },
      20_000,
    );
    supervised = false;
    expect(deaths).toBe(3);
    const attempts = (await attemptsOf(qudo, id)).filter(({ state }) => state !== "released");
    expect(attempts.map(({ state, reason }) => [state, reason])).toEqual([
      ["crashed", null],
      ["crashed", null],
      ["abandoned", "crashes"],
    ]);
    await expectSound(qudo);
  });
});
