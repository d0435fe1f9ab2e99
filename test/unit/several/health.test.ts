import { describe, expect, test } from "vitest";
import {
  DatabaseError,
  InvalidInputError,
  RunLostError,
  SessionLostError,
  type ErrorCode,
} from "../../../src/core/errors.js";
import { Health, type Doing } from "../../../src/storage/several/health.js";
import { ConflictError, LostError } from "../../../src/storage/sql/errors.js";
import { Manual } from "./support.js";

const error = (code: ErrorCode, transient = true): DatabaseError =>
  new DatabaseError(code, `It says ${code}.`, transient);
const LATE = error("QUDO_DATABASE_BUSY");
const GONE = new LostError("QUDO_DATABASE_UNREACHABLE", "It is gone.", true);

function made(retryMs = 30_000): { health: Health; time: Manual } {
  const time = new Manual();
  return { health: new Health({ retryMs, surroundings: time }), time };
}

const meet = (health: Health, thrown: unknown, doing: Doing = "working"): boolean =>
  health.failed(thrown, doing, health.begin());

describe("a database is out", () => {
  test.each([
    ["unreachable", GONE],
    ["refused the login", error("QUDO_DATABASE_UNREACHABLE", false)],
    ["read-only", error("QUDO_DATABASE_READ_ONLY")],
    ["full", error("QUDO_DATABASE_FULL")],
    ["damaged", error("QUDO_DATABASE_UNREADABLE", false)],
    // A node of Galera that is cut off from the others says so for as long as it is asked.
    ["a node alone", new ConflictError("QUDO_DATABASE_UNREACHABLE", "Not ready.", true)],
  ])("at once: %s", (_, thrown) => {
    const { health, time } = made();
    expect(meet(health, thrown)).toBe(true);
    expect(health.state).toBe("out");
    expect(health.reason).toBe(thrown.message);
    expect(health.since).toBe(time.wall());
  });

  test("by whatever keeps it from being opened", () => {
    for (const code of ["QUDO_DATABASE_TOO_OLD", "QUDO_SCHEMA_MISSING", "QUDO_DATABASE_DENIED"]) {
      const { health } = made();
      expect(meet(health, error(code as ErrorCode, false), "opening")).toBe(true);
    }
  });

  test("by three time-outs within ten seconds, and not by fewer, or by slower ones", async () => {
    const { health, time } = made();
    expect(meet(health, LATE)).toBe(false);
    expect(meet(health, LATE)).toBe(false);
    expect(health.state).toBe("healthy");
    await time.pass(10_000);
    // Both are too old to count.
    expect(meet(health, LATE)).toBe(false);
    await time.pass(4_999);
    expect(meet(health, LATE)).toBe(false);
    await time.pass(5_000);
    expect(meet(health, LATE)).toBe(true);
    expect(health.state).toBe("out");
  });

  test("by a disk that cannot be read three times", () => {
    const { health } = made();
    const thrown = error("QUDO_DATABASE_FAILED", true);
    expect([1, 2, 3].map(() => meet(health, thrown))).toEqual([false, false, true]);
  });
});

describe("a database is not out", () => {
  test.each([
    ["a statement was refused", error("QUDO_DATABASE_FAILED", false)],
    ["a right is missing", error("QUDO_DATABASE_DENIED", false)],
    ["others were first", new ConflictError("QUDO_DATABASE_BUSY", "Met others.", true)],
    ["a package is missing", error("QUDO_PACKAGE_MISSING", false)],
    ["the input was wrong", new InvalidInputError("QUDO_INVALID_OPTION", "No.")],
    ["a session was lost", new SessionLostError("s")],
    ["a run was lost", new RunLostError("j", 1)],
    ["there is a mistake in a program", new TypeError("x is not a function")],
  ])("because %s", (_, thrown) => {
    const { health } = made();
    for (let i = 0; i < 10; i++) expect(meet(health, thrown)).toBe(false);
    expect(health.state).toBe("healthy");
  });

  test("because a list is long", () => {
    const { health } = made();
    for (let i = 0; i < 10; i++) expect(meet(health, LATE, "looking")).toBe(false);
  });

  test("because what is wrong here was met while opening", () => {
    const { health } = made();
    expect(meet(health, error("QUDO_NETWORK_FILE_SYSTEM", false), "opening")).toBe(false);
  });
});

describe("the way back", () => {
  test.each([
    [0, 27_000],
    [0.5, 30_000],
    [1, 33_000],
  ])("is tried after the time to be left in peace, give or take a tenth (%d)", async (dice, ms) => {
    const { health, time } = made();
    time.dice = dice;
    meet(health, GONE);
    expect(health.dueInMs).toBeCloseTo(ms);
    expect(health.retryAt).toBeCloseTo(time.wall() + ms);
    await time.pass(ms - 1);
    expect(health.startProbe()).toBe(false);
    await time.pass(1);
    expect(health.startProbe()).toBe(true);
    expect(health.state).toBe("probing");
    expect(health.reason).toBe(GONE.message);
  });

  test("is tried by one at a time", async () => {
    const { health, time } = made();
    meet(health, GONE);
    await time.pass(40_000);
    expect([health.startProbe(), health.startProbe()]).toEqual([true, false]);
  });

  test("is open when the probe has written", async () => {
    const { health, time } = made();
    meet(health, GONE);
    await time.pass(30_000);
    health.startProbe();
    expect(health.probed(null)).toBe(true);
    expect(health).toMatchObject({ state: "healthy", reason: null, retryAt: null, dueInMs: null });
  });

  test("is closed for as long again when the probe has failed, whatever it met", async () => {
    for (const thrown of [GONE, error("QUDO_DATABASE_FAILED", false), new Error("odd")]) {
      const { health, time } = made();
      meet(health, LATE);
      meet(health, GONE);
      await time.pass(30_000);
      health.startProbe();
      await time.pass(500);
      expect(health.probed(thrown)).toBe(true);
      expect(health).toMatchObject({ state: "out", reason: thrown.message });
      expect(health.dueInMs).toBeCloseTo(30_000);
    }
  });

  test("is open when something that is held there was written, also while a probe is under way", async () => {
    const { health, time } = made();
    meet(health, GONE);
    expect(health.wrote(health.begin())).toBe(true);
    expect(health.state).toBe("healthy");
    meet(health, GONE);
    await time.pass(30_000);
    health.startProbe();
    expect(health.wrote(health.begin())).toBe(true);
    expect(health.probed(GONE)).toBe(false);
    expect(health.state).toBe("healthy");
  });

  test("is not opened by an answer to what was sent before it was out", () => {
    const { health } = made();
    const begun = health.begin();
    meet(health, GONE);
    expect(health.wrote(begun)).toBe(false);
    expect(health.state).toBe("out");
  });

  test("is not closed again by the failure of what was sent before", () => {
    const { health } = made();
    const begun = health.begin();
    meet(health, GONE);
    health.wrote(health.begin());
    expect(health.failed(GONE, "working", begun)).toBe(false);
    expect(health.state).toBe("healthy");
  });

  test("of one without room is not opened by the few bytes of a sign of life", async () => {
    const { health, time } = made();
    meet(health, error("QUDO_DATABASE_FULL"));
    expect(health.wrote(health.begin())).toBe(false);
    await time.pass(30_000);
    health.startProbe();
    expect(health.probed(null)).toBe(true);
    expect(health.state).toBe("healthy");
  });

  test("forgets the time-outs of before", async () => {
    const { health, time } = made(1_000);
    meet(health, LATE);
    meet(health, LATE);
    meet(health, GONE);
    await time.pass(1_100);
    health.startProbe();
    health.probed(null);
    expect(meet(health, LATE)).toBe(false);
  });
});
