/** What workers do over hours, which no test could wait for. */
import { expect, test, vi } from "vitest";
import { defineJob, snooze } from "qudo";
import { sleep, testQudo } from "qudo/testing";

vi.setConfig({ testTimeout: 30_000 });

const quick = defineJob("quick", { run: () => undefined });

test("what is done is forgotten after its time, by whoever works", async () => {
  await using kit = await testQudo({ jobs: [quick], keep: { done: "6h" } });
  await kit.work();
  const { id } = await kit.qudo.enqueue(quick, undefined);
  await kit.advance("5h");
  expect(await kit.qudo.jobs.get(id)).toMatchObject({ state: "done" });
  await kit.advance("1h");
  // Beside a second one no time is leapt over, in which they would do such things.
  await kit.work();
  await kit.advance("6m");
  expect(await kit.qudo.jobs.get(id)).toBeNull();
});

test("a handler that takes hours keeps its job, beside others who would take it", async () => {
  const runs: number[] = [];
  const long = defineJob("long", {
    run: async (_: null, { run }) => {
      runs.push(run);
      await sleep("10m");
    },
  });
  await using kit = await testQudo({ jobs: [long] });
  const workers = [await kit.work(), await kit.work()];
  await kit.qudo.enqueue(long, null);
  await kit.advance("11m");
  expect([runs, workers.reduce((sum, { stats }) => sum + stats.done, 0)]).toEqual([[1], 1]);
});

test("the session of a dead worker goes, and that of a living one stays", async () => {
  await using kit = await testQudo({ jobs: [quick] });
  const [dead] = [await kit.work({ name: "dead" }), await kit.work({ name: "alive" })];
  dead.crash();
  const names = async (): Promise<string[]> =>
    (await kit.qudo.monitor.workers()).map(({ name }) => name).toSorted();
  await kit.advance("25s");
  expect(await names()).toEqual(["alive", "dead"]);
  await kit.advance("10s");
  expect(await names()).toEqual(["alive"]);
});

test("a job that is snoozed each hour costs no attempt", async () => {
  let left = 48;
  const polls = defineJob("polls", {
    maxAttempts: 1,
    run: () => (left-- > 0 ? snooze("1h") : "there"),
  });
  await using kit = await testQudo({ jobs: [polls] });
  const { id } = await kit.qudo.enqueue(polls, undefined);
  expect(await kit.drain()).toMatchObject({ snoozed: 48, done: 1, elapsedMs: 48 * 3_600_000 });
  expect(await kit.qudo.jobs.get(id)).toMatchObject({ state: "done", fails: 0, run: 49 });
});

test("a worker that stops aborts its handlers after the grace, and gives back what they leave", async () => {
  const seen: string[] = [];
  const stubborn = defineJob("stubborn", {
    run: async (_: null, { signal }) => {
      await sleep("2h", { signal }).catch((error: Error) => {
        seen.push(error.message);
        throw error;
      });
    },
  });
  await using kit = await testQudo({ jobs: [stubborn] });
  const worker = await kit.work();
  const { id } = await kit.qudo.enqueue(stubborn, null);
  await kit.advance("1s");
  const before = +kit.now();
  await kit.until(worker.stop({ grace: "5m" }));
  expect(+kit.now() - before).toBe(5 * 60_000);
  expect(seen).toEqual([expect.stringContaining("The worker stops")]);
  expect(await kit.qudo.jobs.get(id)).toMatchObject({ state: "pending", fails: 0 });
});

test("a cancel reaches a handler in another process within seconds", async () => {
  const reasons: unknown[] = [];
  const long = defineJob("long", {
    run: async (_: null, { signal }) => {
      await sleep("2h", { signal }).catch((error: unknown) => reasons.push(error));
    },
  });
  await using kit = await testQudo({ jobs: [long] });
  await kit.work();
  const { id } = await kit.qudo.enqueue(long, null);
  await kit.advance("3s");
  expect(await kit.qudo.jobs.cancel(id)).toBe("cancelled");
  await kit.advance("2s");
  expect(reasons).toEqual([expect.objectContaining({ code: "QUDO_JOB_STOPPED" })]);
});
