/** Workers of a test that die, or stand still, and what others find of them. */
import { describe, expect, test, vi } from "vitest";
import { defineJob } from "qudo";
import { sleep, testQudo, type CrashPoint } from "qudo/testing";

vi.setConfig({ testTimeout: 30_000 });

const LEASE_MS = 30_000;

/** A job that counts its calls. */
function counting() {
  const calls = { n: 0 };
  return { calls, job: defineJob("count", { run: () => ++calls.n }) };
}

describe("a worker dies", () => {
  test.each<[CrashPoint["after"], before: number, after: number]>([
    ["claim", 0, 1],
    ["start", 0, 1],
    ["handler", 1, 2],
  ])("after %s: others do its job when its lease is over", async (after, before, all) => {
    const { calls, job } = counting();
    await using kit = await testQudo({ jobs: [job] });
    const { id } = await kit.qudo.enqueue(job, null);
    const dead = await kit.crashWorker({ after });
    expect([dead.life, calls.n]).toEqual(["dead", before]);
    expect(await kit.drain()).toMatchObject({ crashed: 1, done: 1, elapsedMs: LEASE_MS });
    expect(calls.n).toBe(all);
    expect(await kit.qudo.jobs.get(id)).toMatchObject({ state: "done", run: 2, crashes: 1 });
    expect((await kit.qudo.doctor()).violations).toEqual([]);
  });

  test("after settle: its job is done, and nobody does it again", async () => {
    const { calls, job } = counting();
    await using kit = await testQudo({ jobs: [job] });
    const { id } = await kit.qudo.enqueue(job, null);
    const dead = await kit.crashWorker({ after: "settle" });
    expect(dead.stats.done).toBe(0);
    expect(await kit.drain()).toMatchObject({ done: 0, crashed: 0 });
    expect(calls.n).toBe(1);
    expect(await kit.qudo.jobs.get(id)).toMatchObject({ state: "done", run: 1 });
  });

  test("at a job of one kind, after others", async () => {
    const { calls, job } = counting();
    const pill = defineJob("pill", { run: () => undefined });
    await using kit = await testQudo({ jobs: [job, pill] });
    await kit.qudo.enqueueMany([
      [job, null],
      [pill, null],
    ]);
    await kit.crashWorker({ after: "start", job: pill });
    expect(calls.n).toBe(1);
  });

  test("by hand, while its handler runs: what that still does counts for nobody", async () => {
    const ends: string[] = [];
    const job = defineJob("slow", {
      run: async (_: null, { run }) => {
        await sleep("10s");
        ends.push(`run ${run}`);
      },
    });
    await using kit = await testQudo({ jobs: [job] });
    const worker = await kit.work();
    await kit.qudo.enqueue(job, null);
    await kit.advance("5s");
    worker.crash();
    await kit.advance("1m");
    expect(ends).toEqual([]);
    await kit.drain();
    expect(ends).toEqual(["run 2"]);
  });

  test("with a pill three times: it is condemned, and the innocent is not", async () => {
    const { calls, job } = counting();
    const pill = defineJob("pill", { run: () => undefined });
    await using kit = await testQudo({ jobs: [pill, job] });
    const { id } = await kit.qudo.enqueue(pill, null);
    for (let n = 1; n <= 3; n++) {
      await kit.crashWorker({ after: "start", job: pill });
      // By others, who know nothing of the pill: so that its time comes once more.
      await kit.advance("2s");
    }
    await kit.qudo.enqueue(job, null);
    await kit.drain();
    expect(await kit.qudo.jobs.get(id)).toMatchObject({ state: "abandoned", crashes: 3 });
    expect(calls.n).toBe(1);
  });
});

describe("a worker stands still", () => {
  test("and others take its job; when it comes back its outcome is lost", async () => {
    const done: number[] = [];
    const job = defineJob("slow", {
      run: async (_: null, { run, signal }) => {
        await sleep("20s", { signal });
        done.push(run);
      },
    });
    await using kit = await testQudo({ jobs: [job] });
    const frozen = await kit.work();
    const { id } = await kit.qudo.enqueue(job, null);
    await kit.advance("1s");
    frozen.freeze();
    const other = await kit.work();
    await kit.advance("2m");
    expect([done, other.stats.done, frozen.stats.done]).toEqual([[2], 1, 0]);
    frozen.thaw();
    await kit.advance("1m");
    expect(frozen.stats).toMatchObject({ done: 0, lost: 1 });
    const outcomes = [];
    for await (const { run, state } of kit.qudo.attempts.list({ job: id }))
      outcomes.push([run, state]);
    expect(outcomes).toEqual([
      [1, "crashed"],
      [2, "done"],
    ]);
  });

  test("for less than its lease: nothing is lost", async () => {
    const { calls, job } = counting();
    await using kit = await testQudo({ jobs: [job] });
    const frozen = await kit.work();
    frozen.freeze();
    await kit.work();
    await kit.advance("20s");
    frozen.thaw();
    await kit.qudo.enqueue(job, null);
    await kit.advance("1s");
    expect(calls.n).toBe(1);
    expect(await kit.qudo.monitor.workers()).toHaveLength(2);
  });
});

test("a worker that stops lets its handler finish", async () => {
  const ends: string[] = [];
  const job = defineJob("slow", {
    run: async () => {
      await sleep("20s");
      ends.push("finished");
    },
  });
  await using kit = await testQudo({ jobs: [job] });
  const worker = await kit.work();
  await kit.qudo.enqueue(job, null);
  await kit.advance("1s");
  await kit.until(worker.stop());
  expect([ends, worker.stats.done]).toEqual([["finished"], 1]);
});
