/** How a kit is made, what it refuses, and what it says when nothing will come. */
import { expect, test, vi } from "vitest";
import { defineJob, jobsWith, Qudo } from "qudo";
import { sleep, testQudo } from "qudo/testing";
import { openHandle } from "../../conformance/support/handle.js";

vi.setConfig({ testTimeout: 30_000 });

const nothing = defineJob("nothing", { run: () => undefined });

test("handlers find their context, in the test's own process and in others", async () => {
  const seen: string[] = [];
  const job = jobsWith<{ name: string }>()("greet", {
    run: (_: null, { context }) => void seen.push(context.name),
  });
  await using kit = await testQudo({ jobs: [job], context: { name: "anna" } });
  await kit.qudo.enqueue(job, null);
  await kit.drain();
  await kit.work();
  await kit.qudo.enqueue(job, null);
  await kit.drain();
  expect(seen).toEqual(["anna", "anna"]);
});

test("a program's own function makes each Qudo", async () => {
  const made: Qudo[] = [];
  const create = ({ databases, world }: Parameters<typeof program>[0]): Qudo => {
    made.push(program({ databases, world }));
    return made.at(-1)!;
  };
  const program = (given: {
    databases: { url?: string };
    world: ConstructorParameters<typeof Qudo>[1];
  }): Qudo => new Qudo({ databases: given.databases, jobs: [nothing] }, given.world);
  await using kit = await testQudo({ create });
  await kit.qudo.enqueue(nothing, null, { delay: "1h" });
  expect(await kit.drain()).toMatchObject({ done: 1, elapsedMs: 3_600_000 });
  await kit.work();
  expect(made).toHaveLength(2);
});

test("a handle of the test's own: jobs in its transactions", async () => {
  const handle = await openHandle(":memory:");
  handle.exec("create table bill (id integer primary key)");
  const job = defineJob("bill", {
    run: async (id: number, { completeIn }) => {
      handle.exec("begin immediate");
      handle.exec(`insert into bill values (${id})`);
      await completeIn(handle);
      handle.exec("commit");
    },
  });
  await using kit = await testQudo({ jobs: [job], handle });
  handle.exec("begin immediate");
  kit.qudo.in(handle).enqueueSync(job, 1);
  handle.exec("rollback");
  handle.exec("begin immediate");
  kit.qudo.in(handle).enqueueSync(job, 2, { delay: "1d" });
  handle.exec("commit");
  await kit.expectEnqueued(job, { times: 1, payload: 2, delay: "1d" });
  expect(await kit.drain()).toMatchObject({ done: 1, failed: 0, elapsedMs: 86_400_000 });
  expect(handle.prepare("select id from bill").all()).toEqual([expect.objectContaining({ id: 2 })]);
});

test("a handler that does not return is named", async () => {
  const hangs = defineJob("hangs", { run: () => new Promise<never>(() => undefined) });
  await using kit = await testQudo({ jobs: [hangs], patience: 10 });
  await kit.qudo.enqueue(hangs, null);
  await expect(kit.drain()).rejects.toThrow(/Handlers that have not returned: "hangs"/);
  await expect(kit.drain()).rejects.toMatchObject({ code: "QUDO_TEST_STUCK" });
});

test("jobs that beget jobs have an end", async () => {
  const queue: { of?: Qudo } = {};
  const begets = defineJob("begets", {
    run: async (): Promise<void> =>
      void (await queue.of?.enqueue(next, undefined, { delay: "1s" })),
  });
  const next = defineJob("next", {
    run: async (): Promise<void> => void (await queue.of?.enqueue(begets, undefined)),
  });
  await using kit = await testQudo({ jobs: [begets, next] as const });
  queue.of = kit.qudo as unknown as Qudo;
  await kit.qudo.enqueue(begets, undefined);
  await expect(kit.drain({ limit: 20 })).rejects.toThrow(/More than 20 runs/);
});

test("jobs that nobody may do are left, and not waited for", async () => {
  const unknown = defineJob("unknown", { run: () => undefined });
  await using kit = await testQudo({ jobs: [nothing] });
  await kit.qudo.enqueue(unknown, undefined);
  await kit.qudo.enqueue(nothing, undefined, { queue: "paused" });
  await kit.qudo.pause("paused");
  expect(await kit.drain()).toMatchObject({ done: 0, elapsedMs: 0 });
  await kit.qudo.resume("paused");
  expect(await kit.drain()).toMatchObject({ done: 1 });
});

test("a drain finds queues that no kind names", async () => {
  await using kit = await testQudo({ jobs: [nothing] });
  await kit.qudo.enqueue(nothing, undefined, { queue: "elsewhere" });
  expect(await kit.drain()).toMatchObject({ done: 1 });
});

test("where there is no job to die at", async () => {
  await using kit = await testQudo({ jobs: [nothing] });
  await expect(kit.crashWorker({ after: "start" })).rejects.toMatchObject({
    code: "QUDO_TEST_STUCK",
    message: expect.stringContaining('the point "start"'),
  });
});

test("nothing that could be waited for", async () => {
  await using kit = await testQudo({ jobs: [nothing] });
  await expect(kit.until(new Promise(() => undefined))).rejects.toMatchObject({
    code: "QUDO_TEST_STUCK",
  });
  await expect(sleep("1s")).rejects.toMatchObject({ code: "QUDO_TEST_STUCK" });
});

const refused = (given: object): Promise<unknown> => testQudo(given as { jobs: [] });

test("refuses what it does not know", async () => {
  await expect(refused({ jobs: [], clock: 1 })).rejects.toMatchObject({
    code: "QUDO_UNKNOWN_OPTION",
  });
  await expect(refused({ jobs: [], patience: -1 })).rejects.toMatchObject({
    code: "QUDO_INVALID_OPTION",
  });
  await expect(refused({ jobs: [], databases: "sqlite:x.db" })).rejects.toMatchObject({
    code: "QUDO_UNKNOWN_OPTION",
  });
  await using kit = await testQudo({ jobs: [nothing] });
  const crash = (point: object) => kit.crashWorker(point as { after: "claim" });
  await expect(crash({ after: "lunch" })).rejects.toThrow(/claim, start, handler, settle/);
  await expect(crash({ before: "claim" })).rejects.toMatchObject({ code: "QUDO_UNKNOWN_OPTION" });
  await expect(kit.drain({ until: 1 } as object)).rejects.toMatchObject({
    code: "QUDO_UNKNOWN_OPTION",
  });
  await expect(kit.advance("soon")).rejects.toMatchObject({ code: "QUDO_INVALID_DURATION" });
});
