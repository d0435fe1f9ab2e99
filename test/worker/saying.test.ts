/** What handlers say of themselves, and what they ask for: progress, log lines, context, snooze; secrets stay hidden. */
import { describe, expect, test } from "vitest";
import { DatabaseError, defineJob, fixed, snooze, type JobContext } from "../../src/index.js";
import { DEFAULTS } from "../../src/core/defaults.js";
import type { RunReport, Settlement } from "../../src/storage/driver.js";
import {
  attemptsOf,
  expectSound,
  gate,
  newBench,
  newQudo,
  order,
  totals,
  tune,
  until,
  type Bench,
} from "./support.js";

/** A log as text, and the numbers of its lines. */
async function logOf({ driver }: Bench, job: string) {
  return driver.listLog({ job, limit: 10_000 });
}

const isIn =
  ({ driver }: Bench, state: string, ...ids: string[]) =>
  async (): Promise<boolean> =>
    (await driver.getJobs(ids)).every((row) => row?.state === state);

describe("snooze", () => {
  test.each([
    ["returned", () => snooze("30ms")],
    [
      "thrown",
      () => {
        throw snooze("30ms");
      },
    ],
    ["asked of the job", (job: JobContext) => job.snooze("30ms")],
    ["asked of the job, taken out of it", ({ snooze: later }: JobContext) => later("30ms")],
  ])("%s: runs again after that time, at no cost in attempts", async (_, ask) => {
    const runs: [number, number][] = [];
    const job = defineJob("waits", {
      maxAttempts: 1,
      run: (_: unknown, context): unknown => {
        runs.push([context.run, context.attempt]);
        return context.run < 4 ? ask(context) : "ready";
      },
    });
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, 1);
    const worker = await qudo.work();
    await until("it is done", () => worker.stats.done === 1);
    expect(runs).toEqual([1, 2, 3, 4].map((run) => [run, 1]));
    const attempts = await attemptsOf(qudo, id);
    expect(attempts.map(({ state }) => state)).toEqual(["snoozed", "snoozed", "snoozed", "done"]);
    for (const { endedAt, nextAt } of attempts.slice(0, 3))
      expect(nextAt!.getTime() - endedAt.getTime()).toBe(30);
    expect(worker.stats).toMatchObject({ snoozed: 3, done: 1, failed: 0 });
    await expectSound(qudo);
  });

  test("for no time that there is fails the run", async () => {
    const job = defineJob("odd", { maxAttempts: 1, run: (_: unknown, j) => j.snooze("soon") });
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, 1);
    await qudo.work();
    await until("it ended", async () => (await qudo.jobs.get(id))?.state === "abandoned");
    expect((await qudo.jobs.get(id))?.last?.error).toContain("QUDO_INVALID_DURATION");
  });
});

describe("a backoff function", () => {
  test("sees the job: its payload as it was enqueued, and the error", async () => {
    const seen: unknown[] = [];
    const wrong = new TypeError("wrong");
    const job = defineJob("looks", {
      maxAttempts: 2,
      backoff: (fails, random, { id, kind, queue, payload, error }) => {
        seen.push(fails, random, id, kind, queue, payload, error);
        return 5;
      },
      run: (payload: { n: number }) => {
        payload.n = 99;
        throw wrong;
      },
    });
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, { n: 1 }, { queue: "q" });
    const worker = await qudo.work({ queues: ["q"] });
    await until("it ended", () => worker.stats.abandoned === 1);
    expect(seen).toEqual([1, expect.any(Number), id, "looks", "q", { n: 1 }, wrong]);
  });
});

describe("the context", () => {
  test("is what the worker was given", async () => {
    const context = { client: {} };
    const seen = gate<unknown>();
    const job = defineJob("uses", { run: (_: unknown, { context: c }) => seen.open(c) });
    const bench = await newBench([job]);
    await bench.driver.insertJobs([order("uses")]);
    bench.worker({}, {}, { context });
    expect(await seen.passed).toBe(context);
  });
});

describe("log lines", () => {
  test("of a short run come with its end, numbered, with their levels and times", async () => {
    const job = defineJob("talks", {
      backoff: fixed("1h"),
      run: async (_: unknown, { log }) => {
        log("begin");
        await new Promise((resolve) => setTimeout(resolve, 30));
        log("look out", "warn");
        log("a\0b\ud800c", "error");
        throw new Error("and then failed");
      },
    });
    const reports: unknown[] = [];
    const bench = await newBench([job]);
    const { id } = order("talks");
    await bench.driver.insertJobs([order("talks", { id })]);
    bench.worker({}, { report: async (all) => (reports.push(all), bench.driver.report(all)) });
    await until("it failed", isIn(bench, "failed", id));
    const rows = await logOf(bench, id);
    expect(rows.map(({ run, seq, level, text }) => [run, seq, level, text])).toEqual([
      [1, 1, "info", "begin"],
      [1, 2, "warn", "look out"],
      [1, 3, "error", "a\ufffdb\ufffdc"],
    ]);
    expect(rows[1]!.at - rows[0]!.at).toBeGreaterThanOrEqual(28);
    expect(reports).toEqual([]);
  });

  test("of a long one are there while it runs, each once; its progress too, the last value", async () => {
    tune({ reportMs: 100, markStartedAfterMs: 60 });
    const finish = gate();
    const said = gate();
    const job = defineJob("talks", {
      run: async (_: unknown, { log, progress }) => {
        for (let i = 0; i <= 10; i++) progress({ of: 10, i });
        log("one");
        said.open();
        await finish.passed;
        log("two");
      },
    });
    const sent: (readonly RunReport[])[] = [];
    const ends: Settlement[] = [];
    const bench = await newBench([job]);
    const { driver } = bench;
    const { id } = order("talks");
    await driver.insertJobs([order("talks", { id })]);
    bench.worker(
      {},
      {
        report: (all) => (sent.push(all), driver.report(all)),
        trip: (trip) => (
          ends.push(...trip.settle.flatMap(({ settlements }) => settlements)),
          driver.trip(trip)
        ),
      },
    );
    await said.passed;
    await until("the line is there", async () => (await logOf(bench, id)).length === 1);
    const [row] = await driver.getJobs([id]);
    expect(row).toMatchObject({ state: "running", progress: '{"of":10,"i":10}' });
    const { length } = sent;
    await until("it was asked for again", () => sent.length >= length + 2);
    finish.open();
    await until("it is done", isIn(bench, "done", id));
    expect((await logOf(bench, id)).map(({ text }) => text)).toEqual(["one", "two"]);
    // What a report has carried does not come again.
    const carried = sent.flat();
    expect(carried.filter(({ progress }) => progress !== null)).toHaveLength(1);
    expect(carried.flatMap(({ lines }) => lines).map(({ text }) => text)).toEqual(["one"]);
    expect(ends.flatMap(({ lines }) => lines ?? []).map(({ text }) => text)).toEqual(["two"]);
  });

  test("are at most a thousand a run: the last one says so", async () => {
    const job = defineJob("chats", {
      run: (_: unknown, { log }) => {
        for (let i = 1; i <= 2_000; i++) log(`line ${i}`);
      },
    });
    const bench = await newBench([job]);
    const { id } = order("chats");
    await bench.driver.insertJobs([order("chats", { id })]);
    bench.worker();
    await until("it is done", isIn(bench, "done", id));
    const rows = await logOf(bench, id);
    expect(rows).toHaveLength(1_000);
    expect(rows[998]!.text).toBe("line 999");
    expect(rows[999]).toMatchObject({ seq: 1_000, level: "warn" });
    expect(rows[999]!.text).toContain("dropped");
  });

  test("that a report in trouble could not carry come later, once", async () => {
    tune({ reportMs: 60, markStartedAfterMs: 60 });
    const finish = gate();
    const job = defineJob("talks", {
      run: async (_: unknown, { log }) => {
        log("kept");
        await finish.passed;
      },
    });
    const bench = await newBench([job]);
    const { driver } = bench;
    const { id } = order("talks");
    await driver.insertJobs([order("talks", { id })]);
    let tries = 0;
    bench.worker(
      {},
      {
        report: async (all) => {
          const answer = await driver.report(all);
          // The first one is lost on its way there, the second one on its way back.
          if (++tries > 2) return answer;
          throw new DatabaseError("QUDO_DATABASE_BUSY", "busy", true);
        },
      },
    );
    await until("it was tried again", () => tries > 3);
    finish.open();
    await until("it is done", isIn(bench, "done", id));
    expect((await logOf(bench, id)).map(({ seq, text }) => [seq, text])).toEqual([[1, "kept"]]);
  });

  test("and progress that cannot be kept are refused in the handler", async () => {
    const refused: unknown[] = [];
    const attempt = (call: () => void): void => {
      try {
        call();
        refused.push(null);
      } catch (error) {
        refused.push((error as { name: string }).name);
      }
    };
    const job = defineJob("says", {
      run: (_: unknown, { log, progress }) => {
        attempt(() => log("x", "loud" as "info"));
        attempt(() => log("x", "constructor" as "info"));
        attempt(() => progress(1n));
        attempt(() => progress("x".repeat(5_000)));
        attempt(() => progress(undefined));
      },
    });
    const qudo = newQudo([job]);
    await qudo.enqueue(job, 1);
    await qudo.work();
    await until("it is done", async () => (await totals(qudo)).done === 1);
    expect(refused).toEqual([...Array(4).fill("InvalidInputError"), null]);
  });
});

describe("a run that others have decided", () => {
  test("is aborted within about a second, with one question for all runs of the worker", async () => {
    const aborted: string[] = [];
    const job = defineJob("holds", {
      run: (_: unknown, { id, signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted.push(id);
            reject(signal.reason as Error);
          });
        }),
    });
    const bench = await newBench([job]);
    const { driver } = bench;
    const jobs = Array.from({ length: 5 }, () => order("holds"));
    await driver.insertJobs(jobs);
    const asked: number[] = [];
    const worker = bench.worker(
      { lease: "1h" },
      {
        report: (all) => {
          asked.push(performance.now());
          if (aborted.length === 0) expect(all).toHaveLength(5);
          return driver.report(all);
        },
      },
    );
    await until("they are shown as running", async () => {
      const [lane] = await driver.counts({});
      return lane?.running === 5;
    });
    await until("they were asked for", () => asked.length > 0);
    const ids = jobs.slice(0, 2).map(({ id }) => id);
    const begin = performance.now();
    expect(await driver.cancel(ids)).toEqual(["cancelled", "cancelled"]);
    await until("both know", () => aborted.length === 2);
    expect(performance.now() - begin).toBeLessThan(DEFAULTS.reportMs + 500);
    expect(aborted.toSorted()).toEqual(ids.toSorted());
    await until("their ends are lost", () => worker.stats.lost === 2);
    expect(asked.length).toBeGreaterThan(1);
    for (const [i, at] of asked.slice(1).entries())
      expect(at - asked[i]!).toBeGreaterThanOrEqual(DEFAULTS.reportMs - 1);
    await worker.stop({ grace: 0 });
    expect(await driver.audit()).toEqual([]);
  });
});

describe("secrets of the payload", () => {
  test("stand in no error and no line that is kept", async () => {
    const payload = { password: "hunter2!", card: { number: "4111 1111" }, user: "ada" };
    const job = defineJob("pays", {
      redact: ["card.number"],
      run: ({ password, card, user }: typeof payload, { log }) => {
        log(`login of ${user} with ${password}`);
        throw new Error(`${user}: card ${card.number} refused, ${password}`);
      },
    });
    const bench = await newBench([job]);
    const { id } = order("pays");
    const stored = { codec: 1, text: JSON.stringify(payload), bin: null };
    await bench.driver.insertJobs([
      order("pays", { id, payload: stored, redact: ["card.number"] }),
    ]);
    bench.worker();
    await until("it ended", isIn(bench, "failed", id));
    const [line] = await logOf(bench, id);
    expect(line!.text).toBe("login of ada with [redacted]");
    const [row] = await bench.driver.getJobs([id]);
    expect(row!.last!.error).toContain("Error: ada: card [redacted] refused, [redacted]");
    expect(row!.last!.error).not.toMatch(/hunter2|4111/);
  });

  test("that are too large to come with the claim are known all the same", async () => {
    const job = defineJob("reads", {
      run: ({ token }: { token: string }) => {
        throw new Error(`refused: ${token}`);
      },
    });
    const bench = await newBench([job]);
    const { id } = order("reads");
    const text = JSON.stringify({ filler: "x".repeat(100_000), token: "abc-def" });
    await bench.driver.insertJobs([order("reads", { id, payload: { codec: 1, text, bin: null } })]);
    bench.worker();
    await until("it ended", isIn(bench, "failed", id));
    expect((await bench.driver.getJobs([id]))[0]!.last!.error).toContain("refused: [redacted]");
  });
});
