/** Workers that come and go at random while jobs run: every job ends exactly once, and the database is sound. */
import { expect, test } from "vitest";
import { defineJob, fixed, type JobContext, type Qudo, type Worker } from "../../src/index.js";
import { attemptsOf, expectSound, newDatabase, newQudo, silent, until } from "./support.js";

const JOBS = 2_000;
const WORKERS = 100;
/** Connections to the file; the workers are spread over them. */
const CONNECTIONS = 4;
const TERMINAL = new Set(["done", "abandoned", "cancelled"]);

/** Small, seeded, good enough (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A few milliseconds, unless its signal is aborted. */
function pause(ms: number, { signal }: JobContext): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}

test(`${WORKERS} workers started and stopped at random moments`, async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const random = randomFrom(seed);
  const finished = new Map<number, number>();
  const job = defineJob("work", {
    backoff: fixed("5ms"),
    run: async (n: number, context) => {
      if (n % 3 !== 0) await pause((n * 7) % 9, context);
      if (n % 10 === 1 && context.attempt < 3) throw new Error("not yet");
      if (n % 50 === 7) context.abort("never");
      finished.set(n, (finished.get(n) ?? 0) + 1);
      return n;
    },
  });
  const database = newDatabase();
  const connections: Qudo[] = Array.from({ length: CONNECTIONS }, () => newQudo([job], database));
  const [first] = connections as [Qudo];
  const enqueued = await first.enqueueMany(
    Array.from({ length: JOBS }, (_, n) => [job, n] as const),
  );

  const start = (): Promise<Worker> =>
    connections[Math.floor(random() * CONNECTIONS)]!.work({
      concurrency: 1 + Math.floor(random() * 5),
      logger: silent(),
    });
  const lives = Array.from({ length: WORKERS }, async (_, i) => {
    // Spread over the time the work takes; some stop while they start.
    await pause(i * 8 + random() * 50, { signal: new AbortController().signal } as JobContext);
    const worker = await start();
    await pause(random() * 60, { signal: new AbortController().signal } as JobContext);
    await worker.stop({ grace: random() < 0.5 ? 0 : "50ms" });
    return worker.stats;
  });
  const stats = await Promise.all(lives);
  // The last ones do what is left.
  const finishers = [await start(), await start()];
  await until(
    "all have ended",
    async () => {
      const lanes = await first.monitor.counts();
      return lanes.reduce((sum, lane) => sum + lane.done + lane.abandoned, 0) === JOBS;
    },
    20_000,
  );
  await Promise.all(finishers.map((worker) => worker.stop()));
  stats.push(...finishers.map((worker) => worker.stats));

  const attempts = await attemptsOf(first);
  const ends = new Map<string, string[]>();
  for (const { job: id, state } of attempts)
    if (TERMINAL.has(state)) ends.set(id, [...(ends.get(id) ?? []), state]);
  for (const [n, { id }] of enqueued.entries())
    expect([n, ends.get(id)]).toEqual([n, [n % 50 === 7 ? "abandoned" : "done"]]);
  // No handler was lost: whatever finished was accepted, and nobody crashed or failed by being stopped.
  for (let n = 0; n < JOBS; n++) if (n % 50 !== 7) expect([n, finished.get(n)]).toEqual([n, 1]);
  const count = (state: string): number => attempts.filter((a) => a.state === state).length;
  expect(count("failed")).toBe(2 * enqueued.filter((_, n) => n % 10 === 1).length);
  expect(count("crashed")).toBe(0);
  const sum = (key: "done" | "failed" | "released" | "lost"): number =>
    stats.reduce((total, one) => total + one[key], 0);
  expect(sum("lost")).toBe(0);
  expect([sum("done"), sum("failed")]).toEqual([count("done"), count("failed")]);
  console.log(`released ${sum("released")}, of ${attempts.length} attempts`);
  expect(await first.monitor.workers()).toEqual([]);
  await expectSound(first);
});
