import { describe, expect, test } from "vitest";
import {
  DatabaseError,
  EnqueueOutcomeUnknownError,
  type ErrorCode,
} from "../../../src/core/errors.js";
import type { Placement } from "../../../src/storage/database.js";
import type { Driver, NewJob } from "../../../src/storage/driver.js";
import { placing } from "../../../src/storage/several/enqueue.js";
import { partsOf, type DatabasePart } from "../../../src/storage/several/part.js";
import { preference } from "../../../src/storage/several/placement.js";
import type { PartPlan } from "../../../src/storage/several/plan.js";
import { ConflictError, LostError, perhaps } from "../../../src/storage/sql/errors.js";
import { FakeDatabase, gate, jobOf, Manual, turns, watched } from "./support.js";

const UNREACHED = new DatabaseError("QUDO_DATABASE_UNREACHABLE", "Nobody answers.", true);
const LOST = new LostError("QUDO_DATABASE_UNREACHABLE", "Lost at its commit.", true, {
  happened: "perhaps",
});

interface Made {
  readonly dbs: readonly FakeDatabase[];
  readonly parts: readonly DatabasePart[];
  readonly time: Manual;
  readonly insertJobs: Driver["insertJobs"];
  /** All of them have been opened. */
  open(): Promise<void>;
}

const NAMES = ["a", "b", "c"];

function made(
  placement: Placement = "spread",
  more: readonly Partial<PartPlan>[] = [{}, {}, {}],
): Made {
  const time = new Manual();
  const dbs = more.map(() => new FakeDatabase());
  const parts = partsOf(
    { parts: dbs.map((db, i) => db.plan(NAMES[i]!, more[i])), placement, retryMs: 30_000 },
    { migrate: true, surroundings: time },
  );
  return {
    dbs,
    parts,
    time,
    insertJobs: placing({ targets: parts, placement, surroundings: time }),
    open: async () => void (await Promise.all(parts.map(({ driver }) => driver.counts({})))),
  };
}

/** A job that would go to the first of these. */
function jobFor(...names: string[]): NewJob {
  const candidates = NAMES.map((name) => ({ name, weight: 1 }));
  for (;;) {
    const job = jobOf();
    const order = preference(job.id, candidates).map(({ name }) => name);
    if (names.every((name, i) => order[i] === name)) return job;
  }
}

const there = (dbs: readonly FakeDatabase[], { id }: NewJob): string[] =>
  NAMES.filter((_, i) => dbs[i]?.jobs.has(id));

describe("spread", () => {
  test("each job goes to one database, whose name is told, by weight; those of one call share its commits", async () => {
    const { dbs, insertJobs } = made("spread", [{}, { weight: 3 }]);
    const jobs = Array.from({ length: 400 }, () => jobOf());
    const outcomes = await insertJobs(jobs);
    expect(outcomes.map(({ status }) => status)).toEqual(jobs.map(() => "inserted"));
    expect(outcomes.map(({ database }) => [database])).toEqual(jobs.map((job) => there(dbs, job)));
    // 100 and 300, give or take six standard deviations.
    expect(Math.abs(dbs[0]!.jobs.size - 100)).toBeLessThan(52);
    expect(dbs.map((db) => db.times("insertJobs"))).toEqual([1, 1]);
  });

  test("the same id goes to the same database", async () => {
    const { insertJobs } = made();
    const job = jobOf();
    const [first] = await insertJobs([job]);
    expect(await insertJobs([job])).toEqual([{ status: "duplicate", database: first!.database }]);
  });

  test("one that drains, or is off, gets none", async () => {
    const { dbs, insertJobs } = made("spread", [{ mode: "drain" }, {}, { mode: "off" }]);
    await insertJobs(Array.from({ length: 30 }, () => jobOf()));
    expect(dbs.map((db) => db.jobs.size)).toEqual([0, 30, 0]);
  });

  test.each([
    ["unreachable", UNREACHED],
    ["read-only", new DatabaseError("QUDO_DATABASE_READ_ONLY", "Read-only.", true)],
    ["full", new DatabaseError("QUDO_DATABASE_FULL", "Full.", true)],
    ["late once", new DatabaseError("QUDO_DATABASE_BUSY", "Late.", true)],
    ["without its tables", new DatabaseError("QUDO_SCHEMA_MISSING", "No tables.", false)],
  ])("a job whose database is %s goes to the next one", async (_, thrown) => {
    const { dbs, insertJobs, open } = made();
    await open();
    dbs[0]!.failures.set("insertJobs", thrown);
    const job = jobFor("a", "c");
    expect(await insertJobs([job])).toEqual([{ status: "inserted", database: "c" }]);
    expect(there(dbs, job)).toEqual(["c"]);
  });

  test("one that is out is asked no more, and asked again when it is back", async () => {
    const { dbs, insertJobs, open, time } = made();
    await open();
    dbs[0]!.failures.set("insertJobs", UNREACHED);
    for (let i = 0; i < 5; i++) await insertJobs([jobFor("a")]);
    expect(dbs[0]!.times("insertJobs")).toBe(1);
    dbs[0]!.failures.clear();
    await time.pass(30_000);
    expect(await insertJobs([jobFor("a")])).toEqual([{ status: "inserted", database: "a" }]);
  });

  test("one that is out from the start is out, and the others go on", async () => {
    const { dbs, insertJobs } = made();
    dbs[0]!.failures.set("open", UNREACHED);
    const job = jobFor("a", "b");
    expect(await insertJobs([job])).toEqual([{ status: "inserted", database: "b" }]);
  });

  test("a job that waits behind one that stands still goes elsewhere after a second", async () => {
    const { dbs, insertJobs, open, time } = made();
    await open();
    const { passed, open: go } = gate();
    dbs[0]!.gates.set("insertJobs", passed);
    const sent = watched(insertJobs([jobFor("a")]));
    await turns();
    const behind = jobFor("a", "b");
    const waiting = watched(insertJobs([behind]));
    await time.pass(999);
    expect(waiting.over).toBe(false);
    await time.pass(1);
    expect(waiting.value).toEqual([{ status: "inserted", database: "b" }]);
    // Whoever comes now does not even begin to wait there.
    expect(await insertJobs([jobFor("a", "c")])).toEqual([{ status: "inserted", database: "c" }]);
    // What was sent is not sent elsewhere: it may be there.
    await time.pass(20_000);
    expect(sent.over).toBe(false);
    go();
    await turns();
    expect(sent.value).toEqual([{ status: "inserted", database: "a" }]);
    expect(there(dbs, behind)).toEqual(["b"]);
  });

  test("where all of them stand still a job waits until the time is up, and then is nowhere", async () => {
    const { dbs, insertJobs, open, time } = made("spread", [{}, {}]);
    await open();
    const { passed } = gate();
    for (const db of dbs) db.gates.set("insertJobs", passed);
    for (const job of [jobFor("a"), jobFor("b")]) watched(insertJobs([job]));
    await time.pass(1_500);
    const late = watched(insertJobs([jobOf()]));
    await time.pass(4_999);
    expect(late.over).toBe(false);
    await time.pass(1);
    expect(late.error).toMatchObject({ code: "QUDO_DATABASES_OUT" });
  });

  test("where all of them are slow a job waits in a line that moves, for as long as it takes", async () => {
    const { dbs, insertJobs, open, time } = made("spread", [{}, {}]);
    await open();
    const jobs = Array.from({ length: 12_000 }, () => jobOf());
    for (const db of dbs) db.slow("insertJobs", (ms) => time.sleep(ms), 1_500);
    const all = watched(insertJobs(jobs));
    await time.pass(20_000);
    expect(all.error).toBeUndefined();
    expect(all.over).toBe(true);
    expect(dbs[0]!.jobs.size + dbs[1]!.jobs.size).toBe(12_000);
  });

  test("those that only had too much to do are asked again when the others have failed", async () => {
    const { dbs, insertJobs, open, time } = made();
    await open();
    const gates = [gate(), gate()];
    gates.forEach(({ passed }, i) => dbs[i]!.gates.set("insertJobs", passed));
    dbs[2]!.failures.set("insertJobs", UNREACHED);
    watched(insertJobs([jobFor("a")]));
    await turns();
    const job = jobFor("a", "b");
    const sent = watched(insertJobs([job]));
    await time.pass(500);
    watched(insertJobs([jobFor("b")]));
    await time.pass(2_000);
    expect(dbs[2]!.times("insertJobs")).toBe(1);
    expect(sent.over).toBe(false);
    gates[1]!.open();
    await time.pass(1_000);
    expect(sent.value).toEqual([{ status: "inserted", database: "b" }]);
    expect(there(dbs, job)).toEqual(["b"]);
  });

  test("one that fails only after the time is up does not keep the job from one that is well", async () => {
    const { dbs, insertJobs, open, time } = made();
    await open();
    const { passed, open: go } = gate();
    dbs[0]!.gates.set("insertJobs", passed);
    const sent = watched(insertJobs([jobFor("a", "b")]));
    await time.pass(6_000);
    dbs[0]!.failures.set("insertJobs", UNREACHED);
    go();
    await turns();
    expect(sent.value).toEqual([{ status: "inserted", database: "b" }]);
  });

  test("all of them down: one error, which names each with its reason, and no job anywhere", async () => {
    const { dbs, insertJobs, open } = made("spread", [{}, {}, { mode: "drain" }]);
    await open();
    dbs[0]!.failures.set("insertJobs", UNREACHED);
    dbs[1]!.failures.set("insertJobs", new DatabaseError("QUDO_DATABASE_FULL", "No room.", true));
    for (let i = 0; i < 2; i++) {
      const refused = insertJobs([jobOf()]);
      await expect(refused).rejects.toMatchObject({ code: "QUDO_DATABASES_OUT", transient: true });
      await expect(refused).rejects.toThrow(
        /a: .*Nobody answers\..*; b: .*No room\..*; c: takes no new jobs \(drain\)/,
      );
    }
    expect(dbs.map((db) => db.jobs.size)).toEqual([0, 0, 0]);
  });

  test.each([
    ["others have its key", new ConflictError("QUDO_DATABASE_BUSY", "Met others.", true)],
    [
      "a package is missing",
      new DatabaseError("QUDO_PACKAGE_MISSING", "Run: npm install pg@8", false),
    ],
    ["there is a mistake in a program", new TypeError("x is not a function")],
  ])("no other database is asked where %s", async (_, thrown) => {
    const { dbs, insertJobs, open } = made();
    await open();
    dbs[0]!.failures.set("insertJobs", thrown);
    await expect(insertJobs([jobFor("a")])).rejects.toBe(thrown);
    expect(dbs[1]!.times("insertJobs") + dbs[2]!.times("insertJobs")).toBe(0);
  });
});

describe("a job that may have been written", () => {
  test("goes to the same database again, and is there once", async () => {
    const { dbs, insertJobs, open } = made();
    await open();
    const job = jobFor("a", "b");
    // It was written, and the answer was lost.
    dbs[0]!.jobs.add(job.id);
    dbs[0]!.failOnce("insertJobs", LOST);
    expect(await insertJobs([job])).toEqual([{ status: "inserted", database: "a" }]);
    expect(there(dbs, job)).toEqual(["a"]);
    expect(dbs[0]!.times("insertJobs")).toBe(2);
  });

  test("goes there again and again while the database is out, and is found when it is back", async () => {
    const { dbs, insertJobs, open, time } = made();
    await open();
    dbs[0]!.failOnce("insertJobs", LOST);
    dbs[0]!.failures.set("insertJobs", UNREACHED);
    const job = jobFor("a", "b");
    const sent = watched(insertJobs([job]));
    await time.pass(3_000);
    expect(sent.over).toBe(false);
    expect(dbs[0]!.times("insertJobs")).toBeGreaterThan(5);
    dbs[0]!.failures.clear();
    await time.pass(1_000);
    expect(sent.value).toEqual([{ status: "inserted", database: "a" }]);
    expect(there(dbs, job)).toEqual(["a"]);
  });

  test("is reported by database and id when the time is up, and is in no other database", async () => {
    const { dbs, insertJobs, open, time } = made();
    await open();
    dbs[0]!.failOnce("insertJobs", LOST);
    dbs[0]!.failures.set("insertJobs", UNREACHED);
    const job = jobFor("a", "b");
    const sent = watched(insertJobs([job]));
    await time.pass(5_000);
    expect(sent.error).toBeInstanceOf(EnqueueOutcomeUnknownError);
    expect(sent.error).toMatchObject({
      code: "QUDO_ENQUEUE_UNKNOWN",
      database: "a",
      ids: [job.id],
      cause: LOST,
    });
    expect(there(dbs, job)).toEqual([]);
  });

  test("is asked for during two seconds at least, however late the answer was lost", async () => {
    const { dbs, insertJobs, open, time } = made();
    await open();
    const { passed, open: go } = gate();
    dbs[0]!.gates.set("insertJobs", passed);
    const sent = watched(insertJobs([jobFor("a")]));
    await time.pass(8_000);
    dbs[0]!.failOnce("insertJobs", LOST);
    dbs[0]!.failures.set("insertJobs", UNREACHED);
    go();
    await time.pass(1_400);
    expect(sent.over).toBe(false);
    dbs[0]!.failures.clear();
    await time.pass(600);
    expect(sent.value).toEqual([{ status: "inserted", database: "a" }]);
  });

  test("enqueued again under its id it is looked for where it may be, and nowhere else", async () => {
    const { dbs, insertJobs, open, time } = made();
    await open();
    const job = jobFor("a", "b");
    dbs[0]!.jobs.add(job.id);
    dbs[0]!.failOnce("insertJobs", LOST);
    dbs[0]!.failures.set("insertJobs", UNREACHED);
    for (let round = 1; round <= 2; round++) {
      const sent = watched(insertJobs([job]));
      await time.pass(5_000);
      expect(sent.error).toMatchObject({ database: "a", ids: [job.id], cause: LOST });
    }
    dbs[0]!.failures.clear();
    expect(await insertJobs([job])).toEqual([{ status: "inserted", database: "a" }]);
    expect(there(dbs, job)).toEqual(["a"]);
    // Now it is known.
    await time.pass(30_000);
    expect(await insertJobs([job])).toEqual([{ status: "duplicate", database: "a" }]);
  });

  test("when it is found its database is tried at once, and whoever finds no other one waits for that", async () => {
    const { dbs, insertJobs, open, parts } = made("spread", [{}]);
    await open();
    const job = jobOf();
    dbs[0]!.jobs.add(job.id);
    dbs[0]!.failOnce("insertJobs", LOST);
    const { passed, open: go } = gate();
    dbs[0]!.gates.set("ping", passed);
    expect(await insertJobs([job])).toEqual([{ status: "inserted", database: "a" }]);
    expect(parts[0]!.status().state).toBe("probing");
    const next = watched(insertJobs([jobOf()]));
    await turns();
    expect(next.over).toBe(false);
    go();
    await turns();
    expect(next.value).toEqual([{ status: "inserted", database: "a" }]);
  });

  test("beside others that were written is told what it met, and nobody is in doubt", async () => {
    const { dbs, insertJobs, open } = made();
    await open();
    const met = new ConflictError("QUDO_DATABASE_BUSY", "Met others.", true);
    dbs[0]!.failOnce("insertJobs", perhaps(met));
    dbs[0]!.failures.set("insertJobs", met);
    await expect(insertJobs([jobFor("a")])).rejects.toBe(met);
  });

  test("is asked for at least once more where the answer was lost late", async () => {
    const { dbs, insertJobs, open, time } = made();
    await open();
    const { passed, open: go } = gate();
    dbs[0]!.gates.set("insertJobs", passed);
    const job = jobFor("a");
    const sent = watched(insertJobs([job]));
    await time.pass(8_000);
    dbs[0]!.failOnce("insertJobs", LOST);
    go();
    await time.pass(0);
    expect(sent.value).toEqual([{ status: "inserted", database: "a" }]);
  });

  test("of many jobs all that are unknown are told together, and the others are written", async () => {
    const { dbs, insertJobs, open, time } = made();
    await open();
    dbs[0]!.failOnce("insertJobs", LOST);
    dbs[0]!.failures.set("insertJobs", UNREACHED);
    const [one, two, three] = [jobFor("a"), jobFor("a"), jobFor("b")];
    const sent = watched(insertJobs([one, three, two]));
    await time.pass(5_500);
    expect(sent.error).toMatchObject({ database: "a", ids: [one.id, two.id] });
    expect(there(dbs, three)).toEqual(["b"]);
  });
});

describe("hash", () => {
  test("a key of a kind goes to one database, whatever the id", async () => {
    const { insertJobs } = made("hash");
    const homes = new Set<string | undefined>();
    for (let key = 0; key < 20; key++) {
      const jobs = Array.from({ length: 5 }, () => jobOf({ uniqueKey: `key ${key}` }));
      const names = (await insertJobs(jobs)).map(({ database }) => database);
      expect(new Set(names).size).toBe(1);
      homes.add(names[0]);
    }
    expect(homes.size).toBe(3);
  });

  test("never fails over", async () => {
    const { dbs, insertJobs, open } = made("hash");
    await open();
    const [{ database } = { database: "" }] = await insertJobs([jobOf({ uniqueKey: "k" })]);
    const home = dbs[NAMES.indexOf(database!)]!;
    home.failures.set("insertJobs", UNREACHED);
    await expect(insertJobs([jobOf({ uniqueKey: "k" })])).rejects.toBe(UNREACHED);
    await expect(insertJobs([jobOf({ uniqueKey: "k" })])).rejects.toMatchObject({
      code: "QUDO_DATABASE_OUT",
    });
    expect(dbs.map((db) => db.jobs.size).toSorted()).toEqual([0, 0, 1]);
  });

  test("jobs without a key are spread, and fail over", async () => {
    const { dbs, insertJobs, open } = made("hash");
    await open();
    dbs[0]!.failures.set("insertJobs", UNREACHED);
    expect(await insertJobs([jobFor("a", "b")])).toEqual([{ status: "inserted", database: "b" }]);
  });

  test("waits where its key belongs, though that stands still, until the time is up", async () => {
    const { dbs, insertJobs, open, time } = made("hash");
    await open();
    const [{ database } = { database: "" }] = await insertJobs([jobOf({ uniqueKey: "k" })]);
    const { passed } = gate();
    dbs[NAMES.indexOf(database!)]!.gates.set("insertJobs", passed);
    watched(insertJobs([jobOf({ uniqueKey: "k" })]));
    await turns();
    const late = watched(insertJobs([jobOf({ uniqueKey: "k" })]));
    await time.pass(4_999);
    expect(late.over).toBe(false);
    await time.pass(1);
    expect(late.error).toMatchObject({ code: "QUDO_DATABASES_OUT" satisfies ErrorCode });
    expect((late.error as Error).message).toContain(`${database}: `);
    for (const other of NAMES.filter((name) => name !== database))
      expect((late.error as Error).message).not.toContain(`${other}: `);
  });
});
