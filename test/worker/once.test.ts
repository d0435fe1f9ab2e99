/** workOnce: one job, and whether there was one. */
import { describe, expect, test } from "vitest";
import { DatabaseError, defineJob, fixed, snooze } from "../../src/index.js";
import { registry } from "../../src/core/job.js";
import type { Driver } from "../../src/storage/driver.js";
import { onceSettings } from "../../src/worker/options.js";
import { workOnce } from "../../src/worker/once.js";
import { twoSeas, type Sea } from "./fleets.js";
import { expectSound, gate, newBench, newQudo, order, refused, silent, totals } from "./support.js";

const seen: unknown[] = [];
const note = defineJob("note", { run: (n: unknown) => void seen.push(n) });

test("runs exactly one job, the first in line, and says whether there was one", async () => {
  seen.length = 0;
  const qudo = newQudo([note]);
  expect(await qudo.workOnce()).toBe(false);
  await qudo.enqueueMany([
    [note, "low", { priority: -1 }],
    [note, "high", { priority: 1 }],
    [note, "later", { delay: "1h" }],
  ]);
  expect(await qudo.workOnce()).toBe(true);
  expect(seen).toEqual(["high"]);
  expect(await totals(qudo)).toMatchObject({ done: 1, pending: 2, reserved: 0 });
  expect(await qudo.workOnce()).toBe(true);
  expect(await qudo.workOnce()).toBe(false);
  expect(seen).toEqual(["high", "low"]);
  expect(await qudo.monitor.workers()).toEqual([]);
  await expectSound(qudo);
});

test("looks into every queue before it says that there was none", async () => {
  const ran: string[] = [];
  const inQueue = (queue: string) =>
    defineJob(`in ${queue}`, { queue, run: () => void ran.push(queue) });
  const jobs = ["a", "b", "c"].map(inQueue);
  const qudo = newQudo(jobs);
  for (const job of jobs) await qudo.enqueue(job, null);
  for (let i = 0; i < 3; i++) expect(await qudo.workOnce()).toBe(true);
  expect(ran.toSorted()).toEqual(["a", "b", "c"]);
  expect(await qudo.workOnce()).toBe(false);
});

test("one that fails or asks for later has been worked on too", async () => {
  const bad = defineJob("bad", {
    backoff: fixed(3_600),
    run: () => {
      throw new Error("no");
    },
  });
  const later = defineJob("later", { run: () => snooze("1h") });
  const qudo = newQudo([bad, later]);
  await qudo.enqueueMany([
    [bad, 1],
    [later, 1],
  ]);
  expect([await qudo.workOnce(), await qudo.workOnce(), await qudo.workOnce()]).toEqual([
    true,
    true,
    false,
  ]);
});

test("knows queues and kinds, as a worker does, and refuses what has no meaning for one job", async () => {
  const other = defineJob("other", { queue: "aside", run: () => undefined });
  const qudo = newQudo([note, other]);
  await qudo.enqueue(note, 1);
  expect(await qudo.workOnce({ queues: ["aside"] })).toBe(false);
  expect(await qudo.workOnce({ kinds: [other] })).toBe(false);
  expect(await qudo.workOnce({ kinds: ["note"] })).toBe(true);
  const wrong = { concurrency: 2 } as object;
  expect(await refused(qudo.workOnce(wrong))).toMatchObject({ code: "QUDO_UNKNOWN_OPTION" });
});

test("close() waits for it", async () => {
  const [begun, end] = [gate(), gate()];
  const slow = defineJob("slow", {
    run: async () => {
      begun.open();
      await end.passed;
      return "ready";
    },
  });
  const qudo = newQudo([slow]);
  await qudo.enqueue(slow, 1);
  const once = qudo.workOnce();
  await begun.passed;
  const closed = qudo.close();
  end.open();
  expect(await once).toBe(true);
  await closed;
  expect(await refused(qudo.workOnce())).toMatchObject({ code: "QUDO_CLOSED" });
});

const settings = () => ({ ...onceSettings({ logger: silent() }, registry([note])) });
const begins = (): void => undefined;

test("a database that cannot be asked is an error, and not a lack of jobs", async () => {
  const bench = await newBench([note]);
  const down = new DatabaseError("QUDO_DATABASE_UNREACHABLE", "nobody answers", true);
  const refusing = (name: "openSession" | "trip"): Driver => ({
    ...bench.driver,
    [name]: () => Promise.reject(down),
  });
  const of = { surroundings: () => ({}), begins };
  for (const name of ["openSession", "trip"] as const)
    expect(await refused(workOnce(refusing(name), settings(), of))).toBe(down);
  expect(await workOnce(bench.driver, settings(), of)).toBe(false);
});

function once(seas: readonly Sea[]): Promise<boolean> {
  const driver = { ...seas[0]!.driver, parts: seas.map(({ part }) => part) };
  return workOnce(driver, settings(), { surroundings: () => ({}), begins });
}

describe("over several databases", () => {
  test("asks all of them, and runs one job in one of them", async () => {
    seen.length = 0;
    const [a, b] = await twoSeas();
    expect(await once([a, b])).toBe(false);
    await b.driver.insertJobs([order("note")]);
    await a.driver.insertJobs([order("note")]);
    expect([await once([a, b]), await once([a, b]), await once([a, b])]).toEqual([
      true,
      true,
      false,
    ]);
    expect(seen).toHaveLength(2);
  });

  test("begins with each of them now and then", async () => {
    const [a, b] = await twoSeas();
    const first = new Set<string>();
    for (let i = 0; i < 100 && first.size < 2; i++) {
      const asked: string[] = [];
      for (const sea of [a, b])
        sea.before = (operation) => void (operation === "openSession" && asked.push(sea.name));
      await once([a, b]);
      first.add(asked[0]!);
    }
    expect(first.size).toBe(2);
  });

  test("passes over one that is down; where all are, that is an error", async () => {
    const [a, b] = await twoSeas({ retryMs: 60_000 });
    a.down = true;
    await b.driver.insertJobs([order("note")]);
    expect([await once([a, b]), await once([a, b])]).toEqual([true, false]);
    b.down = true;
    expect(await refused(once([a, b]))).toBeInstanceOf(DatabaseError);
  });

  test("one that is off gives nothing", async () => {
    const [a, b] = await twoSeas({ mode: "off" });
    await a.driver.insertJobs([order("note")]);
    expect(await once([a, b])).toBe(false);
  });
});
