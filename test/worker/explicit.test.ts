/** How a handler says itself what became of its run, and how its failures are told. */
import { describe, expect, test } from "vitest";
import { defineJob, fixed, snooze, type JobContext } from "../../src/index.js";
import {
  attemptsOf,
  closing,
  gate,
  newDatabase,
  newQudo,
  refused,
  silent,
  totals,
  until,
} from "./support.js";
import { Qudo } from "../../src/index.js";

/** Runs one job of this handler with one try and tells what became of it. */
async function ended(
  run: (payload: unknown, job: JobContext) => unknown,
  options: { explicitCompletion?: boolean; timeout?: string } = {},
) {
  const job = defineJob("told", { maxAttempts: 2, backoff: fixed(3_600), ...options, run });
  const qudo = newQudo([job]);
  const { id } = await qudo.enqueue(job, { a: 1 });
  await qudo.workOnce();
  const [attempt] = await attemptsOf(qudo, id);
  return attempt!;
}

describe("explicitCompletion", () => {
  const explicit = { explicitCompletion: true };

  test("whoever returns without a word has failed, and says why", async () => {
    const attempt = await ended(() => "returned", explicit);
    expect(attempt).toMatchObject({ state: "failed", result: null });
    expect(attempt.error).toContain("The job did not explicitly complete or fail");
    const job = defineJob("silent", { ...explicit, run: () => undefined });
    const qudo = newQudo([job]);
    const told: unknown[] = [];
    await qudo.enqueue(job, 1);
    await qudo.workOnce({ onDie: (error) => void told.push(error) });
    expect(told).toMatchObject([{ code: "QUDO_NOT_COMPLETED" }]);
  });

  test.each([
    ["job.done", (job: JobContext) => job.done({ ok: 1 }), { state: "done", result: { ok: 1 } }],
    ["job.fail", (job: JobContext) => job.fail(new Error("so be it")), { state: "failed" }],
    ["job.abort", (job: JobContext) => job.abort("no use"), { state: "abandoned" }],
    ["job.snooze", (job: JobContext) => job.snooze("1h"), { state: "snoozed" }],
  ])("%s is a word", async (_, say, expected) => {
    expect(await ended((_, job) => void say(job), explicit)).toMatchObject(expected);
  });

  test("a snooze that is returned is a word, and what is thrown is a failure as ever", async () => {
    expect(await ended(() => snooze("1h"), explicit)).toMatchObject({ state: "snoozed" });
    const thrown = await ended(() => {
      throw new Error("broken");
    }, explicit);
    expect(thrown).toMatchObject({ state: "failed" });
    expect(thrown.error).toContain("broken");
  });

  test("has to be true or false", () => {
    const options = { explicitCompletion: "yes" as unknown as boolean, run: () => undefined };
    expect(() => defineJob("x", options)).toThrow(/explicitCompletion is "yes"/);
  });
});

describe("done and fail", () => {
  test("the first word counts, whatever is returned or thrown after it", async () => {
    const said: unknown[] = [];
    const done = await ended((_, job) => {
      said.push(job.outcome, job.done(1), job.outcome, job.done(2), job.fail("late"));
      throw new Error("too late");
    });
    expect(done).toMatchObject({ state: "done", result: 1, error: null });
    expect(said).toEqual([null, true, "done", false, false]);
    const failed = await ended((_, { fail, done }) => [fail(new Error("first")), done(1)]);
    expect(failed).toMatchObject({ state: "failed", result: null });
    expect(failed.error).toContain("first");
  });

  test("it is written while the handler goes on", async () => {
    const end = gate();
    const job = defineJob("early", {
      run: async (_: unknown, job) => {
        job.done("here it is");
        await end.passed;
      },
    });
    const qudo = newQudo([job]);
    const worker = await qudo.work({ concurrency: 1 });
    const first = await qudo.enqueue(job, 1);
    expect(await first.result()).toBe("here it is");
    // Its place stays taken until the handler has returned.
    const second = await qudo.enqueue(job, 2);
    expect(await qudo.jobs.get(second.id)).not.toMatchObject({ state: "done" });
    end.open();
    await second.result();
    await worker.stop();
    expect(worker.stats).toMatchObject({ done: 2, lost: 0 });
  });

  test("a result that cannot be stored is refused, and the run is open as before", async () => {
    const attempt = await ended((_, job) => {
      expect(() => job.done(() => 1)).toThrow(
        expect.objectContaining({ code: "QUDO_INVALID_RESULT" }),
      );
      return job.done("this can") ? undefined : "not heard";
    });
    expect(attempt).toMatchObject({ state: "done", result: "this can" });
  });

  test("after the time-out it is too late", async () => {
    let late: unknown;
    const over = gate();
    const job = defineJob("slow", {
      timeout: "20ms",
      maxAttempts: 1,
      run: async (_: unknown, job) => {
        await new Promise((resolve) => job.signal.addEventListener("abort", resolve));
        await until("it is decided", () => job.outcome !== null);
        late = job.done(1);
        over.open();
      },
    });
    const qudo = newQudo([job]);
    await qudo.enqueue(job, 1);
    expect(await qudo.workOnce()).toBe(true);
    await over.passed;
    expect(late).toBe(false);
    expect(await totals(qudo)).toMatchObject({ abandoned: 1 });
  });

  test("a failure that is said has the rights of one that is thrown: secrets are masked, the backoff asked", async () => {
    const asked: unknown[] = [];
    const job = defineJob("login", {
      maxAttempts: 2,
      backoff: (fails, _, { error }) => {
        asked.push(fails, error);
        return 3_600_000;
      },
      run: (_: unknown, job) => void job.fail(new Error("refused: hunter2hunter2")),
    });
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, { password: "hunter2hunter2" });
    await qudo.workOnce();
    const [attempt] = await attemptsOf(qudo, id);
    expect(attempt!.error).not.toContain("hunter2");
    expect(asked).toMatchObject([1, { message: "refused: hunter2hunter2" }]);
  });
});

describe("what a handler finds", () => {
  test("the payload as it was stored, and how long it has run", async () => {
    const found: unknown[] = [];
    await ended((payload, job) => {
      (payload as { a: number }).a = 2;
      found.push(job.payloadOrigin, job.elapsedMs >= 0);
    });
    expect(found).toEqual(['{"a":1}', true]);
  });
});

describe("onDie", () => {
  test("hears of what was thrown and of time-outs, and of nothing else", async () => {
    const died: [string, unknown][] = [];
    const how: Record<string, (job: JobContext) => unknown> = {
      thrown: () => {
        throw new TypeError("broken");
      },
      late: (job) =>
        new Promise((_, reject) =>
          job.signal.addEventListener("abort", () => reject(job.signal.reason)),
        ),
      snoozed: (job) => job.snooze("1h"),
      aborted: (job) => job.abort("no use"),
      failed: (job) => job.fail(new Error("said")),
      fine: () => 1,
    };
    const job = defineJob("each", {
      timeout: "50ms",
      maxAttempts: 1,
      run: (name: string, job) => how[name]!(job),
    });
    const qudo = newQudo([job]);
    await qudo.enqueueMany(Object.keys(how).map((name) => [job, name] as const));
    const worker = await qudo.work({
      maxJobs: 6,
      onDie: (error, job) => void died.push([job.kind, error]),
    });
    await worker.stopped;
    expect(died).toHaveLength(2);
    expect(died).toContainEqual(["each", expect.any(TypeError)]);
    expect(died).toContainEqual(["each", expect.objectContaining({ code: "QUDO_JOB_TIMEOUT" })]);
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("in onDie");
      },
    ],
    ["rejects", () => Promise.reject(new Error("in onDie"))],
  ])("one that %s is a warning and changes nothing", async (_, onDie) => {
    const job = defineJob("bad", {
      maxAttempts: 1,
      run: () => {
        throw new Error("in the handler");
      },
    });
    const qudo = newQudo([job]);
    const { id } = await qudo.enqueue(job, 1);
    const logger = silent();
    expect(await qudo.workOnce({ onDie, logger })).toBe(true);
    expect(logger.lines.filter((line) => line.includes("onDie threw"))).toHaveLength(1);
    const [attempt] = await attemptsOf(qudo, id);
    expect(attempt).toMatchObject({ state: "abandoned", reason: "attempts" });
    expect(attempt!.error).toContain("in the handler");
  });
});

describe("kinds", () => {
  const [a, b] = ["a", "b"].map((kind) => defineJob(kind, { run: () => undefined }));

  test("a worker does those that it was given; the others stay untouched", async () => {
    const qudo = newQudo([a!, b!]);
    const [, other] = await qudo.enqueueMany([
      [a!, 1],
      [b!, 1],
    ]);
    const worker = await qudo.work({ kinds: [a!], idleTimeout: "100ms" });
    await worker.stopped;
    expect(worker.stats.done).toBe(1);
    expect(await qudo.jobs.get(other!.id)).toMatchObject({ state: "pending", last: null, run: 1 });
    expect(await qudo.workOnce({ kinds: ["b"] })).toBe(true);
  });

  test("none is an error, and so is one that is not known", async () => {
    const qudo = closing(new Qudo({ databases: newDatabase(), jobs: [a!] }));
    expect(await refused(qudo.work({ kinds: [] }))).toMatchObject({ code: "QUDO_NO_JOBS" });
    expect(await refused(qudo.work({ kinds: ["c"] }))).toMatchObject({
      code: "QUDO_INVALID_OPTION",
      message: expect.stringContaining('kinds names "c"'),
    });
    expect(await refused(qudo.work({ kinds: [b!] }))).toMatchObject({
      code: "QUDO_INVALID_OPTION",
    });
    const text = "a" as unknown as string[];
    expect(await refused(qudo.work({ kinds: text }))).toMatchObject({
      code: "QUDO_INVALID_OPTION",
    });
    const none = closing(new Qudo({ databases: newDatabase() }));
    expect(await refused(none.workOnce())).toMatchObject({ code: "QUDO_NO_JOBS" });
  });
});
