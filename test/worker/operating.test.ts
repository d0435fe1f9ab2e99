/** What operators ask for: lists, bulk actions, logs, pausing, pruning. Pages, sets and bounds against a driver that records what it is asked. */
import { describe, expect, test } from "vitest";
import { Jobs } from "../../src/client/jobs.js";
import { Results } from "../../src/client/results.js";
import { Serializers } from "../../src/core/serializer.js";
import { Upkeep } from "../../src/client/upkeep.js";
import { keepPolicy } from "../../src/core/keep.js";
import type { JobFilter } from "../../src/index.js";
import type {
  Driver,
  JobPage,
  JobQuery,
  JobRow,
  LogQuery,
  PruneStep,
} from "../../src/storage/driver.js";
import { newId } from "../../src/storage/ids.js";
import { refused } from "./support.js";

const NOW = 1_800_000_000_000;

/** A driver that can do what is named here, and knows what time it is. */
function partial(methods: Partial<Driver>): () => Promise<Driver> {
  const driver: Partial<Driver> = {
    ping: () => Promise.resolve({ now: NOW }),
    time: () => Promise.resolve(NOW),
    ...methods,
  };
  return () => Promise.resolve(driver as Driver);
}

const row = (more: Partial<JobRow> = {}): JobRow => ({
  id: newId(),
  queue: "q",
  kind: "k",
  state: "pending",
  priority: 0,
  createdAt: NOW - 1,
  runAt: NOW,
  run: 1,
  fails: 0,
  crashes: 0,
  maxAttempts: 6,
  timeoutMs: null,
  expiresAt: null,
  uniqueKey: null,
  redact: null,
  payload: { codec: 1, text: "1", bin: null },
  last: null,
  session: null,
  startedAt: null,
  progress: null,
  ...more,
});

const page = (rows: readonly JobRow[], next: string | null): JobPage => ({
  rows,
  sources: rows.map(() => "ready"),
  cursors: rows.map(() => "behind it"),
  next,
});

/** Serves pages of rows, their cursor being the place. Keeps the queries. */
function pages(rows: readonly JobRow[], queries: JobQuery[] = []): Driver["listJobs"] {
  return (query) => {
    queries.push(query);
    const from = Number(query.after ?? 0);
    const to = from + query.limit;
    return Promise.resolve(page(rows.slice(from, to), to < rows.length ? String(to) : null));
  };
}

const jobsOf = (driver: () => Promise<Driver>, onReady?: () => void): Jobs =>
  new Jobs(driver, new Results(driver), new Serializers(), onReady);

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe("lists", () => {
  test("read every page, also behind a short or an empty one", async () => {
    const rows = [row(), row(), row()];
    const answers = [page(rows.slice(0, 1), "a"), page([], "b"), page(rows.slice(1), null)];
    const asked: (string | undefined)[] = [];
    const jobs = jobsOf(
      partial({
        listJobs: ({ after }) => {
          asked.push(after);
          return Promise.resolve(answers.shift()!);
        },
      }),
    );
    expect((await all(jobs.list())).map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
    expect(asked).toEqual([undefined, "a", "b"]);
  });

  test("a page ends where it is told, and the next begins there", async () => {
    const queries: JobQuery[] = [];
    const rows = Array.from({ length: 5 }, () => row());
    const jobs = jobsOf(partial({ listJobs: pages(rows, queries) }));
    const first = await jobs.page({ limit: 3, queue: "q" });
    expect(first.jobs).toHaveLength(3);
    const second = await jobs.page({ limit: 3, queue: "q", after: first.next! });
    expect(second).toMatchObject({ next: null });
    expect([...first.jobs, ...second.jobs].map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
    expect(queries).toEqual([
      { queue: "q", limit: 3 },
      { queue: "q", limit: 3, after: "3" },
    ]);
  });

  test("durations in a filter are so long ago by the database's clock, Dates are moments", async () => {
    const queries: JobQuery[] = [];
    const jobs = jobsOf(partial({ listJobs: pages([], queries) }));
    await jobs.page({ since: "1h", until: new Date(5), state: ["done", "failed", "done"] });
    expect(queries).toEqual([
      { since: NOW - 3_600_000, until: 5, states: ["done", "failed"], limit: 100 },
    ]);
  });

  const bad: [string, object][] = [
    ["an option that does not exist", { states: "done" }],
    ["a state that does not exist", { state: "doen" }],
    ["a state inherited from Object", { state: ["constructor"] }],
    ["a state that is no text", { state: 1 }],
    ["a queue without a name", { queue: "" }],
    ["a kind that is no text", { kind: 7 }],
    ["a since that is no time", { since: "yesterday" }],
    ["an invalid date", { until: new Date("never") }],
  ];
  test.each(bad)("%s is refused before the database is asked", async (_what, filter) => {
    const jobs = jobsOf(() => Promise.reject(new Error("the database was asked")));
    for (const call of [
      jobs.list(filter as JobFilter).next(),
      jobs.page(filter as JobFilter),
      jobs.cancelAll(filter as JobFilter),
      jobs.retryAll(filter as JobFilter),
    ])
      expect((await refused(call)).name).toBe("InvalidInputError");
  });

  test("a job is shown with everything that is known of it", async () => {
    const last = {
      job: newId(),
      run: 1,
      queue: "q",
      kind: "k",
      state: "failed" as const,
      reason: null,
      session: "s",
      startedAt: 1,
      endedAt: 2,
      fails: 1,
      crashes: 0,
      nextAt: 3,
      result: null,
      error: "Error: no",
    };
    const stored = row({
      state: "running",
      run: 2,
      timeoutMs: 1_500,
      expiresAt: 4,
      startedAt: 5,
      session: "s",
      progress: '{"at":7}',
      redact: ["password"],
      last,
    });
    const jobs = jobsOf(partial({ getJobs: () => Promise.resolve([stored]) }));
    expect(await jobs.get(stored.id)).toEqual({
      id: stored.id,
      kind: "k",
      queue: "q",
      state: "running",
      priority: 0,
      createdAt: new Date(NOW - 1),
      runAt: new Date(NOW),
      expiresAt: new Date(4),
      run: 2,
      fails: 0,
      crashes: 0,
      maxAttempts: 6,
      timeout: 1.5,
      uniqueKey: null,
      payload: 1,
      unreadable: null,
      redact: ["password"],
      worker: "s",
      startedAt: new Date(5),
      progress: { at: 7 },
      last: {
        job: last.job,
        run: 1,
        kind: "k",
        queue: "q",
        state: "failed",
        reason: null,
        worker: "s",
        startedAt: new Date(1),
        endedAt: new Date(2),
        nextAt: new Date(3),
        result: null,
        error: "Error: no",
      },
    });
  });

  test("a log is read to its end, a page after the other", async () => {
    const lines = Array.from({ length: 1_001 }, (_, i) => ({
      run: i < 600 ? 1 : 2,
      seq: i < 600 ? i + 1 : i - 599,
      at: i,
      level: "info" as const,
      text: String(i),
    }));
    const queries: LogQuery[] = [];
    const jobs = jobsOf(
      partial({
        listLog: (query) => {
          queries.push(query);
          const { after } = query;
          const from =
            after === undefined
              ? 0
              : lines.findIndex(({ run, seq }) => run === after.run && seq === after.seq) + 1;
          return Promise.resolve(lines.slice(from, from + query.limit));
        },
      }),
    );
    const id = newId();
    const found = await all(jobs.log(id.toUpperCase(), { run: 2 }));
    expect(found.map(({ text }) => text)).toEqual(lines.map(({ text }) => text));
    expect(found[7]).toEqual({ run: 1, seq: 8, at: new Date(7), level: "info", text: "7" });
    expect(queries.every(({ job, run }) => job === id && run === 2)).toBe(true);
  });
});

describe("bulk actions", () => {
  test("cancelAll goes in sets of at most 1,000 and tells what it could not cancel", async () => {
    const answers = Array.from({ length: 2_500 }, (_, i) =>
      i % 1_000 === 7
        ? ("already" as const)
        : i === 8
          ? ("absent" as const)
          : ("cancelled" as const),
    );
    const rows = answers.map(() => row());
    const [queries, sets]: [JobQuery[], number[]] = [[], []];
    const cancel: Driver["cancel"] = (ids) => {
      sets.push(ids.length);
      return Promise.resolve(answers.splice(0, ids.length));
    };
    const jobs = jobsOf(partial({ listJobs: pages(rows, queries), cancel }));
    expect(await jobs.cancelAll({ kind: "k" })).toEqual({
      matched: 2_500,
      changed: 2_496,
      refused: { already: 3, absent: 1 },
    });
    expect(sets).toEqual([1_000, 1_000, 500]);
    expect(queries[0]).toEqual({
      kind: "k",
      states: ["pending", "failed", "reserved", "running"],
      until: NOW + 1,
      limit: 100,
    });
  });

  test("retryAll wakes those who wait for work, and counts refusals by their reason", async () => {
    const rows = [row(), row(), row(), row()];
    const answers = [
      { status: "requeued" },
      { status: "refused", state: "running" },
      { status: "unique", holder: newId() },
      { status: "requeued" },
    ] as const;
    let woken = 0;
    const jobs = jobsOf(
      partial({ listJobs: pages(rows), retry: () => Promise.resolve([...answers]) }),
      () => woken++,
    );
    expect(await jobs.retryAll({})).toEqual({
      matched: 4,
      changed: 2,
      refused: { running: 1, unique: 1 },
    });
    expect(woken).toBe(1);
  });

  test("a dry run counts, and changes nothing", async () => {
    const rows = [row(), row(), row()];
    const jobs = jobsOf(partial({ listJobs: pages(rows) }));
    const counted = { matched: 3, changed: 0, refused: {} };
    expect(await jobs.cancelAll({}, { dryRun: true })).toEqual(counted);
    expect(await jobs.retryAll({}, { dryRun: true })).toEqual(counted);
  });

  test("a job that is found again on a later page is acted on once", async () => {
    const twice = row();
    const rows = [twice, ...Array.from({ length: 150 }, () => row()), twice];
    const cancelled: string[] = [];
    const jobs = jobsOf(
      partial({
        listJobs: pages(rows),
        cancel: (ids) => {
          cancelled.push(...ids);
          return Promise.resolve(ids.map(() => "cancelled" as const));
        },
      }),
    );
    expect(await jobs.cancelAll({})).toMatchObject({ matched: 151, changed: 151 });
    expect(new Set(cancelled).size).toBe(cancelled.length);
  });

  test("a filter's own bound is kept when it is the narrower one", async () => {
    const queries: JobQuery[] = [];
    const jobs = jobsOf(partial({ listJobs: pages([], queries) }));
    await jobs.cancelAll({ until: "1h", state: "failed" });
    await jobs.cancelAll({ until: new Date(NOW + 5_000) });
    expect(queries.map(({ until, states }) => [until, states?.length])).toEqual([
      [NOW - 3_600_000, 1],
      [NOW + 1, 4],
    ]);
  });

  test("no filter at all is refused: a forgotten variable must not mean everything", async () => {
    const jobs = jobsOf(() => Promise.reject(new Error("the database was asked")));
    const nothing = undefined as unknown as JobFilter;
    for (const call of [jobs.cancelAll(nothing), jobs.retryAll(nothing)])
      expect((await refused(call)).message).toContain("To mean everything give {}");
  });
});

describe("upkeep", () => {
  const policy = keepPolicy({ other: "2d" }, "test");

  test("prune runs every scan to its end, in steps, by the policy or the times given", async () => {
    const steps: PruneStep[] = [];
    const upkeep = new Upkeep(
      partial({
        prune: (step) => {
          steps.push(step);
          const n = Number(step.after ?? 0) + 1;
          const last = step.scan === "done" ? 3 : 1;
          return Promise.resolve({ pruned: 10, after: String(n), more: n < last });
        },
      }),
      policy,
    );
    expect(await upkeep.prune({ counts: "1h" })).toEqual({ jobs: 50, counts: 10 });
    const short = steps.map(({ scan, keepMs, after, dryRun }) => [scan, keepMs, after, dryRun]);
    expect(short).toEqual([
      ["done", 86_400_000, null, false],
      ["done", 86_400_000, "1", false],
      ["done", 86_400_000, "2", false],
      ["other", 2 * 86_400_000, null, false],
      ["own", 0, null, false],
      ["counts", 3_600_000, null, false],
    ]);
    steps.length = 0;
    await upkeep.prune({ dryRun: true, done: 0 });
    expect(steps.every(({ dryRun }) => dryRun)).toBe(true);
    expect(steps[0]).toMatchObject({ scan: "done", keepMs: 0 });
  });

  test("between two steps the event loop turns", async () => {
    let turned = false;
    let steps = 0;
    const upkeep = new Upkeep(
      partial({
        prune: () => {
          if (steps++ === 0) setImmediate(() => (turned = true));
          else expect(turned).toBe(true);
          return Promise.resolve({ pruned: 0, after: null, more: steps === 1 });
        },
      }),
      policy,
    );
    await upkeep.prune({});
    expect(steps).toBe(5);
  });

  test("a database that is no file cannot be copied or compacted by qudo", async () => {
    const upkeep = new Upkeep(partial({ label: "elsewhere" }), policy);
    for (const call of [upkeep.backup("/tmp/copy"), upkeep.compact()])
      expect(await refused(call)).toMatchObject({
        code: "QUDO_UNSUPPORTED",
        message: expect.stringContaining("elsewhere"),
      });
    expect((await refused(upkeep.backup(""))).name).toBe("InvalidInputError");
  });
});
