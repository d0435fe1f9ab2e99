/** The numbered interleavings that break inside an operation: 4, 5, 6. Each is played before every statement, both ways round. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { afterSuccess } from "../../src/core/outcome.js";
import type { JobRow } from "../../src/storage/driver.js";
import type { Answer, Played } from "./conductor.js";
import type { Call } from "./operations.js";
import { ENGINES } from "./engines.js";
import { DYING_BEAT, id, newJob, wants } from "./scenario.js";
import type { Stage } from "./stage.js";
import { idsOf } from "./verdict.js";
import { group, openTwo, reapExpired, SECOND, settle } from "./two.js";

const reap: Call = {
  method: "reap",
  args: [[{ id: id("dying"), beat: DYING_BEAT, cause: "expired", leaseMs: 30_000 }]],
};
const heartbeat: Call = { method: "heartbeat", args: [{ session: id("dying"), running: [] }] };
const NEW_CLAIM = { lease: id("new"), session: id("dying"), wants: wants("waits") };
const claim: Call = {
  method: "trip",
  args: [{ settle: [], claim: NEW_CLAIM }],
};
const retry: Call = { method: "retry", args: [[id("abandoned")]] };
const prune: Call = {
  method: "prune",
  args: [{ scan: "other", keepMs: 0, after: null, limit: 100 }],
};
const cancel: Call = { method: "cancel", args: [[id("due")]] };
const promote: Call = { method: "promote", args: [100] };

const value = (answer: Answer): unknown => (answer.ok ? answer.value : answer.code);

describe.each(ENGINES)("on $name", (engine) => {
  let stage: Stage;
  beforeAll(async () => void (stage = await engine.stage()));
  afterAll(() => stage?.close());

  /** Both orders at every pause; the answers in the order of the calls given here. */
  async function everywhere(
    one: Call,
    other: Call,
    look: (answers: readonly [Answer, Answer]) => Promise<void> | void,
  ): Promise<void> {
    const there = await stage.everywhere(one, other, { look: (p) => look(p.answers) });
    const flip = ({ answers: [a, b] }: Played) => look([b, a]);
    const back = await stage.everywhere(other, one, { look: flip });
    expect([...there.wrong, ...back.wrong]).toEqual([]);
    expect(there.played + back.played).toBeGreaterThan(6);
  }

  async function jobNow(name: string): Promise<JobRow | null> {
    const [job] = await stage.driver.getJobs([id(name)]);
    return job ?? null;
  }

  describe("4: the end of a session", () => {
    test("a heartbeat brings no reaped session back to life", async () => {
      const { a, b, clock } = await openTwo(engine);
      await a.insertJobs([newJob("j", "k")]);
      clock.now += 31 * SECOND;
      expect(await reapExpired(b, "A")).toBe("reaped");
      const beat = await a.heartbeat({ session: id("A"), running: [] });
      expect(beat).toEqual({ alive: false, leases: [], fenced: [] });
      expect((await b.sessions()).map((s) => s.id)).toEqual([id("B")]);
      const late = { lease: id("late"), session: id("A"), wants: wants("k") };
      await expect(a.trip({ settle: [], claim: late })).rejects.toThrow(
        expect.objectContaining({ code: "QUDO_SESSION_LOST" }),
      );
      expect(await b.getJobs([id("j")])).toMatchObject([{ state: "pending" }]);
    });

    test("a heartbeat during the reap: reaped and dead, or alive and holding, never both", async () => {
      const seen = new Set<string>();
      await everywhere(reap, heartbeat, ([reaped, beat]) => {
        const [{ status }] = value(reaped) as [{ status: string }];
        const { alive, leases } = value(beat) as { alive: boolean; leases: string[] };
        expect(alive).toBe(status === "alive");
        expect(leases.length > 0).toBe(alive);
        seen.add(status);
      });
      expect([...seen].toSorted()).toEqual(["alive", "reaped"]);
    });

    test("a claim during the reap: refused, or its jobs are placed again by it", async () => {
      const seen = new Set<string>();
      await everywhere(reap, claim, async (answers) => {
        expect(value(answers[0])).toMatchObject([{ status: "reaped" }]);
        const [, claimed] = answers;
        seen.add(claimed.ok ? "claimed" : String(claimed.code));
        expect(await jobNow("ready")).toMatchObject(
          claimed.ok ? { state: "failed", run: 2, crashes: 1 } : { state: "pending", run: 1 },
        );
      });
      expect([...seen].toSorted()).toEqual(["QUDO_SESSION_LOST", "claimed"]);
    });

    test("the foreign key refuses a lease without a session", async () => {
      const { a, rows } = await openTwo(engine);
      await a.insertJobs([newJob("j", "k")]);
      await a.trip({ settle: [], claim: { ...NEW_CLAIM, session: id("A"), wants: wants("k") } });
      await expect(rows("update qudo_lease set worker = id")).rejects.toThrow(/foreign key/i);
    });

    test("a settle after the reap is lost, and a settle before it stands", async () => {
      const done = afterSuccess({ fails: 0, crashes: 0 });
      const ended = group("dying", "old lease", [["open, listed", 1, done]]);
      const call: Call = { method: "trip", args: [{ settle: [ended], claim: null }] };
      const seen = new Set<string>();
      await everywhere(reap, call, async (answers) => {
        const { settled } = value(answers[1]) as { settled: string[][] };
        const last = (await jobNow("open, listed"))?.last?.state;
        expect(last).toBe(settled[0]![0] === "accepted" ? "done" : "crashed");
        seen.add(settled[0]![0]!);
      });
      expect([...seen].toSorted()).toEqual(["accepted", "lost"]);
    });
  });

  describe("5: an operator's retry", () => {
    test("against prune: requeued and there, or pruned and absent", async () => {
      const seen = new Set<string>();
      await everywhere(retry, prune, async (answers) => {
        const [{ status }] = value(answers[0]) as [{ status: string }];
        const job = await jobNow("abandoned");
        if (status === "requeued")
          expect(job).toMatchObject({ state: "pending", run: 3, fails: 0 });
        else expect([status, job]).toEqual(["absent", null]);
        seen.add(status);
      });
      expect([...seen].toSorted()).toEqual(["absent", "requeued"]);
    });

    test("against another one: one wins", async () => {
      await everywhere(retry, retry, (answers) => {
        const both = answers.map((answer) => (value(answer) as unknown[])[0]);
        expect(both).toContainEqual({ status: "requeued" });
        expect(both).toContainEqual({ status: "refused", state: "pending" });
      });
    });

    test("a job that is not finished, or done, is refused", async () => {
      const { a, b } = await openTwo(engine);
      await a.insertJobs([newJob("j", "k")]);
      expect(await b.retry([id("j")])).toEqual([{ status: "refused", state: "pending" }]);
      const take = { lease: id("lease"), session: id("A"), wants: wants("k") };
      await a.trip({ settle: [], claim: take });
      expect(await b.retry([id("j")])).toEqual([{ status: "refused", state: "reserved" }]);
      const done = afterSuccess({ fails: 0, crashes: 0 });
      await settle(a, group("A", "lease", [["j", 1, done]]));
      expect(await b.retry([id("j")])).toEqual([{ status: "refused", state: "done" }]);
    });
  });

  test("6: cancel against promote: the job on the move is cancelled and stands nowhere", async () => {
    await everywhere(cancel, promote, async (answers) => {
      expect(value(answers[0])).toEqual(["cancelled"]);
      expect(await jobNow("due")).toMatchObject({ state: "cancelled", run: 1 });
      const waiting = "select id from qudo_ready union all select id from qudo_delayed";
      expect(idsOf(await stage.rows(waiting))).not.toContain(id("due"));
    });
  });

  test("6: cancel against claim: claimed and fenced, or cancelled and not claimed", async () => {
    const cancelReady: Call = { method: "cancel", args: [[id("ready")]] };
    const taken = new Set<boolean>();
    await everywhere(cancelReady, claim, async (answers) => {
      expect(value(answers[0])).toEqual(["cancelled"]);
      const { claimed } = value(answers[1]) as { claimed: { job: string }[] };
      const running = [{ job: id("ready"), run: 1 }];
      const beat = await stage.driver.heartbeat({ session: id("dying"), running });
      expect(beat.fenced).toEqual(running);
      taken.add(claimed.some(({ job }) => job === id("ready")));
      expect((await jobNow("ready"))?.state).toBe("cancelled");
    });
    expect(taken).toEqual(new Set([true, false]));
  });
});
