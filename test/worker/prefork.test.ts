/** A parent with real children, each a process that leaves a line in a file for all it does. */
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import {
  defineJob,
  prefork,
  type Prefork,
  type PreforkFigures,
  type PreforkOptions,
} from "../../src/index.js";
import { allReady, kill, lives, scene, SCRIPT, type Told } from "./forked.js";
import { attemptsOf, expectSound, newPath, refused, totals, tune, until } from "./support.js";

const work = defineJob("work", { run: (_ms: number) => undefined });
const hold = defineJob("hold", { run: (_file: string) => undefined });

const dies = defineJob("dies", { run: () => undefined });

test("so many children work, share the jobs, and are gone after stop()", async () => {
  const { qudo, children, lines, pids } = await scene({ processes: 3 });
  expect(new Set(pids()).size).toBe(3);
  expect(pids()).not.toContain(process.pid);
  await qudo.enqueueMany(Array.from({ length: 60 }, () => [work, 20] as const));
  await until("all are done", async () => (await totals(qudo)).done === 60);
  const workers = new Set(lines("did").map(({ pid }) => pid));
  expect(workers.size).toBeGreaterThan(1);
  for (const pid of workers) expect(pids()).toContain(pid);
  await until("their figures tell so", () => children.figures.stats.done === 60, 5_000);
  expect(children.figures).toMatchObject({ state: "working", ready: 3, processes: 3, crashes: 0 });
  for (const { memory, silentMs } of children.figures.children) {
    expect(memory).toBeGreaterThan(1_000_000);
    expect(silentMs).toBeLessThan(5_000);
  }
  const all = pids();
  await children.stop();
  expect(all.filter(lives)).toEqual([]);
  expect(children.figures).toMatchObject({ state: "stopped", ready: 0, children: [] });
  expect(children.figures.stats.done).toBe(60);
  expect(await qudo.monitor.workers()).toEqual([]);
});

test("stop() lets handlers finish; a second order has what runs given back at once", async () => {
  const { qudo, children, lines } = await scene({ processes: 2 });
  const gate = newPath();
  const held = await qudo.enqueue(hold, gate);
  await until("it runs", () => lines("started").length === 1);
  const stopped = children.stop();
  await until("the idle one has left", () => children.figures.children.length === 1);
  writeFileSync(gate, "");
  await stopped;
  expect((await attemptsOf(qudo, held.id)).map(({ state }) => state)).toEqual(["done"]);

  const second = await scene({ processes: 1 });
  const deaf = await second.qudo.enqueue(hold, newPath());
  await until("it runs", () => second.lines("started").length === 1);
  void second.children.stop();
  await sleep(50);
  const begin = performance.now();
  await second.children.stop({ force: true });
  expect(performance.now() - begin).toBeLessThan(2_500);
  expect((await attemptsOf(second.qudo, deaf.id)).map(({ state }) => state)).toEqual(["released"]);
  await expectSound(second.qudo);
});

test("signals from several sides mean the same to a child: its handlers may finish", async () => {
  const { qudo, children, lines, pids } = await scene({ processes: 1 });
  const gate = newPath();
  const held = await qudo.enqueue(hold, gate);
  await until("it runs", () => lines("started").length === 1);
  const [pid] = pids();
  const stopped = children.stop();
  // As a terminal does, and a supervisor that tells every process of a group.
  kill(pid!, "SIGINT");
  await sleep(400);
  kill(pid!, "SIGTERM");
  await sleep(50);
  writeFileSync(gate, "");
  await stopped;
  expect((await attemptsOf(qudo, held.id)).map(({ state }) => state)).toEqual(["done"]);
});

describe("a child that crashes", () => {
  test("is followed by another one, and takes nobody along", async () => {
    const { qudo, children, lines, pids, log } = await scene({ processes: 2 });
    const gate = newPath();
    const held = await qudo.enqueue(hold, gate);
    await until("it runs", () => lines("started").length === 1);
    const victim = lines("started")[0]!.pid;
    const survivor = pids().find((pid) => pid !== victim)!;
    kill(victim, "SIGKILL");
    await until("it runs elsewhere", () => lines("started").length === 2);
    await until("there is a new one", () => children.figures.ready === 2);
    expect(pids()).toContain(survivor);
    expect(pids()).not.toContain(victim);
    expect(children.figures.crashes).toBe(1);
    expect(log.join("\n")).toMatch(
      new RegExp(`child ${victim} crashed \\(SIGKILL\\); another one`),
    );
    writeFileSync(gate, "");
    await until("it is done", async () => (await totals(qudo)).done === 1);
    const states = (await attemptsOf(qudo, held.id)).map(({ state }) => state);
    expect(states).toEqual(["crashed", "done"]);
    await expectSound(qudo);
  });

  test("again and again is followed by pauses that grow, and a pill ends after three", async () => {
    tune({ respawnFirstMs: 100 });
    const { qudo, children, lines } = await scene({ processes: 1 });
    const { id } = await qudo.enqueue(dies, null as never);
    await qudo.enqueueMany(Array.from({ length: 10 }, () => [work, 1] as const));
    await until(
      "all has ended",
      async () => {
        const { done, abandoned } = await totals(qudo);
        return done === 10 && abandoned === 1;
      },
      30_000,
    );
    expect(lines("born").length).toBeGreaterThanOrEqual(3);
    await until("all crashes are counted", () => children.figures.crashes === 3);
    const last = (await attemptsOf(qudo, id)).at(-1);
    expect(last).toMatchObject({ state: "abandoned", reason: "crashes" });
    await expectSound(qudo);
  }, 60_000);

  test("waits longer each time", async () => {
    tune({ respawnFirstMs: 150, respawnLastMs: 400 });
    const { children, log, pids } = await scene({ processes: 1 });
    for (let i = 1; i <= 4; i++) {
      kill(pids()[0]!, "SIGKILL");
      await until("it was seen", () => children.figures.crashes === i);
      await allReady(children);
    }
    const pauses = log.flatMap((line) => /starts in (\d+) ms/.exec(line)?.[1] ?? []);
    expect(pauses).toEqual(["150", "300", "400", "400"]);
  }, 60_000);
});

test("after so many jobs a child leaves, and another one takes its place", async () => {
  tune({ respawnFirstMs: 50 });
  const told: Told = { worker: { concurrency: 4 } };
  const { qudo, children, lines } = await scene({ processes: 2, maxJobs: 10 }, told);
  await qudo.enqueueMany(Array.from({ length: 60 }, () => [work, 2] as const));
  await until("all are done", async () => (await totals(qudo)).done === 60, 30_000);
  const counts = new Map<number, number>();
  for (const { pid } of lines("did")) counts.set(pid, (counts.get(pid) ?? 0) + 1);
  console.log(`jobs of each child: ${[...counts.values()].join(", ")}`);
  expect(counts.size).toBeGreaterThanOrEqual(6);
  for (const n of counts.values()) expect(n).toBeLessThanOrEqual(10);
  expect(children.figures.crashes).toBe(0);
  expect(lines("started").length).toBe(60);
  await expectSound(qudo);
});

test("a child that has left, and stays, is killed", async () => {
  const { qudo, children, lines, pids } = await scene(
    { processes: 1, maxJobs: 1, stopTimeout: "300ms" },
    { how: "lasts" },
  );
  const [first] = pids();
  await qudo.enqueue(work, 1);
  await until("another one is there", () => lines("born").length === 2);
  await until("the first one is gone", () => !lives(first!));
  expect(children.figures.crashes).toBe(0);
});

test("a child that does not end in time is killed", async () => {
  const { children, pids, log } = await scene(
    { processes: 1, stopTimeout: "300ms" },
    { how: "deaf" },
  );
  const [pid] = pids();
  await children.stop();
  expect(lives(pid!)).toBe(false);
  expect(log.join("\n")).toContain(`child ${pid} did not end in time`);
});

test("a child that gives no sign of life is killed, and its jobs run elsewhere", async () => {
  const { qudo, children, lines, pids, log } = await scene({
    processes: 1,
    silenceTimeout: "3s",
  });
  const gate = newPath();
  await qudo.enqueue(hold, gate);
  await until("it runs", () => lines("started").length === 1);
  const [pid] = pids();
  kill(pid!, "SIGSTOP");
  await until("it runs elsewhere", () => lines("started").length === 2, 20_000);
  expect(lives(pid!)).toBe(false);
  expect(log.join("\n")).toMatch(new RegExp(`child ${pid} has given no sign of life for \\d+ s`));
  expect(children.figures.crashes).toBe(1);
  writeFileSync(gate, "");
  await until("it is done", async () => (await totals(qudo)).done === 1);
});

test("a program that cannot work is told of at once, and only once tried", async () => {
  const { children, lines } = await scene({ processes: 4 }, { how: "fails" }, false);
  const error = await refused(children.stopped);
  expect(error).toMatchObject({ name: "ChildFailedError", code: "QUDO_CHILD_FAILED", exitCode: 2 });
  expect(lines("born")).toHaveLength(1);
});

test("a child that is not ready yet can be stopped", async () => {
  const { children, lines } = await scene({ processes: 2 }, { how: "never" }, false);
  await until("it is born", () => lines("born").length === 1);
  expect(await children.restart()).toBe(false);
  await children.stop();
  expect(lives(lines("born")[0]!.pid)).toBe(false);
});

const get = async (
  children: Prefork,
  path: string,
  method = "GET",
): Promise<{ status: number; body: Record<string, unknown> }> => {
  const answer = await fetch(`${children.health}${path}`, { method });
  const text = await answer.text();
  return { status: answer.status, body: text === "" ? {} : JSON.parse(text) };
};

describe("the health endpoint", () => {
  test("tells whether it lives, is ready, and its figures", async () => {
    const { children, qudo } = await scene({ processes: 2, health: 0 }, {}, false);
    expect(children.health).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await get(children, "/live")).toEqual({ status: 200, body: { live: true } });
    expect(await get(children, "/ready")).toEqual({
      status: 503,
      body: { ready: false, children: 0 },
    });
    await allReady(children);
    expect(await get(children, "/ready")).toEqual({
      status: 200,
      body: { ready: true, children: 2 },
    });
    await qudo.enqueue(work, 1);
    await until("it is counted", () => children.figures.stats.done === 1);
    const { body } = await get(children, "/");
    const figures = body as unknown as PreforkFigures;
    expect(figures).toMatchObject({ state: "working", ready: 2, processes: 2, stats: { done: 1 } });
    expect(figures.children).toHaveLength(2);
    expect((await get(children, "/nothing")).status).toBe(404);
    expect((await get(children, "/live", "POST")).status).toBe(405);
    expect(await get(children, "/live", "HEAD")).toEqual({ status: 200, body: {} });
    await children.stop();
    await expect(fetch(`${children.health}/live`)).rejects.toThrow();
  });

  test("is not ready any more while it stops", async () => {
    const { children, qudo, lines } = await scene({ processes: 1, health: "127.0.0.1:0" });
    const gate = newPath();
    await qudo.enqueue(hold, gate);
    await until("it runs", () => lines("started").length === 1);
    const stopped = children.stop();
    expect((await get(children, "/ready")).status).toBe(503);
    expect((await get(children, "/live")).status).toBe(200);
    writeFileSync(gate, "");
    await stopped;
  });

  test("at a port that is taken: nothing is started", async () => {
    const { children } = await scene({ processes: 1, health: 0 });
    const { port } = new URL(children.health!);
    const error = await refused(scene({ processes: 1, health: Number(port) }, {}, false));
    expect(error.code).toBe("QUDO_HEALTH_PORT");
    expect(error.message).toContain("EADDRINUSE");
  });
});

test("what prefork cannot use is refused by name", async () => {
  const bad: [options: object, code: string][] = [
    [{ script: SCRIPT, proceses: 2 }, "QUDO_UNKNOWN_OPTION"],
    [{}, "QUDO_INVALID_OPTION"],
    [{ script: "nowhere.js" }, "QUDO_INVALID_OPTION"],
    [{ script: SCRIPT, processes: 0 }, "QUDO_INVALID_OPTION"],
    [{ script: SCRIPT, maxJobs: 1.5 }, "QUDO_INVALID_OPTION"],
    [{ script: SCRIPT, args: "a" }, "QUDO_INVALID_OPTION"],
    [{ script: SCRIPT, silenceTimeout: "1s" }, "QUDO_INVALID_OPTION"],
    [{ script: SCRIPT, stopTimeout: "soon" }, "QUDO_INVALID_DURATION"],
    [{ script: SCRIPT, health: "here" }, "QUDO_INVALID_OPTION"],
    [{ script: SCRIPT, health: 70_000 }, "QUDO_INVALID_OPTION"],
    [{ script: SCRIPT, signals: "no" }, "QUDO_INVALID_OPTION"],
  ];
  for (const [options, code] of bad)
    expect((await refused(prefork(options as PreforkOptions))).code, JSON.stringify(options)).toBe(
      code,
    );
});
