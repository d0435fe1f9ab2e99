/** Hot reload: a program that is loaded again starts its worker while the one before it stops. */
import { expect, test } from "vitest";
import { defineJob, type Worker } from "../../src/index.js";
import { attemptsOf, expectSound, newDatabase, newQudo, totals, until } from "./support.js";

test("workers that follow one another in one process do every job exactly once", async () => {
  const database = newDatabase();
  const runs = new Map<number, number>();
  /** What a module makes anew each time it is loaded. */
  const load = () => {
    const job = defineJob("work", {
      run: async (n: number) => {
        runs.set(n, (runs.get(n) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, n % 7));
      },
    });
    return { job, qudo: newQudo([job], database) };
  };
  const jobs = 1_000;
  const { job, qudo } = load();
  await qudo.enqueueMany(Array.from({ length: jobs }, (_, n) => [job, n] as const));
  const stopped: Promise<void>[] = [];
  let old: Worker = await qudo.work();
  for (let i = 0; i < 8; i++) {
    const { done } = old.stats;
    const seen = old;
    await until("it works", () => seen.stats.done > done || runs.size === jobs);
    stopped.push(old.stop());
    // The same kinds and queues, on a connection of its own.
    old = await load().qudo.work();
  }
  await until("all are done", async () => (await totals(qudo)).done === jobs, 20_000);
  await Promise.all([...stopped, old.stop()]);
  expect(runs.size).toBe(jobs);
  expect(new Set(runs.values())).toEqual(new Set([1]));
  const ends = (await attemptsOf(qudo)).filter(({ state }) => state !== "released");
  expect(ends).toHaveLength(jobs);
  expect(await qudo.monitor.workers()).toEqual([]);
  await expectSound(qudo);
});
