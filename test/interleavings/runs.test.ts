/** The numbered interleavings of the protocol that turn on runs and leases: 1, 2, 3, 8, 9, 22; and what a lease is for. */
import { describe, expect, test } from "vitest";
import { afterFailure, afterSnooze, afterSuccess } from "../../src/core/outcome.js";
import { ENGINES } from "./engines.js";
import { id, newJob, newSession } from "./scenario.js";
import { claim, group, MINUTE, openTwo, pruneAll, reapExpired, SECOND, settle } from "./two.js";

const fresh = { fails: 0, crashes: 0 };
const done = afterSuccess(fresh);
const failed = afterFailure({ ...fresh, maxAttempts: 6 }, () => MINUTE);

describe.each(ENGINES)("on $name", (engine) => {
  test("1: a late settle is lost, also when prune has deleted the fence", async () => {
    const { a, b, clock } = await openTwo(engine);
    await a.insertJobs([newJob("j", "k", { keepDoneMs: 0 })]);
    await claim(a, "A", "lease of A");
    clock.now += 31 * SECOND;
    await b.heartbeat({ session: id("B"), running: [] });
    expect(await reapExpired(b, "A")).toBe("reaped");
    const [again] = await claim(b, "B", "lease of B");
    expect(again).toMatchObject({ run: 2, crashes: 1 });
    expect(await settle(b, group("B", "lease of B", [["j", 2, done]]))).toEqual(["accepted"]);
    clock.now += 9 * MINUTE;
    expect(await pruneAll(b)).toBe(0);
    expect(await settle(a, group("A", "lease of A", [["j", 1, done]]))).toEqual(["lost"]);
    clock.now += MINUTE;
    expect(await pruneAll(b)).toBe(1);
    expect(await settle(a, group("A", "lease of A", [["j", 1, done]]))).toEqual(["lost"]);
    expect(await b.getJobs([id("j")])).toEqual([null]);
    expect(await b.audit()).toEqual([]);
  });

  test("1: a job that a lease still lists is not pruned, however old its end", async () => {
    const { a, b, clock } = await openTwo(engine);
    await a.insertJobs([newJob("j", "k"), newJob("i", "k")]);
    await claim(a, "A", "lease");
    await settle(a, group("A", "lease", [["j", 1, done]], false));
    clock.now += 20 * MINUTE;
    expect(await pruneAll(b)).toBe(0);
    expect(await settle(a, group("A", "lease", [["j", 1, done]], false))).toEqual(["accepted"]);
    await settle(a, group("A", "lease", [["i", 1, done]]));
    expect(await pruneAll(b)).toBe(1);
    expect(await b.audit()).toEqual([]);
  });

  test("1: prune passes by what leases list, and takes what lies behind it", async () => {
    const { a, b, clock } = await openTwo(engine);
    await a.insertJobs([newJob("listed", "k"), newJob("open", "k")]);
    await claim(a, "A", "lease");
    await settle(a, group("A", "lease", [["listed", 1, done]], false));
    clock.now += SECOND;
    await b.insertJobs([newJob("free", "other")]);
    await claim(b, "B", "lease of B");
    await settle(b, group("B", "lease of B", [["free", 1, done]]));
    clock.now += 20 * MINUTE;
    expect(await pruneAll(b, 1)).toBe(1);
    const rows = await b.getJobs([id("listed"), id("free")]);
    expect(rows.map((row) => row?.state)).toEqual(["done", undefined]);
  });

  test("2: a claim whose answer was lost is found by the heartbeat and given back", async () => {
    const { a, b } = await openTwo(engine);
    await a.insertJobs([newJob("j", "k")]);
    await claim(a, "A", "lease");
    expect(await claim(b, "B", "lease of B")).toEqual([]);
    const beat = await b.heartbeat({ session: id("A"), running: [] });
    expect(beat).toEqual({ alive: true, leases: [id("lease")], fenced: [] });
    expect(await b.release(id("A"), beat.leases)).toBe(1);
    expect(await claim(b, "B", "lease of B")).toMatchObject([{ job: id("j"), run: 2, fails: 0 }]);
    expect(await a.audit()).toEqual([]);
  });

  test("2: a claim sent again gives what it took, and takes nothing more", async () => {
    const { a, b } = await openTwo(engine);
    await a.insertJobs([newJob("j", "k"), newJob("i", "k")]);
    const first = await claim(a, "A", "lease", 1);
    expect(await claim(b, "A", "lease", 1)).toEqual(first);
    expect(await claim(b, "B", "lease of B")).toHaveLength(1);
  });

  test("3: releases and crashes use up runs, and no attempts", async () => {
    const { a, b, clock } = await openTwo(engine);
    await a.insertJobs([newJob("j", "k", { maxAttempts: 2 })]);
    for (let i = 1; i <= 5; i++) {
      await claim(a, "A", `lease ${i}`);
      expect(await b.release(id("A"), [id(`lease ${i}`)])).toBe(1);
    }
    await a.openSession(newSession("dies"));
    await claim(a, "dies", "lost lease");
    await b.reap([{ id: id("dies"), beat: 0, cause: "gone", leaseMs: 30_000 }]);
    const [seventh] = await claim(a, "A", "lease 7");
    expect(seventh).toMatchObject({ run: 7, fails: 0, crashes: 1, maxAttempts: 2 });
    const first = afterFailure(seventh!, () => SECOND);
    expect(first).toMatchObject({ state: "failed", fails: 1, crashes: 0 });
    await settle(a, group("A", "lease 7", [["j", 7, first]]));
    clock.now += SECOND;
    await b.promote(10);
    const [eighth] = await claim(a, "A", "lease 8");
    expect(eighth).toMatchObject({ run: 8, fails: 1, crashes: 0 });
    const second = afterFailure(eighth!, () => SECOND);
    expect(second).toMatchObject({ state: "abandoned", reason: "attempts" });
    await settle(a, group("A", "lease 8", [["j", 8, second]]));
    expect(await b.getJobs([id("j")])).toMatchObject([{ state: "abandoned", fails: 2 }]);
    expect(await b.audit()).toEqual([]);
  });

  test("8: a settle sent again after an unknown commit is accepted, another end is lost", async () => {
    const { a, b } = await openTwo(engine);
    await a.insertJobs([newJob("j", "k"), newJob("i", "k")]);
    await claim(a, "A", "lease");
    const sent = group("A", "lease", [
      ["j", 1, done],
      ["i", 1, failed],
    ]);
    expect(await settle(a, sent)).toEqual(["accepted", "accepted"]);
    expect(await settle(b, sent)).toEqual(["accepted", "accepted"]);
    const other = group("A", "lease", [
      ["j", 1, failed],
      ["i", 1, done],
    ]);
    expect(await settle(b, other)).toEqual(["lost", "lost"]);
    const foreign = group("B", "lease", [
      ["j", 1, done],
      ["i", 1, failed],
    ]);
    expect(await settle(b, foreign)).toEqual(["lost", "lost"]);
    expect((await b.listAttempts({ limit: 10 })).rows).toHaveLength(2);
    expect(await b.audit()).toEqual([]);
  });

  test("9: of 500 claimed jobs only the 3 that were running reach the limit of crashes", async () => {
    const { a, b } = await openTwo(engine);
    const names = Array.from({ length: 500 }, (_, i) => `job ${i}`);
    await a.insertJobs(names.map((name) => newJob(name, "k")));
    const pills = new Set(names.slice(0, 3).map(id));
    const deaths: unknown[] = [];
    for (let n = 1; n <= 3; n++) {
      const session = id(`worker ${n}`);
      await a.openSession(newSession(`worker ${n}`));
      const claimed = await claim(a, `worker ${n}`, `lease ${n}`);
      expect(claimed).toHaveLength(500);
      const started = claimed.filter(({ job }) => pills.has(job));
      await a.markStarted(
        started.map(({ job, run }) => ({ job, run, lease: id(`lease ${n}`), session })),
      );
      deaths.push(...(await b.reap([{ id: session, beat: 0, cause: "gone", leaseMs: 30_000 }])));
    }
    expect(deaths).toEqual([
      { status: "reaped", decided: { crashed: 500 } },
      { status: "reaped", decided: { crashed: 3, released: 497 } },
      { status: "reaped", decided: { abandoned: 3, released: 497 } },
    ]);
    const innocent = (await b.getJobs(names.slice(3).map(id))).every((job) => job?.crashes === 1);
    expect(innocent).toBe(true);
    expect(await b.audit()).toEqual([]);
  });

  test("22: partial settles of one lease, the last of which closes it", async () => {
    const { a, b } = await openTwo(engine);
    const names = ["one", "two", "three"];
    await a.insertJobs(names.map((name) => newJob(name, "k")));
    await claim(a, "A", "lease");
    await settle(a, group("A", "lease", [["one", 1, done]], false));
    await settle(b, group("A", "lease", [["two", 1, afterSnooze(fresh, MINUTE)]], false));
    expect((await a.heartbeat({ session: id("A"), running: [] })).leases).toEqual([id("lease")]);
    await settle(a, group("A", "lease", [["three", 1, failed]]));
    expect((await b.heartbeat({ session: id("A"), running: [] })).leases).toEqual([]);
    expect(await b.closeSession(id("A"))).toBe(true);
    expect(await b.audit()).toEqual([]);
  });

  test("22: the heartbeat removes a finished lease whose close was lost", async () => {
    const { a, b } = await openTwo(engine);
    await a.insertJobs([newJob("j", "k")]);
    await claim(a, "A", "lease");
    await settle(a, group("A", "lease", [["j", 1, done]], false));
    expect((await b.heartbeat({ session: id("A"), running: [] })).leases).toEqual([]);
    expect(await b.closeSession(id("A"))).toBe(true);
  });

  describe("a worker that breaks the contract does not break the file", () => {
    test("it closes a lease with an undecided run in it: the lease stays, and its reaper finds the run", async () => {
      const { a, b, clock } = await openTwo(engine);
      await a.insertJobs([newJob("j", "k"), newJob("i", "k")]);
      await claim(a, "A", "lease");
      expect(await settle(a, group("A", "lease", [["j", 1, done]], true))).toEqual(["accepted"]);
      expect(await b.audit()).toEqual([]);
      clock.now += 31 * SECOND;
      expect(await reapExpired(b, "A")).toBe("reaped");
      expect(await b.getJobs([id("i")])).toMatchObject([{ state: "failed", run: 2 }]);
    });

    test("it settles a run that its lease does not list: lost", async () => {
      const { a, b } = await openTwo(engine);
      await a.insertJobs([newJob("j", "k"), newJob("i", "nobody's")]);
      await claim(a, "A", "lease");
      expect(await settle(a, group("A", "lease", [["i", 1, done]], false))).toEqual(["lost"]);
      expect(await b.getJobs([id("i")])).toMatchObject([{ state: "pending", run: 1 }]);
      expect(await b.audit()).toEqual([]);
    });
  });

  test("2: a run that was cancelled before its claim was sent again gives its key up with the lease", async () => {
    const { a, b } = await openTwo(engine);
    await a.insertJobs([newJob("keyed", "k", { uniqueKey: "u" }), newJob("other", "k")]);
    await claim(a, "A", "lease");
    await b.cancel([id("keyed")]);
    // Its worker never heard of "keyed": the second answer left it out.
    await settle(
      a,
      group("A", "lease", [["other", 1, afterSuccess({ fails: 0, crashes: 0 })]], true),
    );
    expect(await b.insertJobs([newJob("next", "k", { uniqueKey: "u" })])).toEqual([
      { status: "inserted" },
    ]);
    expect(await b.audit()).toEqual([]);
  });
});
