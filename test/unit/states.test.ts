import { describe, expect, it } from "vitest";
import {
  isRetryable,
  isTerminal,
  jobState,
  reasonOf,
  REASONS,
  RUN_STATES,
  runStateOf,
  type JobState,
  type RunState,
} from "../../src/core/states.js";

describe("numbers in the database", () => {
  it("are those of the protocol, for ever", () => {
    expect(RUN_STATES).toEqual({
      done: 1,
      failed: 2,
      abandoned: 3,
      cancelled: 4,
      crashed: 5,
      released: 6,
      snoozed: 7,
      requeued: 8,
      moved: 9,
    });
    expect(REASONS).toEqual({
      attempts: 1,
      crashes: 2,
      aborted: 3,
      purged: 4,
      worker_cancelled: 5,
      expired: 6,
    });
  });

  it("lead back to their names", () => {
    for (const [name, code] of Object.entries(RUN_STATES)) expect(runStateOf(code)).toBe(name);
    for (const [name, code] of Object.entries(REASONS)) expect(reasonOf(code)).toBe(name);
  });

  it("that are unknown fail for a state, and are no reason", () => {
    for (const code of [0, -1, 10, 1.5, Number.NaN])
      expect(() => runStateOf(code)).toThrow("unknown run state");
    expect(reasonOf(99)).toBeNull();
    expect(reasonOf(null)).toBeNull();
  });
});

const ALL = Object.keys(RUN_STATES) as RunState[];

describe("what may follow an outcome", () => {
  it("nothing after done, abandoned, cancelled and moved", () => {
    expect(ALL.filter(isTerminal)).toEqual(["done", "abandoned", "cancelled", "moved"]);
  });

  it("an operator's retry after abandoned and cancelled only", () => {
    expect(ALL.filter(isRetryable)).toEqual(["abandoned", "cancelled"]);
  });
});

describe("the state of a job", () => {
  /** Last outcome, then the state while it waits, while it is claimed, and while its handler runs. */
  const TABLE: [RunState | null, JobState, JobState, JobState][] = [
    [null, "pending", "reserved", "running"],
    ["failed", "failed", "reserved", "running"],
    ["crashed", "failed", "reserved", "running"],
    ["released", "pending", "reserved", "running"],
    ["snoozed", "pending", "reserved", "running"],
    ["requeued", "pending", "reserved", "running"],
    // A terminal outcome decides, whatever rows a crash in mid-air may have left behind.
    ["done", "done", "done", "done"],
    ["abandoned", "abandoned", "abandoned", "abandoned"],
    ["cancelled", "cancelled", "cancelled", "cancelled"],
    ["moved", "moved", "moved", "moved"],
  ];

  it.each(TABLE)("after %s: waiting %s, claimed %s, running %s", (lastOutcome, ...states) => {
    expect([
      jobState({ lastOutcome, waiting: true, running: false }),
      jobState({ lastOutcome, waiting: false, running: false }),
      jobState({ lastOutcome, waiting: false, running: true }),
    ]).toEqual(states);
  });

  it("is derived for every outcome there is", () => {
    expect(new Set(TABLE.map(([last]) => last))).toEqual(new Set([null, ...ALL]));
  });
});
