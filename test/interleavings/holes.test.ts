/**
 * Holes found by these tests and not yet mended: each is written as it should be, and is known to fail. When one is mended
 * its test turns red here: take the `.fails` away and move it to where it belongs.
 */
import { describe, expect, test } from "vitest";
import { afterSuccess } from "../../src/core/outcome.js";
import { RUN_STATES } from "../../src/core/states.js";
import { id, newJob, NOW } from "./scenario.js";
import { useSpoiled, type Spoil } from "./spoil.js";
import { claim, group, MINUTE, openTwo, reapExpired, SECOND, settle, type Two } from "./two.js";

const done = afterSuccess({ fails: 0, crashes: 0 });
const keepNothing = { doneMs: 0, otherMs: 0, limit: 100 };

/** Its first life cancelled in the hands of its worker, its second one waiting. */
async function retriedWhileHeld(): Promise<Two> {
  const two = await openTwo();
  const { a, b } = two;
  await a.insertJobs([newJob("j", "k", { uniqueKey: "u" })]);
  await claim(a, "A", "lease");
  await b.cancel([id("j")]);
  expect(await b.retry([id("j")])).toEqual([{ status: "requeued" }]);
  expect(await b.audit()).toEqual([]);
  return two;
}

describe("I4: a cancelled run that is given up late frees the key of the job's next life", () => {
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
    const two = await retriedWhileHeld();
    await giveUp(two);
    expect(await two.b.audit()).toEqual([]);
    const second = await two.b.insertJobs([newJob("second", "k", { uniqueKey: "u" })]);
    expect(second).toEqual([{ status: "unique", holder: id("j") }]);
  });
});

test("I1: the audit finds fault with a running job that was just cancelled", async () => {
  const { a, b } = await openTwo();
  await a.insertJobs([newJob("j", "k")]);
  await claim(a, "A", "lease");
  await a.markStarted([{ job: id("j"), run: 1, lease: id("lease"), session: id("A") }]);
  await b.cancel([id("j")]);
  expect(await b.audit()).toEqual([]);
});

test("22: the heartbeat removes finished leases that nobody closed", async () => {
  const { a, b } = await openTwo();
  await a.insertJobs([newJob("j", "k")]);
  await claim(a, "A", "lease");
  await settle(a, group("A", "lease", [["j", 1, done]], false));
  expect((await b.heartbeat({ session: id("A"), running: [] })).leases).toEqual([]);
  expect(await b.closeSession(id("A"))).toBe(true);
});

test("prune passes by what leases list, and takes what lies behind it", async () => {
  const { a, b, clock } = await openTwo();
  await a.insertJobs([newJob("listed", "k"), newJob("open", "k")]);
  await claim(a, "A", "lease");
  await settle(a, group("A", "lease", [["listed", 1, done]], false));
  clock.now += SECOND;
  await b.insertJobs([newJob("free", "other")]);
  await claim(b, "B", "lease of B");
  await settle(b, group("B", "lease of B", [["free", 1, done]]));
  clock.now += 20 * MINUTE;
  expect(await b.prune({ ...keepNothing, limit: 1 })).toEqual({ pruned: 1 });
});

test("a lane whose insert was rolled back is not remembered", async () => {
  const { a, b } = await openTwo();
  // In its place: a full disk, or whatever else rolls one enqueue back while another of the same process succeeds.
  const broken = { ...newJob("broken", "lost"), id: "no id" };
  const both = [a.insertJobs([newJob("i", "k")]), a.insertJobs([newJob("h", "lost"), broken])];
  expect((await Promise.allSettled(both)).map((r) => r.status)).toEqual(["fulfilled", "rejected"]);
  await b.insertJobs([newJob("f", "thief")]);
  await a.insertJobs([newJob("g", "lost")]);
  const [job] = await b.getJobs([id("g")]);
  expect(job?.kind).toBe("lost");
});

describe("a worker that breaks the contract breaks the file", () => {
  test("I1: it closes a lease with an undecided run in it: that job stands nowhere, for ever", async () => {
    const { a, b } = await openTwo();
    await a.insertJobs([newJob("j", "k"), newJob("i", "k")]);
    await claim(a, "A", "lease");
    await settle(a, group("A", "lease", [["j", 1, done]], true));
    expect(await b.audit()).toEqual([]);
  });

  test("I3: it settles a run that its lease does not list: accepted", async () => {
    const { a, b } = await openTwo();
    await a.insertJobs([newJob("j", "k"), newJob("i", "nobody's")]);
    await claim(a, "A", "lease");
    expect(await settle(a, group("A", "lease", [["i", 1, done]], false))).toEqual(["lost"]);
    expect(await b.audit()).toEqual([]);
  });
});

describe("what the audit does not see", () => {
  const spoiled = useSpoiled();

  const unseen: readonly (readonly [string, (run: Spoil) => void])[] = [
    [
      "I2: a ready row in another lane than its job: cancel passes it by",
      (run) => run("update qudo_ready set lane = lane + 1 where id = ?", "ready"),
    ],
    [
      "I2: a job in a lane that does not exist: nobody claims it, nothing shows it",
      (run) => {
        run("update qudo_job set lane = 99 where id = ?", "ready");
        run("update qudo_ready set lane = 99 where id = ?", "ready");
      },
    ],
    [
      "I2: a waiting row whose counters are not those of its last outcome",
      (run) => run("update qudo_ready set fails = 5 where id = ?", "ready"),
    ],
    [
      "I2: a requeue after done, which retry refuses",
      (run) => {
        run(
          `insert into qudo_outcome (job_id, run, state, lane, writer, ended_at, fails, crashes, next_at)
             select id, 2, ${RUN_STATES.requeued}, lane, x'00', ${NOW}, 0, 0, run_at from qudo_job where id = ?`,
          "done",
        );
        run(
          `insert into qudo_ready (lane, prio, run_at, id, run, fails, crashes)
             select lane, prio, run_at, id, 3, 0, 0 from qudo_job where id = ?`,
          "done",
        );
      },
    ],
    [
      "I3: a running row in the name of a session that does not hold the lease",
      (run) => run("update qudo_running set worker = ? where job_id = ?", "living", "running"),
    ],
    [
      "I4: a living job that holds a key beside its own",
      (run) => run("insert into qudo_unique_key (hash, job_id) values (x'07', ?)", "ready, keyed"),
    ],
    ["I5: an outcome whose job is gone", (run) => run("delete from qudo_job where id = ?", "done")],
    [
      "I6: an end in the future: prune will keep it until then",
      (run) =>
        run("update qudo_outcome set ended_at = ? where job_id = ?", NOW + 3_600_000, "done"),
    ],
    [
      "a state that no release knows: the audit itself breaks off instead of telling",
      (run) => run("update qudo_outcome set state = 99 where job_id = ?", "done"),
    ],
  ];

  test.each(unseen)("%s", async (_, spoil) => {
    const { before, after } = await spoiled(spoil);
    expect(before).toEqual([]);
    expect(after).not.toEqual([]);
  });
});
