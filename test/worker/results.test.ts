/** Waiting for results: one watch for all who wait, soon where something hints, patient behind, gone when nobody waits. */
import { describe, expect, test, vi } from "vitest";
import { hinting, Results } from "../../src/client/results.js";
import { DatabaseError } from "../../src/core/errors.js";
import { silent, type EventName } from "../../src/core/events.js";
import { QudoError } from "../../src/index.js";
import type { AttemptRow, Driver, Ending } from "../../src/storage/driver.js";
import { newId } from "../../src/storage/ids.js";
import { gate, refused, until } from "./support.js";

const living: Ending = { status: "living" };

function ended(job: string, more: Partial<AttemptRow> = {}): Ending {
  const attempt: AttemptRow = {
    job,
    run: 1,
    queue: "q",
    kind: "k",
    state: "done",
    reason: null,
    session: null,
    startedAt: 1,
    endedAt: 2,
    fails: 0,
    crashes: 0,
    nextAt: null,
    result: null,
    error: null,
    ...more,
  };
  return { status: "ended", attempt };
}

/** Endings that the test sets, and what was asked. */
function asked() {
  const endings = new Map<string, Ending>();
  const sets: (readonly string[])[] = [];
  const subscribers = new Set<() => void>();
  const driver: Partial<Driver> = {
    endings: (ids) => {
      sets.push(ids);
      return Promise.resolve(ids.map((id) => endings.get(id) ?? living));
    },
    subscribe: (onChange) => {
      subscribers.add(onChange);
      return () => subscribers.delete(onChange);
    },
  };
  return { endings, sets, subscribers, driver: () => Promise.resolve(driver as Driver) };
}

const boom = (): never => {
  throw new Error("it was made");
};

/** Lets everything happen that waits for no timer of its own. */
async function turns(n = 5): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
}

describe("what a wait ends with", () => {
  test.each([
    ["an object", '{"n":1}', { n: 1 }],
    ["null", "null", null],
    ["nothing", null, undefined],
  ])("%s that the handler returned", async (_what, result, value) => {
    const { endings, driver } = asked();
    const id = newId();
    endings.set(id, ended(id, { result }));
    expect(await new Results(driver).wait(id)).toEqual(value);
  });

  test("an error that tells state, reason and last error of a job that was given up", async () => {
    const { endings, driver } = asked();
    const [abandoned, cancelled, gone] = [newId(), newId(), newId()];
    const error = "Error: no such page\n    at somewhere";
    endings.set(abandoned, ended(abandoned, { state: "abandoned", reason: "attempts", error }));
    endings.set(cancelled, ended(cancelled, { state: "cancelled" }));
    endings.set(gone, { status: "absent" });
    const results = new Results(driver);
    expect(await refused(results.wait(abandoned))).toMatchObject({
      name: "JobFailedError",
      code: "QUDO_JOB_FAILED",
      message: `The job ${abandoned} was abandoned (attempts): Error: no such page`,
      job: abandoned,
      state: "abandoned",
      reason: "attempts",
      lastError: error,
    });
    expect(await refused(results.wait(cancelled))).toMatchObject({
      message: `The job ${cancelled} was cancelled.`,
      reason: null,
      lastError: null,
    });
    expect(await refused(results.wait(gone))).toMatchObject({ code: "QUDO_JOB_ABSENT" });
  });

  test("a result that cannot be read rejects that wait alone", async () => {
    const { endings, driver } = asked();
    const [bad, good] = [newId(), newId()];
    endings.set(bad, ended(bad, { result: "{" }));
    endings.set(good, ended(good, { result: "1" }));
    const results = new Results(driver);
    const waits = await Promise.allSettled([results.wait(bad), results.wait(good)]);
    expect(waits.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  });

  test("QUDO_RESULT_TIMEOUT when the time is over, and the others wait on", async () => {
    const { endings, subscribers, driver } = asked();
    const id = newId();
    const results = new Results(driver);
    const patient = results.wait(id);
    expect(await refused(results.wait(id, { timeout: "30ms" }))).toMatchObject({
      code: "QUDO_RESULT_TIMEOUT",
    });
    expect(await refused(results.wait(id, { timeout: 0 }))).toMatchObject({
      code: "QUDO_RESULT_TIMEOUT",
    });
    endings.set(id, ended(id, { result: "7" }));
    expect(await patient).toBe(7);
    await until("the watch is over", () => subscribers.size === 0);
  });

  test("the signal's reason, also when it was aborted before", async () => {
    const { sets, driver } = asked();
    const results = new Results(driver);
    const reason = new Error("no longer wanted");
    expect(await refused(results.wait(newId(), { signal: AbortSignal.abort(reason) }))).toBe(
      reason,
    );
    expect(sets).toEqual([]);
    const controller = new AbortController();
    const wait = results.wait(newId(), { signal: controller.signal });
    controller.abort(reason);
    expect(await refused(wait)).toBe(reason);
  });

  test("options that cannot be are refused", async () => {
    const results = new Results(asked().driver);
    const bad = [{ timeuot: 1 }, { timeout: "soon" }, { timeout: "60d" }, { signal: {} }, null];
    for (const options of bad)
      expect((await refused(results.wait(newId(), options as object))).name).toBe(
        "InvalidInputError",
      );
  });
});

/** Runs with timers that stand still; `look` tells after how many milliseconds the next look came. */
async function standing(
  body: (results: Results, found: ReturnType<typeof asked>, look: () => Promise<number>) => unknown,
): Promise<void> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const found = asked();
  const results = new Results(found.driver);
  const look = async (): Promise<number> => {
    const before = found.sets.length;
    for (let ms = 0; ms <= 1_000; ms += 5) {
      await turns();
      if (found.sets.length > before) return ms;
      vi.advanceTimersByTime(5);
    }
    throw new Error("it looked no more");
  };
  const wait = refused(results.wait(newId()));
  try {
    await body(results, found, look);
    const closed = results.close(new QudoError("QUDO_CLOSED", "closed")).then(() => true);
    const turned = (): Promise<boolean> => turns().then(() => false);
    // A look that took a while is followed by a pause, which close() waits for.
    while (!(await Promise.race([closed, turned()]))) vi.advanceTimersByTime(5);
    expect((await wait).code).toBe("QUDO_CLOSED");
  } finally {
    vi.useRealTimers();
  }
}

describe("the watch", () => {
  test("asks for 1,000 at most at a time, for each job once, however many wait for it", async () => {
    const { endings, sets, driver } = asked();
    const ids = Array.from({ length: 2_500 }, () => newId());
    const results = new Results(driver);
    const waits = [...ids, ...ids].map((id) => results.wait(id));
    await until("it has looked once", () => sets.length >= 3);
    expect(sets.slice(0, 3).map((set) => set.length)).toEqual([1_000, 1_000, 500]);
    expect(new Set(sets.slice(0, 3).flat())).toEqual(new Set(ids));
    for (const id of ids) endings.set(id, ended(id));
    await Promise.all(waits);
  });

  test("polls from 20 ms up to 250 ms when nothing hints", () =>
    standing(async (_results, _found, look) => {
      const gaps: number[] = [];
      for (let i = 0; i < 12; i++) gaps.push(await look());
      expect(gaps[0]).toBe(0);
      expect(gaps[1]).toBeGreaterThanOrEqual(20);
      expect(gaps[1]).toBeLessThanOrEqual(35);
      expect(gaps.at(-1)).toBeGreaterThanOrEqual(250);
      expect(gaps.at(-1)).toBeLessThanOrEqual(265);
    }));

  test("looks at once when something hints, and is eager again", () =>
    standing(async (results, found, look) => {
      for (let i = 0; i < 12; i++) await look();
      results.hint();
      expect(await look()).toBeLessThanOrEqual(10);
      expect(await look()).toBeLessThanOrEqual(35);
      for (let i = 0; i < 12; i++) await look();
      for (const changed of found.subscribers) changed();
      expect(await look()).toBeLessThanOrEqual(10);
      for (let i = 0; i < 12; i++) await look();
      // One that comes later may have ended already.
      const ready = newId();
      found.endings.set(ready, ended(ready));
      const wait = results.wait(ready);
      expect(await look()).toBeLessThanOrEqual(10);
      await wait;
    }));

  test("is gone when nobody waits, and begins anew for the next one", async () => {
    const { endings, sets, subscribers, driver } = asked();
    const results = new Results(driver);
    const first = newId();
    const wait = results.wait(first);
    await until("it watches", () => subscribers.size === 1);
    endings.set(first, ended(first));
    results.hint();
    await wait;
    await until("the watch is over", () => subscribers.size === 0);
    const looks = sets.length;
    results.hint();
    await turns();
    expect(sets.length).toBe(looks);
  });

  test("begins anew also for one who comes in the moment in which it ends", async () => {
    const { endings, driver } = asked();
    const ids = [newId(), newId()] as const;
    for (const id of ids) endings.set(id, ended(id, { result: "1" }));
    let second: Promise<unknown> | null = null;
    const ending = async (): Promise<Driver> => ({
      ...(await driver()),
      subscribe: () => () => {
        second ??= results.wait(ids[1]);
      },
    });
    const results = new Results(ending);
    await results.wait(ids[0]);
    await until("it has ended", () => second !== null);
    expect(await second).toBe(1);
  });

  test("is told of what ends in workers here, while somebody waits and only then", () =>
    standing(async (results, found, look) => {
      const told: string[] = [];
      const emit = hinting(
        results,
        Object.assign((name: string) => void told.push(name), {
          listening: (name: string) => name === "failed",
        }),
      );
      expect(
        ["done", "abandoned", "failed", "started"].map((n) => emit.listening(n as EventName)),
      ).toEqual([true, true, true, false]);
      for (let i = 0; i < 12; i++) await look();
      emit("done", boom);
      expect(await look()).toBeLessThanOrEqual(10);
      for (let i = 0; i < 12; i++) await look();
      emit("started", boom);
      expect(await look()).toBeGreaterThan(200);
      expect(told).toEqual(["done", "started"]);
      const idle = hinting(new Results(found.driver), emit);
      expect(hinting(new Results(found.driver), silent).listening("done")).toBe(false);
      expect(idle.listening("failed")).toBe(true);
    }));

  test("goes on through trouble of the database that may pass, and tells what does not", async () => {
    const { endings, driver } = asked();
    const id = newId();
    endings.set(id, ended(id, { result: "1" }));
    let error: Error | null = new DatabaseError("QUDO_DATABASE_BUSY", "busy", true);
    let tries = 0;
    const troubled = async (): Promise<Driver> => {
      const real = await driver();
      return {
        ...real,
        endings: (ids) => {
          if (++tries === 3 && error instanceof DatabaseError) error = null;
          return error === null ? real.endings(ids) : Promise.reject(error);
        },
      };
    };
    const results = new Results(troubled);
    expect(await results.wait(id)).toBe(1);
    expect(tries).toBe(3);
    error = new Error("a mistake");
    expect(await refused(results.wait(id))).toBe(error);
    error = null;
    expect(await results.wait(id)).toBe(1);
  });

  test("a database that cannot be opened rejects those who wait", async () => {
    const error = new Error("no such folder");
    const results = new Results(() => Promise.reject(error));
    expect(await refused(results.wait(newId()))).toBe(error);
  });

  test("close() rejects all who wait, also while a look is on its way, and whoever comes later", async () => {
    const { passed, open } = gate<Ending[]>();
    const results = new Results(() =>
      Promise.resolve({ endings: () => passed } as unknown as Driver),
    );
    const wait = refused(results.wait(newId()));
    await turns();
    let over = false;
    const closed = results.close(new QudoError("QUDO_CLOSED", "closed")).then(() => (over = true));
    await turns();
    expect(over).toBe(false);
    open([living]);
    await closed;
    expect((await wait).code).toBe("QUDO_CLOSED");
    expect((await refused(results.wait(newId()))).code).toBe("QUDO_CLOSED");
  });
});
