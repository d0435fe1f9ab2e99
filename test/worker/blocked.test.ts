/** A main loop that a handler blocks keeps its jobs, and one that hangs loses them. Real processes, short leases. */
import { expect, test } from "vitest";
import { defineJob, type Qudo } from "../../src/index.js";
import { newActor, type Actor, type ActorOptions } from "./fixtures/actors.js";
import { attemptsOf, expectSound, newPath, newQudo, until } from "./support.js";

const hold = defineJob("hold", { run: (_n: number) => undefined });
const block = defineJob("block", { queue: "blocking", run: (_ms: number) => undefined });

interface Scene {
  readonly qudo: Qudo;
  readonly blocked: Actor;
  readonly other: Actor;
  /** Jobs that run in the blocked process, and what blocks it. */
  readonly held: readonly string[];
  readonly blocker: string;
}

/** Three jobs are running in a process when a fourth blocks it for so long; a second process watches. */
async function blockedFor(ms: number, options: Partial<ActorOptions> = {}): Promise<Scene> {
  const path = newPath();
  const qudo = newQudo([], path);
  await qudo.migrate();
  const times = { url: `sqlite:${path}`, lease: "2s", watchdog: "5s" };
  const blocked = newActor({ ...times, queues: ["default", "blocking"], ...options });
  await blocked.heard("ready");
  const orders = [1, 2, 3].map((n) => [hold, n] as const);
  const held = (await qudo.enqueueMany(orders)).map(({ id }) => id);
  for (const id of held) await blocked.heard("started", id);
  const other = newActor(times);
  await other.heard("ready");
  await until("both have sessions", async () => (await qudo.monitor.workers()).length === 2);
  const blocker = (await qudo.enqueue(block, ms)).id;
  await blocked.heard("started", blocker);
  await blocked.heard("unblocked", blocker, ms + 10_000);
  return { qudo, blocked, other, held, blocker };
}

async function statsOf(actor: Actor, enough: (stats: { done?: number; lost?: number }) => boolean) {
  await until("its runs are settled", () => {
    actor.tell("stats");
    return actor.said.some((said) => said.event === "stats" && enough(said));
  });
  return actor.said.findLast(({ event }) => event === "stats")!;
}

test("blocked for two leases: not reaped, nothing aborted, every outcome is accepted", async () => {
  const { qudo, blocked, other, held, blocker } = await blockedFor(4_000);
  blocked.tell("finish");
  const stats = await statsOf(blocked, ({ done = 0, lost = 0 }) => done + lost === 4);
  expect(stats).toMatchObject({ done: 4, lost: 0 });
  expect(blocked.said.filter(({ event }) => event === "aborted")).toEqual([]);
  expect(other.said.filter(({ event }) => event === "started")).toEqual([]);
  for (const id of [...held, blocker])
    expect((await attemptsOf(qudo, id)).map(({ state, result }) => [state, result])).toEqual([
      ["done", blocked.pid],
    ]);
  await expectSound(qudo);
});

test("the same without its thread: its jobs are given to others", async () => {
  const { qudo, other, held } = await blockedFor(4_000, { thread: false });
  for (const id of held) expect((await other.heard("started", id)).run).toBe(2);
  other.tell("finish");
  await until("all have ended", async () => (await attemptsOf(qudo)).length === 8);
  await expectSound(qudo);
});

test("blocked beyond the watchdog: reaped once, its late outcomes are lost", async () => {
  const { qudo, blocked, other, held, blocker } = await blockedFor(9_000);
  for (const id of held) {
    expect((await other.heard("started", id)).run).toBe(2);
    expect((await blocked.heard("aborted", id)).code).toBe("QUDO_JOB_STOPPED");
  }
  blocked.tell("finish");
  other.tell("finish");
  // Its three late ends and the blocker's; the blocker's second run is its own again.
  expect(await statsOf(blocked, ({ done, lost }) => done === 1 && lost === 4)).toBeDefined();
  await until("the other's are settled", async () => (await attemptsOf(qudo)).length === 8);
  const states = async (id: string) =>
    (await attemptsOf(qudo, id)).map(({ state, result }) => [state, result]);
  for (const id of held)
    expect(await states(id)).toEqual([
      ["crashed", null],
      ["done", other.pid],
    ]);
  expect(await states(blocker)).toEqual([
    ["crashed", null],
    ["done", blocked.pid],
  ]);
  await expectSound(qudo);
});

test("frozen beyond the watchdog: its thread does not beat again before its main loop has come round", async () => {
  const path = newPath();
  const qudo = newQudo([], path);
  await qudo.migrate();
  const queues = ["blocking"];
  const actor = newActor({ url: `sqlite:${path}`, lease: "2s", watchdog: "2s", queues });
  await actor.heard("ready");
  const { id } = await qudo.enqueue(block, 6_000);
  await actor.heard("started", id);
  const begin = performance.now();
  const beat = async (): Promise<number> => (await qudo.monitor.workers())[0]!.beat;
  const at = (ms: number): Promise<void> =>
    until(`${ms} ms have passed`, () => performance.now() - begin > ms);
  const first = await beat();
  await until("its thread beats", async () => (await beat()) > first + 1);
  actor.kill("SIGSTOP");
  await at(3_500);
  const frozen = await beat();
  actor.kill("SIGCONT");
  await at(5_500);
  expect(await beat()).toBe(frozen);
  await until("its main loop has come round", async () => (await beat()) > frozen);
  expect(await statsOf(actor, ({ done }) => done === 1)).toMatchObject({ lost: 0 });
});
