/** Why a job is not running: each reason from the facts that make it, in the order of their weight; and the page that lists them. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  explain,
  explainUnasked,
  WHY_CODES,
  type Facts,
  type WorkerFacts,
} from "../../src/core/explain.js";

const NOW = Date.UTC(2026, 10, 23, 12);
const ID = "019c5f3a-1f0e-7c3a-9b62-0f6e5f1c2d3e";

const worker = (more: Partial<WorkerFacts> = {}): WorkerFacts => ({
  name: "web-1",
  host: "vm",
  pid: 4711,
  kinds: ["mail"],
  seenAt: NOW - 1_000,
  leaseMs: 30_000,
  ...more,
});

type More = Omit<Partial<Facts>, "job"> & { job?: Partial<Facts["job"]> };

/** A job that is due now and that a worker knows, but for what is said. */
function facts({ job = {}, ...more }: More = {}): Facts {
  return {
    now: NOW,
    job: {
      id: ID,
      queue: "post",
      kind: "mail",
      state: "pending",
      runAt: NOW - 100,
      expiresAt: null,
      fails: 0,
      crashes: 0,
      maxAttempts: 6,
      timeoutMs: null,
      startedAt: null,
      last: null,
      ...job,
    },
    place: "ready",
    queuePausedAt: null,
    kindPausedAt: null,
    ahead: 0,
    claimedAt: null,
    holder: null,
    workers: [worker()],
    off: null,
    limits: [],
    ...more,
  };
}

const codes = (more: More): string[] => explain(facts(more)).map(({ code }) => code);
const says = (more: More): string => explain(facts(more))[0]!.says;
const last = (state: "failed" | "snoozed" | "done" | "cancelled" | "moved") => ({
  state,
  reason: null,
  endedAt: NOW - 60_000,
  error: state === "failed" ? "Error: refused\n  at x" : null,
});
const later = { runAt: NOW + 60_000 };

describe("what waits", () => {
  test.each<[expected: string[], more: More]>([
    [["next"], {}],
    [["behind"], { ahead: 3 }],
    [["alone", "next"], { job: { crashes: 2 } }],
    [["delayed"], { place: "delayed", job: later }],
    [["backoff"], { place: "delayed", job: { ...later, fails: 1, last: last("failed") } }],
    [["snoozed"], { place: "delayed", job: { ...later, last: last("snoozed") } }],
    [["not_promoted"], { place: "delayed", job: { runAt: NOW - 10_000 } }],
    [["next"], { place: "delayed", job: { runAt: NOW - 500 } }],
    [["queue_paused"], { queuePausedAt: NOW - 1_000 }],
    [["kind_paused"], { kindPausedAt: NOW - 1_000 }],
    [["database_off"], { off: "b" }],
    [["expired"], { job: { expiresAt: NOW } }],
    [["no_workers"], { workers: [] }],
    [["no_workers"], { workers: [worker({ seenAt: NOW - 31_000 })] }],
    [["no_worker_for_kind"], { workers: [worker({ kinds: ["fax"] })] }],
    [
      ["no_worker_for_kind"],
      { workers: [worker({ kinds: ["fax"] }), worker({ seenAt: NOW - 31_000 })] },
    ],
    [["limited"], { limits: [{ code: "limited", says: "4 of 4 run.", advice: "Wait." }] }],
  ])("%j", (expected, more) => {
    expect(codes(more)).toEqual(expected);
  });

  test("all that stops it is told, the gravest first, and then nothing of whose turn it is", () => {
    const all: More = {
      off: "b",
      queuePausedAt: NOW,
      kindPausedAt: NOW,
      ahead: 5,
      place: "delayed",
      job: { ...later, expiresAt: NOW - 1, crashes: 2 },
      workers: [],
      limits: [{ code: "limited", says: "4 of 4 run.", advice: "Wait." }],
    };
    expect(codes(all)).toEqual([
      "database_off",
      "queue_paused",
      "kind_paused",
      "expired",
      "limited",
      "delayed",
      "no_workers",
    ]);
  });

  test("the sentences hold what somebody needs", () => {
    expect(says({ place: "delayed", job: { ...later, fails: 2, last: last("failed") } })).toBe(
      "Try 2 of 6 failed; the next one is due at 2026-11-23T12:01:00.000Z, in 1 min 0 s. The last error: Error: refused",
    );
    expect(says({ ahead: 10_001 })).toMatch(/^10,000 jobs and more of the queue post come first/);
    expect(says({ ahead: 1 })).toMatch(/^1 job of the queue post comes first/);
    expect(says({ workers: [worker({ kinds: ["fax", "wire"] })] })).toBe(
      "1 worker lives, but none knows the kind mail. Known: fax, wire.",
    );
    const [paused] = explain(facts({ kindPausedAt: NOW - 90_000 }));
    expect(paused).toEqual({
      code: "kind_paused",
      says: "The kind mail was paused in the queue post 1 min 30 s ago.",
      advice: "qudo resume post --kind mail",
    });
  });

  test("one that has long been next may be meant for nobody: where to look is told", () => {
    const [fresh] = explain(facts());
    const [old] = explain(facts({ job: { runAt: NOW - 60_000 } }));
    expect(fresh!.advice).toBe("Nothing has to be done.");
    expect(old!.advice).toContain("serve the queue post");
  });
});

describe("what is held", () => {
  const held = { place: "held", claimedAt: NOW - 500, holder: worker() } as const;

  test.each<[expected: string[], more: More]>([
    [["reserved"], held],
    [["running"], { ...held, job: { startedAt: NOW - 5_000 } }],
    [["worker_silent", "running"], { ...held, holder: null, job: { startedAt: NOW - 5_000 } }],
    [["worker_silent", "reserved"], { ...held, holder: worker({ seenAt: NOW - 20_000 }) }],
    // One heartbeat may be late.
    [["reserved"], { ...held, holder: worker({ seenAt: NOW - 9_000 }) }],
    [
      ["worker_silent", "reserved"],
      { ...held, holder: worker({ seenAt: NOW - 2_000, leaseMs: 1_500 }) },
    ],
  ])("%j", (expected, more) => {
    expect(codes(more)).toEqual(expected);
  });

  test("by whom, for how long, and of how much", () => {
    expect(says({ ...held, job: { startedAt: NOW - 5_000, timeoutMs: 60_000 } })).toBe(
      "the worker web-1 (pid 4711 on vm) has run it for 5.0 s, of at most 1 min 0 s.",
    );
  });
});

describe("what has ended", () => {
  test.each(["done", "cancelled", "moved"] as const)("%s", (state) => {
    expect(codes({ place: "ended", job: { state, last: last(state) } })).toEqual([state]);
  });

  test.each([
    ["attempts", "all its tries failed"],
    ["crashes", "its workers died under it"],
    ["aborted", "its handler gave it up"],
    ["purged", "its queue was purged"],
    ["worker_cancelled", "its worker was cancelled"],
    ["expired", "it was not started before it expired"],
  ] as const)("abandoned: %s", (reason, because) => {
    const run = { state: "abandoned", reason, endedAt: NOW - 60_000, error: null } as const;
    const [why] = explain(facts({ place: "ended", job: { state: "abandoned", last: run } }));
    expect(why).toEqual({
      code: "abandoned",
      says: `It was given up 1 min 0 s ago: ${because}.`,
      advice: `For another life: qudo retry ${ID}.`,
    });
  });

  test("nowhere: no job may stand there", () => {
    expect(codes({ place: "nowhere" })).toEqual(["nowhere"]);
  });
});

test("databases that cannot be asked, each with its reason", () => {
  const found = explainUnasked([
    { database: "b", reason: "refused" },
    { database: "c", reason: "silent" },
  ]);
  expect(found.map(({ code }) => code)).toEqual(["database_out", "database_out"]);
  expect(found[0]!.says).toContain("b cannot be asked: refused");
});

test("docs/monitor.md lists the same codes, in the same order", () => {
  const page = readFileSync(new URL("../../docs/monitor.md", import.meta.url), "utf8");
  const section = page.slice(page.indexOf("## Why is it not running?"));
  const listed = [...section.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, code]) => code);
  expect(listed).toEqual(Object.keys(WHY_CODES));
});
