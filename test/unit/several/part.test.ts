import { describe, expect, test } from "vitest";
import { DatabaseError } from "../../../src/core/errors.js";
import type { DatabaseStatus } from "../../../src/storage/driver.js";
import { TakenBack } from "../../../src/storage/several/gathering.js";
import { partsOf, type DatabasePart } from "../../../src/storage/several/part.js";
import type { PartPlan } from "../../../src/storage/several/plan.js";
import { LostError } from "../../../src/storage/sql/errors.js";
import { FakeDatabase, gate, jobOf, Manual, turns, watched } from "./support.js";

const GONE = new LostError("QUDO_DATABASE_UNREACHABLE", "It is gone.", true);
const OUT = { code: "QUDO_DATABASE_OUT", transient: true };
const CLAIM = { lease: "l", session: "s", wants: [] };
const SETTLE = [{ lease: "l", session: "s", settlements: [], close: true }];

interface Made {
  readonly db: FakeDatabase;
  readonly part: DatabasePart;
  readonly time: Manual;
  /** "state mode", at each change. */
  readonly changes: string[];
}

function made(more: Partial<PartPlan> = {}, migrate = true): Made {
  const [db, time] = [new FakeDatabase(), new Manual()];
  const plan = { parts: [db.plan("a", more)], placement: "spread" as const, retryMs: 30_000 };
  const [part] = partsOf(plan, { migrate, surroundings: time });
  const changes: string[] = [];
  part!.watch(({ state, mode }: DatabaseStatus) => changes.push(`${state} ${mode}`));
  return { db, part: part!, time, changes };
}

/** Open, and then gone. */
async function out(): Promise<Made> {
  const all = made();
  await all.part.driver.counts({});
  all.db.failures.set("counts", GONE);
  await expect(all.part.driver.counts({})).rejects.toBe(GONE);
  all.db.asked.length = 0;
  return all;
}

describe("opening", () => {
  test("comes with the first use, once for all who ask: tables, then who it is, then what was asked", async () => {
    const { db, part } = made();
    await turns();
    expect(db.asked).toEqual([]);
    await Promise.all([part.driver.counts({}), part.driver.counts({})]);
    expect(db.asked).toEqual(["open", "migrate", "identify", "counts", "counts"]);
    expect(db.identity.name).toBe("a");
  });

  test("without tables, and without being told to make them, leaves it out", async () => {
    const { db, part } = made({}, false);
    await part.driver.counts({});
    expect(db.asked).toEqual(["open", "schemaVersion", "identify", "counts"]);
    expect(part.status()).toMatchObject({ state: "healthy", reason: null, retryAt: null });
  });

  test("that fails leaves it out, and is tried again by the probe", async () => {
    const { db, part, time, changes } = made();
    db.failures.set("open", GONE);
    await expect(part.driver.counts({})).rejects.toBe(GONE);
    await expect(part.driver.counts({})).rejects.toMatchObject(OUT);
    expect(db.asked).toEqual(["open"]);
    db.failures.clear();
    await time.pass(30_000);
    expect(db.asked).toEqual(["open", "open", "migrate", "identify", "ping"]);
    expect(changes).toEqual(["out active", "probing active", "healthy active"]);
    await part.driver.counts({});
  });

  test("of another one than its name says is refused to whoever asks first, and to the next one", async () => {
    const { db, part } = made();
    db.identity = { ...db.identity, name: "b" };
    for (let i = 0; i < 2; i++)
      await expect(part.driver.counts({})).rejects.toMatchObject({ code: "QUDO_DATABASE_SWAPPED" });
    await expect(part.insert(jobOf(), 1_000)).rejects.toMatchObject({
      code: "QUDO_DATABASE_SWAPPED",
    });
    expect(db.times("counts") + db.times("insertJobs")).toBe(0);
  });

  test("of one database under two names is refused to the one that is not written in it", async () => {
    const db = new FakeDatabase();
    const plan = {
      parts: [db.plan("a"), db.plan("b")],
      placement: "spread" as const,
      retryMs: 30_000,
    };
    const [a, b] = partsOf(plan, { migrate: true, surroundings: new Manual() });
    const [first, second] = await Promise.allSettled([a!.driver.counts({}), b!.driver.counts({})]);
    expect(first.status).toBe("fulfilled");
    expect(second).toMatchObject({ reason: { code: "QUDO_DATABASE_TWICE" } });
  });
});

describe("while it is out", () => {
  test("nothing is sent there, and the refusal says why and until when", async () => {
    const { db, part } = await out();
    const refused = part.driver.markStarted([]);
    await expect(refused).rejects.toMatchObject(OUT);
    await expect(refused).rejects.toThrow(/"a" is out, and is tried again in 30 s\. It is gone\./);
    await expect(part.driver.trip({ settle: [], claim: CLAIM })).rejects.toMatchObject(OUT);
    await expect(part.insert(jobOf(), 1_000)).rejects.toMatchObject(OUT);
    expect(db.asked).toEqual([]);
  });

  test("what settles or keeps alive what is held there goes through, and its success is the way back", async () => {
    const through: ((part: DatabasePart) => Promise<unknown>)[] = [
      ({ driver }) => driver.trip({ settle: SETTLE, claim: CLAIM }),
      ({ driver }) => driver.heartbeat({ session: "s", running: [] }),
      ({ driver }) => driver.release("s", []),
      ({ driver }) => driver.closeSession("s"),
    ];
    for (const call of through) {
      const { part, changes } = await out();
      await call(part);
      expect(changes).toEqual(["out active", "healthy active"]);
    }
  });

  test("what goes through and fails leaves it out, until the time that was set", async () => {
    const { db, part, time } = await out();
    db.failures.set("heartbeat", GONE);
    await time.pass(20_000);
    const { retryAt } = part.status();
    await expect(part.driver.heartbeat({ session: "s", running: [] })).rejects.toBe(GONE);
    expect(part.status()).toMatchObject({ state: "out", retryAt });
  });

  test("what goes through and writes nothing proves nothing", async () => {
    const { db, part } = await out();
    db.answers.set("heartbeat", { alive: false, leases: [], fenced: [] });
    await part.driver.heartbeat({ session: "s", running: [] });
    expect(part.status().state).toBe("out");
  });

  test("one that never was open holds nothing: nothing goes through", async () => {
    const { db, part } = made();
    db.failures.set("open", GONE);
    await expect(part.driver.counts({})).rejects.toBe(GONE);
    await expect(part.driver.heartbeat({ session: "s", running: [] })).rejects.toMatchObject(OUT);
    expect(db.asked).toEqual(["open"]);
  });

  test("it is tried by one probe, which asks who it is and then writes; meanwhile all are refused", async () => {
    const { db, part, time, changes } = await out();
    const { passed, open } = gate();
    db.gates.set("ping", passed);
    await time.pass(29_999);
    expect(db.asked).toEqual([]);
    await time.pass(60_000);
    expect(db.asked).toEqual(["identify", "ping"]);
    await expect(part.driver.counts({})).rejects.toMatchObject(OUT);
    open();
    await turns();
    expect(changes).toEqual(["out active", "probing active", "healthy active"]);
    db.failures.clear();
    await part.driver.counts({});
  });

  test("a probe that fails leaves it out for as long again, with its own reason", async () => {
    const { db, part, time } = await out();
    db.failures.set("ping", new DatabaseError("QUDO_DATABASE_READ_ONLY", "Read-only.", true));
    await time.pass(30_000);
    expect(part.status()).toMatchObject({ state: "out", reason: "Read-only." });
    expect(db.times("ping")).toBe(1);
    db.failures.delete("ping");
    await time.pass(30_000);
    expect(db.times("ping")).toBe(2);
    expect(part.status().state).toBe("healthy");
  });

  test("another database at its address does not take its place", async () => {
    const { db, part, time } = await out();
    db.identity = { id: "another", name: "b", mode: "active" };
    await time.pass(30_000);
    expect(part.status()).toMatchObject({ state: "out" });
    expect(part.status().reason).toMatch(/configured as a .* says that it is b/);
    expect(db.times("ping")).toBe(0);
  });

  test("a closed one is tried no more", async () => {
    const { db, part, time } = await out();
    await part.close();
    expect(db.close).toHaveBeenCalledOnce();
    await time.pass(100_000);
    expect(db.asked).toEqual([]);
    await expect(part.driver.counts({})).rejects.toMatchObject({ code: "QUDO_CLOSED" });
  });
});

test("what fails after it was closed is no reason to try it again", async () => {
  const { db, part, time } = made();
  await part.driver.counts({});
  const { passed, open } = gate();
  db.gates.set("counts", passed);
  db.failures.set("counts", GONE);
  const underway = watched(part.driver.counts({}));
  await part.close();
  open();
  await time.pass(100_000);
  expect(underway.error).toBe(GONE);
  expect(db.times("ping")).toBe(0);
});

describe("its mode", () => {
  test("is the stricter one of what is configured and what is stored", async () => {
    for (const [configured, stored, mode] of [
      ["active", "drain", "drain"],
      ["off", "active", "off"],
      ["drain", "off", "off"],
    ] as const) {
      const { db, part } = made({ mode: configured });
      db.identity = { ...db.identity, mode: stored };
      await part.driver.counts({});
      expect(part.status().mode).toBe(mode);
    }
  });

  test("off: nothing is claimed, and what ends is settled", async () => {
    const { part } = made({ mode: "off" });
    expect(await part.driver.trip({ settle: SETTLE, claim: CLAIM })).toMatchObject({
      settled: [["accepted"]],
      claimed: [],
    });
  });

  test("is read again every five seconds while the database is in use, and not otherwise", async () => {
    const { db, part, time, changes } = made();
    await part.driver.counts({});
    await part.driver.counts({});
    expect(db.times("identify")).toBe(1);
    db.identity = { ...db.identity, mode: "drain" };
    await time.pass(4_999);
    expect(part.status().mode).toBe("active");
    await time.pass(1);
    expect(part.status().mode).toBe("drain");
    expect(changes).toEqual(["healthy drain"]);
    await time.pass(60_000);
    expect(db.times("identify")).toBe(2);
  });

  test("is asked for before the first job after a long silence", async () => {
    const { db, part, time } = made();
    expect(await part.insert(jobOf(), 1_000)).toEqual({ status: "inserted" });
    await time.pass(3_600_000);
    db.identity = { ...db.identity, mode: "drain" };
    await expect(part.insert(jobOf(), 1_000)).rejects.toThrow(TakenBack);
    expect(db.jobs.size).toBe(1);
  });
});

describe("jobs on their way", () => {
  test("share a commit, those with keys apart", async () => {
    const { db, part } = made();
    await part.driver.counts({});
    const jobs = [jobOf(), jobOf(), jobOf({ uniqueKey: "k" })];
    await Promise.all(jobs.map((job) => part.insert(job, 1_000)));
    expect(db.times("insertJobs")).toBe(2);
    expect(db.jobs.size).toBe(3);
  });

  test("behind a batch that stands still are taken back after their time; the batch itself is not", async () => {
    const { db, part, time } = made();
    await part.driver.counts({});
    const { passed, open } = gate();
    db.gates.set("insertJobs", passed);
    const sent = watched(part.insert(jobOf(), 1_000));
    await turns();
    const late = jobOf();
    const behind = watched(part.insert(late, 1_000));
    const patient = watched(part.insert(jobOf(), 4_000));
    await time.pass(999);
    expect([behind.over, part.underwayMs(late)]).toEqual([false, 999]);
    await time.pass(1);
    expect(behind.error).toBeInstanceOf(TakenBack);
    expect(part.underwayMs(late)).toBeGreaterThanOrEqual(1_000);
    expect([sent.over, patient.over]).toEqual([false, false]);
    open();
    await turns();
    expect([sent.value, patient.value]).toEqual([{ status: "inserted" }, { status: "inserted" }]);
    expect(db.jobs.has(late.id)).toBe(false);
    await time.pass(10_000);
    expect(part.underwayMs(late)).toBe(0);
  });

  test("in a line that moves wait for as long as it takes", async () => {
    const { db, part, time } = made();
    await part.driver.counts({});
    const jobs = Array.from({ length: 3_500 }, () => jobOf());
    const gates = [gate(), gate(), gate(), gate()];
    db.gates.set("insertJobs", gates[0]!.passed);
    const all = watched(Promise.all(jobs.map((job) => part.insert(job, 1_000))));
    for (const [i, { open }] of gates.entries()) {
      await time.pass(900);
      expect(db.times("insertJobs")).toBe(i + 1);
      if (i < 3) db.gates.set("insertJobs", gates[i + 1]!.passed);
      open();
      await turns();
    }
    expect(all.error).toBeUndefined();
    expect(db.jobs.size).toBe(3_500);
  });

  test("one with a key that somebody holds up does not hold up the others", async () => {
    const { db, part, time } = made();
    await part.driver.counts({});
    const { passed, open } = gate();
    db.gates.set("insertJobs", passed);
    void part.insert(jobOf({ uniqueKey: "k" }), 1_000);
    await time.pass(2_000);
    expect(part.underwayMs(jobOf({ uniqueKey: "other" }))).toBeGreaterThanOrEqual(1_000);
    expect(part.underwayMs(jobOf())).toBe(0);
    open();
  });

  test("to a database that does not open in time are taken back; it goes on opening", async () => {
    const { db, part, time } = made();
    const { passed, open } = gate();
    db.gates.set("migrate", passed);
    const job = jobOf();
    const first = watched(part.insert(job, 1_000));
    await time.pass(1_000);
    expect(first.error).toBeInstanceOf(TakenBack);
    expect(part.underwayMs(job)).toBeGreaterThanOrEqual(1_000);
    open();
    await turns();
    expect(part.underwayMs(job)).toBe(0);
    expect(await part.insert(job, 1_000)).toEqual({ status: "inserted" });
  });

  test("that may be there already go again also while it is out, and their success is the way back", async () => {
    const { db, part } = await out();
    const job = jobOf();
    db.jobs.add(job.id);
    expect(await part.insertAgain(job)).toEqual({ status: "duplicate" });
    // A look at what was there is no write; but somebody answers, and it is tried at once.
    expect(part.status().state).toBe("probing");
    expect(await part.insertAgain(jobOf())).toEqual({ status: "inserted" });
    expect(part.status().state).toBe("healthy");
  });
});

describe("wake-ups", () => {
  test("come from the moment on at which it is open", async () => {
    const { db, part } = made();
    let heard = 0;
    const stop = part.driver.subscribe!(() => heard++);
    expect(part.driver.capabilities.wakeups).toBe(false);
    expect(part.driver.listens!()).toBe(false);
    await part.driver.counts({});
    expect(part.driver.capabilities.wakeups).toBe(true);
    expect(part.driver.listens!()).toBe(true);
    db.change();
    expect(heard).toBe(1);
    stop();
    db.change();
    expect(heard).toBe(1);
  });
});
