import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULTS } from "../../src/core/defaults.js";
import {
  afterAbort,
  afterCancel,
  afterCrash,
  afterExpiry,
  afterFailure,
  afterRelease,
  afterRequeue,
  afterSnooze,
  afterSuccess,
  afterWorkerDeath,
  isSuspect,
  type Counters,
  type Decision,
} from "../../src/core/outcome.js";
import { isTerminal } from "../../src/core/states.js";

const counters = fc.record({ fails: fc.nat(1_000_000), crashes: fc.nat(DEFAULTS.maxCrashes - 1) });
const at = { fails: 2, crashes: 1 };

describe("the protocol's table Numbering", () => {
  /** The event on a run with 2 failures and 1 crash behind it, and the row it writes. */
  const TABLE: [string, Decision, Decision][] = [
    [
      "failed",
      afterFailure({ ...at, maxAttempts: 6 }, (fails) => fails * 100),
      { state: "failed", reason: null, fails: 3, crashes: 0, next: { delayMs: 300 } },
    ],
    [
      "failed for the last time",
      afterFailure({ ...at, maxAttempts: 3 }, () => 1),
      { state: "abandoned", reason: "attempts", fails: 3, crashes: 0, next: null },
    ],
    [
      "crashed",
      afterCrash(at),
      { state: "crashed", reason: null, fails: 2, crashes: 2, next: { delayMs: 0 } },
    ],
    [
      "crashed for the third time",
      afterCrash({ fails: 2, crashes: 2 }),
      { state: "abandoned", reason: "crashes", fails: 2, crashes: 3, next: null },
    ],
    [
      "released",
      afterRelease(at),
      { state: "released", reason: null, fails: 2, crashes: 1, next: "same-place" },
    ],
    [
      "snoozed",
      afterSnooze(at, 5_000),
      { state: "snoozed", reason: null, fails: 2, crashes: 0, next: { delayMs: 5_000 } },
    ],
    [
      "requeued by an operator",
      afterRequeue(),
      { state: "requeued", reason: null, fails: 0, crashes: 0, next: { delayMs: 0 } },
    ],
    ["done", afterSuccess(at), { state: "done", reason: null, fails: 2, crashes: 1, next: null }],
    [
      "aborted by its handler",
      afterAbort(at),
      { state: "abandoned", reason: "aborted", fails: 3, crashes: 0, next: null },
    ],
    [
      "expired",
      afterExpiry(at),
      { state: "abandoned", reason: "expired", fails: 2, crashes: 1, next: null },
    ],
    [
      "cancelled",
      afterCancel(at),
      { state: "cancelled", reason: null, fails: 2, crashes: 1, next: null },
    ],
  ];

  it.each(TABLE)("%s", (_, decision, row) => expect(decision).toEqual(row));
});

const decided = (run: Counters, maxAttempts: number): Decision[] => [
  afterSuccess(run),
  afterFailure({ ...run, maxAttempts }, () => 0),
  afterCrash(run),
  afterRelease(run),
  afterSnooze(run, 1),
  afterAbort(run),
  afterExpiry(run),
  afterCancel(run),
  afterWorkerDeath(run, true),
  afterWorkerDeath(run, false),
];

describe("every decision", () => {
  const maxAttempts = fc.oneof(fc.constant(-1), fc.integer({ min: 1, max: 1_000_000 }));

  it("leaves failures as they are or counts one more; crashes too, or forgets them", () => {
    fc.assert(
      fc.property(counters, maxAttempts, (run, max) => {
        for (const { state, fails, crashes } of decided(run, max)) {
          expect([run.fails, run.fails + 1], state).toContain(fails);
          expect([0, run.crashes, run.crashes + 1], state).toContain(crashes);
        }
      }),
    );
  });

  it("forgets crashes only where the handler is proved to have survived", () => {
    fc.assert(
      fc.property(counters, maxAttempts, (run, max) => {
        const forgot = decided({ ...run, crashes: 2 }, max).filter(({ crashes }) => crashes === 0);
        for (const { state, reason } of forgot)
          expect(["failed", "snoozed", "attempts", "aborted"]).toContain(reason ?? state);
      }),
    );
  });

  it("places the job again exactly when it is not over, and gives a reason exactly when it is abandoned", () => {
    fc.assert(
      fc.property(counters, maxAttempts, (run, max) => {
        for (const { state, reason, next } of [...decided(run, max), afterRequeue()]) {
          expect(next === null, state).toBe(isTerminal(state));
          expect(reason !== null, state).toBe(state === "abandoned");
        }
      }),
    );
  });

  it("leaves the counters it was given alone", () => {
    const run = Object.freeze({ fails: 1, crashes: 1 });
    expect(() => decided(run, 6)).not.toThrow();
  });
});

const failUntilTheEnd = (maxAttempts: number, limit: number): Decision[] => {
  const log: Decision[] = [];
  for (let run: Counters = { fails: 0, crashes: 0 }; log.length < limit;) {
    const decision = afterFailure({ ...run, maxAttempts }, (fails) => fails);
    log.push(decision);
    if (decision.next === null) break;
    run = decision;
  }
  return log;
};

describe("failures", () => {
  it("abandon a job at exactly maxAttempts", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), (max) => {
        const log = failUntilTheEnd(max, 100);
        expect(log).toHaveLength(max);
        expect(log.map(({ state }) => state)).toEqual([
          ...Array<string>(max - 1).fill("failed"),
          "abandoned",
        ]);
      }),
    );
  });

  it("never abandon a job whose maxAttempts is -1", () => {
    expect(failUntilTheEnd(-1, 1_000).every(({ state }) => state === "failed")).toBe(true);
    fc.assert(
      fc.property(counters, (run) => {
        expect(afterFailure({ ...run, maxAttempts: -1 }, () => 0).state).toBe("failed");
      }),
    );
  });

  it("are 5 retries by default", () => {
    expect(failUntilTheEnd(DEFAULTS.maxAttempts, 100)).toHaveLength(6);
  });

  it("ask for a delay with the new count, and not at all when there is no next attempt", () => {
    const asked: number[] = [];
    const delay = (fails: number): number => asked.push(fails);
    afterFailure({ fails: 1, crashes: 0, maxAttempts: 3 }, delay);
    afterFailure({ fails: 2, crashes: 0, maxAttempts: 3 }, delay);
    expect(asked).toEqual([2]);
  });

  it("past a limit that was lowered meanwhile still abandon", () => {
    expect(afterFailure({ fails: 9, crashes: 0, maxAttempts: 3 }, () => 0).state).toBe("abandoned");
  });
});

describe("crashes", () => {
  it("abandon a job at the third in a row, whatever its attempts allow", () => {
    fc.assert(
      fc.property(fc.nat(1_000), (fails) => {
        const first = afterCrash({ fails, crashes: 0 });
        const second = afterCrash(first);
        const third = afterCrash(second);
        expect([first.state, second.state, third.state]).toEqual([
          "crashed",
          "crashed",
          "abandoned",
        ]);
        expect(third).toMatchObject({ reason: "crashes", fails, crashes: 3 });
      }),
    );
  });

  it("use up no attempt", () => {
    fc.assert(
      fc.property(counters, (run) => {
        expect(afterCrash(run).fails).toBe(run.fails);
      }),
    );
  });

  it("start again at nought after a failure between them", () => {
    const failed = afterFailure({ fails: 0, crashes: 2, maxAttempts: 6 }, () => 0);
    expect(afterCrash(failed)).toMatchObject({ state: "crashed", crashes: 1 });
  });
});

describe("a release", () => {
  it("costs nothing, however often", () => {
    fc.assert(
      fc.property(counters, fc.integer({ min: 1, max: 50 }), (run, times) => {
        let now: Counters = run;
        for (let i = 0; i < times; i++) now = afterRelease(now);
        expect(now).toMatchObject(run);
      }),
    );
  });
});

describe("the death of a worker", () => {
  it("is a crash for a run without crashes, seen running or not", () => {
    for (const wasRunning of [true, false])
      expect(afterWorkerDeath({ fails: 1, crashes: 0 }, wasRunning).state).toBe("crashed");
  });

  it("is a crash for a run with crashes only when it was seen running", () => {
    expect(afterWorkerDeath({ fails: 1, crashes: 1 }, true).state).toBe("crashed");
    expect(afterWorkerDeath({ fails: 1, crashes: 2 }, true).state).toBe("abandoned");
    for (const crashes of [1, 2])
      expect(afterWorkerDeath({ fails: 1, crashes }, false)).toEqual(
        afterRelease({ fails: 1, crashes }),
      );
  });

  it("abandons no job that only waited beside others", () => {
    let run: Counters = { fails: 0, crashes: 0 };
    for (let death = 0; death < 100; death++) {
      const decision = afterWorkerDeath(run, false);
      expect(decision.next).not.toBeNull();
      run = decision;
    }
  });
});

it("a job is suspect when one more crash would condemn it", () => {
  for (const crashes of [0, 1, 2])
    expect(isSuspect({ fails: 0, crashes })).toBe(
      afterCrash({ fails: 0, crashes }).state === "abandoned",
    );
});
