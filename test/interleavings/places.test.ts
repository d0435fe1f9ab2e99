/** The numbered interleavings of the protocol that turn on places, keys and lanes: 7, 10, 15, 16. */
import { describe, expect, test } from "vitest";
import { afterSuccess } from "../../src/core/outcome.js";
import type { ClaimRequest } from "../../src/storage/driver.js";
import { ENGINES, type Engine } from "./engines.js";
import { id, newJob, NOW } from "./scenario.js";
import {
  claim,
  group,
  MINUTE,
  openTwo,
  pruneAll,
  reapExpired,
  SECOND,
  settle,
  type Two,
} from "./two.js";

const done = afterSuccess({ fails: 0, crashes: 0 });

/** A has started a job with a unique key, B cancels it; the handler still runs. */
async function cancelledWhileRunning(engine: Engine): Promise<Two> {
  const two = await openTwo(engine);
  const { a, b } = two;
  await a.insertJobs([newJob("j", "k", { uniqueKey: "u" })]);
  await claim(a, "A", "lease");
  await a.markStarted([{ job: id("j"), run: 1, lease: id("lease"), session: id("A") }]);
  expect(await b.cancel([id("j")])).toEqual(["cancelled"]);
  expect(await enqueueWithKey(two, "too early")).toEqual({ status: "unique", holder: id("j") });
  expect(await b.audit()).toEqual([]);
  const beat = await a.heartbeat({ session: id("A"), running: [{ job: id("j"), run: 1 }] });
  expect(beat.fenced).toEqual([{ job: id("j"), run: 1 }]);
  return two;
}

const enqueueWithKey = async ({ b }: Two, name: string): Promise<unknown> =>
  (await b.insertJobs([newJob(name, "k", { uniqueKey: "u" })]))[0];

const ofBothQueues = (lease: string): ClaimRequest => ({
  lease: id(lease),
  session: id("B"),
  wants: ["q", "paused"].map((queue) => ({ queue, kinds: ["k", "other"], limit: 10 })),
});

describe.each(ENGINES)("on $name", (engine) => {
  test("7: an enqueue sent again within ten minutes of the job's end finds it, whatever keep says", async () => {
    const { a, b, clock } = await openTwo(engine);
    const jobs = [
      newJob("j", "k", { keepDoneMs: 0 }),
      newJob("i", "k", { keepDoneMs: 0, uniqueKey: "u" }),
    ];
    await a.insertJobs(jobs);
    await claim(a, "A", "lease");
    await settle(
      a,
      group("A", "lease", [
        ["j", 1, done],
        ["i", 1, done],
      ]),
    );
    clock.now += 10 * MINUTE - 1;
    await pruneAll(b);
    const again = await b.insertJobs(jobs);
    expect(again).toEqual([{ status: "duplicate" }, { status: "duplicate" }]);
    // The finished job took no key back: it is free for others.
    expect(await b.insertJobs([newJob("other", "k", { uniqueKey: "u" })])).toEqual([
      { status: "inserted" },
    ]);
    clock.now += 1;
    expect(await pruneAll(b)).toBe(2);
    expect(await b.audit()).toEqual([]);
  });

  test("10: the key of a cancelled job is free when its worker gives it up", async () => {
    const two = await cancelledWhileRunning(engine);
    expect(await settle(two.a, group("A", "lease", [["j", 1, done]]))).toEqual(["lost"]);
    expect(await enqueueWithKey(two, "now")).toEqual({ status: "inserted" });
    expect(await two.b.audit()).toEqual([]);
  });

  test("10: or when its worker is reaped", async () => {
    const two = await cancelledWhileRunning(engine);
    two.clock.now += 31 * SECOND;
    expect(await reapExpired(two.b, "A")).toBe("reaped");
    expect(await enqueueWithKey(two, "now")).toEqual({ status: "inserted" });
    expect(await two.b.audit()).toEqual([]);
  });

  test("10: the key of a cancelled waiting job is free at once", async () => {
    const two = await openTwo(engine);
    await two.a.insertJobs([newJob("j", "k", { uniqueKey: "u", delayMs: MINUTE })]);
    expect(await two.b.cancel([id("j")])).toEqual(["cancelled"]);
    expect(await enqueueWithKey(two, "now")).toEqual({ status: "inserted" });
    expect(await two.b.audit()).toEqual([]);
  });

  describe("10: a cancelled run that is given up late leaves its key to the job's next life", () => {
    const ways: readonly (readonly [string, (two: Two) => Promise<unknown>])[] = [
      ["settle", ({ a }) => settle(a, group("A", "lease", [["j", 1, done]]))],
      ["release", ({ a }) => a.release(id("A"), [id("lease")])],
      [
        "reap",
        ({ b, clock }) => {
          clock.now += 31 * SECOND;
          return reapExpired(b, "A");
        },
      ],
    ];

    test.each(ways)("by %s", async (_, giveUp) => {
      const two = await cancelledWhileRunning(engine);
      expect(await two.b.retry([id("j")])).toEqual([{ status: "requeued" }]);
      expect(await two.b.audit()).toEqual([]);
      await giveUp(two);
      expect(await two.b.audit()).toEqual([]);
      expect(await enqueueWithKey(two, "second")).toEqual({ status: "unique", holder: id("j") });
    });
  });

  test("15: what comes later and belongs before is claimed before: higher priority, a release, a late due time", async () => {
    const { a, b, clock } = await openTwo(engine);
    const plain = Array.from({ length: 50 }, (_, i) => newJob(`plain ${i}`, "k"));
    await a.insertJobs([newJob("released", "k"), newJob("due", "k", { delayMs: SECOND })]);
    await claim(a, "A", "given back", 1);
    clock.now += 2 * SECOND;
    await b.insertJobs(plain);
    expect(await claim(a, "A", "lease 1", 10)).toHaveLength(10);
    await b.insertJobs([
      newJob("urgent", "k", { priority: 5 }),
      newJob("lax", "k", { priority: -5 }),
    ]);
    await b.release(id("A"), [id("given back")]);
    expect(await b.promote(10)).toMatchObject({ moved: 1 });
    const next = await claim(a, "A", "lease 2", 5);
    expect(next.map(({ job }) => job).slice(0, 3)).toEqual(["urgent", "released", "due"].map(id));
    expect(next.slice(3).every(({ job }) => plain.some((p) => p.id === job))).toBe(true);
    expect((await claim(a, "A", "lease 3")).at(-1)?.job).toBe(id("lax"));
  });

  test("16: a heap of an unknown kind, a paused kind and a paused queue lie before the one job that can run", async () => {
    const { a, b, rows } = await openTwo(engine);
    for (const kind of ["unknown", "other"])
      await a.insertJobs(
        Array.from({ length: 5_000 }, (_, i) => newJob(`${kind} ${i}`, kind, { priority: 9 })),
      );
    await a.insertJobs([newJob("in the paused queue", "k", { queue: "paused", priority: 9 })]);
    await rows(`update qudo_lane set paused_at = ${NOW} where kind = 'other'`);
    await rows(`insert into qudo_queue (name, paused_at) values ('paused', ${NOW})`);
    await b.insertJobs([newJob("j", "k")]);
    const first = await b.trip({ settle: [], claim: ofBothQueues("lease") });
    expect(first.claimed.map(({ job }) => job)).toEqual([id("j")]);
    for (const table of ["qudo_lane", "qudo_queue"])
      await rows(`update ${table} set paused_at = null`);
    const second = await b.trip({ settle: [], claim: ofBothQueues("lease 2") });
    expect(second.claimed.map(({ kind }) => kind)).toEqual([...Array(10).fill("other"), "k"]);
    expect(await b.audit()).toEqual([]);
  });

  test("a lane whose insert was rolled back is not remembered", async () => {
    const { a, b } = await openTwo(engine);
    // In its place: a full disk, or whatever else rolls one enqueue back while another of the same process succeeds.
    const broken = { ...newJob("broken", "lost"), id: "no id" };
    const both = [a.insertJobs([newJob("i", "k")]), a.insertJobs([newJob("h", "lost"), broken])];
    expect((await Promise.allSettled(both)).map((r) => r.status)).toEqual([
      "fulfilled",
      "rejected",
    ]);
    await b.insertJobs([newJob("f", "thief")]);
    await a.insertJobs([newJob("g", "lost")]);
    const [job] = await b.getJobs([id("g")]);
    expect(job?.kind).toBe("lost");
  });
});
