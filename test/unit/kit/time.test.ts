/** The time of a test: it stands still, moves as far as it is told to, and everything comes at its moment. */
import { expect, test, vi } from "vitest";
import { defineJob, linearThenExponential } from "qudo";
import { sleep, testQudo } from "qudo/testing";

vi.setConfig({ testTimeout: 30_000 });

const START = new Date("2030-01-01T00:00:00Z");
const SECOND = 1_000;
const HOUR = 3_600_000;

/** A job that writes down when it ran, by the clock of its test. */
function diary() {
  const at: [name: string, ms: number][] = [];
  const now = { of: (): Date => START };
  const job = defineJob("write", {
    run: (name: string) => void at.push([name, +now.of() - +START]),
  });
  return { at, job, now };
}

test("stands still until it is moved", async () => {
  const { at, job, now } = diary();
  await using kit = await testQudo({ jobs: [job], start: START });
  now.of = () => kit.now();
  await kit.work();
  await kit.qudo.enqueue(job, "later", { delay: "1h" });
  await kit.advance(3_599);
  expect([at, +kit.now() - +START]).toEqual([[], 3_599 * SECOND]);
  await kit.advance(1);
  expect(at).toEqual([["later", HOUR]]);
});

test("what is due now needs no time, and no word: the worker is woken", async () => {
  const { at, job, now } = diary();
  await using kit = await testQudo({ jobs: [job], start: START });
  now.of = () => kit.now();
  await kit.work();
  await kit.qudo.enqueue(job, "now");
  await kit.quiet();
  expect(at).toEqual([["now", 0]]);
});

test("a drain runs delays in the order of their moments, each at its own", async () => {
  const { at, job, now } = diary();
  await using kit = await testQudo({ jobs: [job], start: START });
  now.of = () => kit.now();
  for (const hours of [300, 1, 20])
    await kit.qudo.enqueue(job, `${hours}`, { delay: hours * 3_600 });
  const drained = await kit.drain();
  expect(at).toEqual([1, 20, 300].map((hours) => [`${hours}`, hours * HOUR]));
  expect(drained).toMatchObject({ done: 3, failed: 0, elapsedMs: 300 * HOUR });
});

test("retries come when their backoff says so, to the last one", async () => {
  const { at, job: write, now } = diary();
  const job = defineJob("fails", {
    backoff: linearThenExponential({ delay: "60s" }),
    run: async (_: null, context) => {
      await write.run("start", context);
      throw new Error("no");
    },
  });
  await using kit = await testQudo({ jobs: [job], start: START });
  now.of = () => kit.now();
  const { id } = await kit.qudo.enqueue(job, null);
  expect(await kit.drain()).toMatchObject({ failed: 5, abandoned: 1 });
  const waits = [60, 120, 180, 240, 300];
  expect(at.map(([, ms]) => ms)).toEqual(
    [0, ...waits].map((_, i) => waits.slice(0, i).reduce((sum, s) => sum + s, 0) * SECOND),
  );
  expect(await kit.qudo.jobs.get(id)).toMatchObject({ state: "abandoned", fails: 6 });
});

test("a drain goes no further than it may", async () => {
  const { at, job } = diary();
  await using kit = await testQudo({ jobs: [job], start: START });
  await kit.qudo.enqueue(job, "soon", { delay: "10m" });
  await kit.qudo.enqueue(job, "late", { delay: "2h" });
  expect(await kit.drain({ within: "1h" })).toMatchObject({ done: 1, elapsedMs: HOUR });
  expect(at.map(([name]) => name)).toEqual(["soon"]);
  expect(await kit.drain()).toMatchObject({ done: 1, elapsedMs: HOUR });
});

test("without a worker nothing but time passes", async () => {
  const { at, job } = diary();
  await using kit = await testQudo({ jobs: [job] });
  await kit.qudo.enqueue(job, "never");
  expect(await kit.advance("40d")).toMatchObject({ done: 0, elapsedMs: 40 * 24 * HOUR });
  expect(at).toEqual([]);
});

test("handlers sleep on it, and what others finish meanwhile is settled", async () => {
  const done: string[] = [];
  const long = defineJob("long", { run: () => sleep("2h") });
  const short = defineJob("short", { run: () => void done.push("short") });
  await using kit = await testQudo({ jobs: [long, short] });
  kit.qudo.on("done", ({ kind }) => void done.push(`${kind} is done`));
  await kit.qudo.enqueue(long, null);
  await kit.qudo.enqueue(short, null, { delay: "1h" });
  expect(await kit.drain()).toMatchObject({ done: 2, elapsedMs: 2 * HOUR });
  expect(done).toEqual(["short", "short is done", "long is done"]);
});

test("a time-out aborts the signal at its moment", async () => {
  const waits = defineJob("waits", {
    timeout: "90s",
    maxAttempts: 1,
    run: (_: null, job) =>
      new Promise<void>((_resolve, reject) => {
        job.signal.addEventListener("abort", () => reject(job.signal.reason as Error));
      }),
  });
  await using kit = await testQudo({ jobs: [waits], patience: 20 });
  const { id } = await kit.qudo.enqueue(waits, null);
  expect(await kit.drain()).toMatchObject({ abandoned: 1, elapsedMs: 90 * SECOND });
  const attempt = (await kit.qudo.jobs.get(id))?.last;
  expect(attempt?.error).toContain("QUDO_JOB_TIMEOUT");
});

test("handlers that wait for something real are given real time, and no time passes", async () => {
  const real = defineJob("real", {
    timeout: "1s",
    run: () => new Promise((resolve) => setTimeout(() => resolve("slept"), 30)),
  });
  await using kit = await testQudo({ jobs: [real] });
  const job = await kit.qudo.enqueue(real, null);
  expect(await kit.drain()).toMatchObject({ done: 1, elapsedMs: 0 });
  expect(await job.result()).toBe("slept");
});

test("moves until a promise has settled", async () => {
  const { job } = diary();
  await using kit = await testQudo({ jobs: [job] });
  await kit.work();
  const late = await kit.qudo.enqueue(job, "late", { delay: "3h" });
  await kit.until(late.result());
  const never = await kit.qudo.enqueue(job, "never", { delay: "30d" });
  await expect(kit.until(never.result({ timeout: "1h" }))).rejects.toMatchObject({
    code: "QUDO_RESULT_TIMEOUT",
  });
  await expect(kit.until(Promise.reject(new Error("mine")))).rejects.toThrow("mine");
});

test("needs no time of the test's runner, and none of it", async () => {
  vi.useFakeTimers();
  try {
    const { at, job } = diary();
    await using kit = await testQudo({ jobs: [job] });
    await kit.qudo.enqueue(job, "one", { delay: "1h" });
    await kit.drain();
    expect(at).toHaveLength(1);
  } finally {
    vi.useRealTimers();
  }
});

/** Milliseconds that three tries with delays by chance take. */
async function delays(seed?: number): Promise<number> {
  const job = defineJob("fails", {
    maxAttempts: 3,
    backoff: (_fails, chance) => chance * 60_000,
    run: () => {
      throw new Error("no");
    },
  });
  await using kit = await testQudo({ jobs: [job], ...(seed !== undefined && { seed }) });
  await kit.qudo.enqueue(job, null);
  return (await kit.drain()).elapsedMs;
}

test("chance is the same in every run of a test", async () => {
  expect(await delays()).toBe(await delays());
  expect(await delays(2)).not.toBe(await delays(3));
});
