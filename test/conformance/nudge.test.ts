/** Wake-ups between connections, on real files: timers stand still unless told, so that what comes was brought by the nudge. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Driver } from "../../src/storage/driver.js";
import { openTransaction } from "../../src/storage/open.js";
import { openSqlite } from "../../src/storage/sqlite/index.js";
import { newJob } from "../../src/testing/conformance/harness.js";
import { openHandle } from "./support/handle.js";

let folder: string;
let path: string;
let a: Driver;
let b: Driver;
let stops: (() => void)[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "qudo-nudge-"));
  path = join(folder, "jobs.db");
  a = await openSqlite({ path });
  await a.migrate();
  b = await openSqlite({ path });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});

afterEach(async () => {
  vi.useRealTimers();
  for (const stop of stops.splice(0)) stop();
  await a.close();
  await b.close();
  rmSync(folder, { recursive: true });
});

/** Wake-ups of a subscription so far. */
function listen(driver = a): { calls: number } {
  const heard = { calls: 0 };
  stops.push(driver.subscribe!(() => void heard.calls++));
  return heard;
}

/** Turns of the event loop, in which events of the file system come: until something holds, or a good many of them. */
async function turns(until: () => boolean = never): Promise<void> {
  const deadline = performance.now() + 5_000;
  for (let n = 0; !until() && (until === never ? n < 2_000 : performance.now() < deadline); n++)
    await turn();
}

const never = (): boolean => false;

test("another connection's job wakes, without any poll", async () => {
  const heard = listen();
  await b.insertJobs([newJob()]);
  await turns(() => heard.calls > 0);
  expect(heard.calls).toBe(1);
  await turns();
  expect(heard.calls, "once").toBe(1);
});

test("a handle of the user's hears and nudges, too", async () => {
  const handle = await openHandle(path);
  const c = await openSqlite({ path: "your handle", handle });
  const [heardA, heardC] = [listen(), listen(c)];
  await c.insertJobs([newJob()]);
  await turns(() => heardA.calls > 0);
  await a.insertJobs([newJob()]);
  await turns();
  // It has heard its own nudge, too: the look after that may be less than a millisecond ago.
  await vi.advanceTimersByTimeAsync(1);
  expect([heardA.calls, heardC.calls]).toEqual([1, 1]);
  for (const stop of stops.splice(0)) stop();
  handle.close();
});

test("a transaction of the user's is heard by the poll, a call outside of one at once", async () => {
  const handle = await openHandle(path);
  const heard = listen();
  const tx = openTransaction(handle, `sqlite:${path}`);
  handle.exec("begin immediate");
  tx.insertJobs([newJob()]);
  handle.exec("commit");
  await turns();
  expect(heard.calls).toBe(0);
  await vi.advanceTimersByTimeAsync(100);
  expect(heard.calls).toBe(1);
  tx.insertJobs([newJob()]);
  await turns();
  // The look before it may be less than a millisecond ago.
  await vi.advanceTimersByTimeAsync(1);
  expect(heard.calls).toBe(2);
  handle.close();
});

test("own jobs wake nobody here", async () => {
  const heard = listen();
  await a.insertJobs([newJob()]);
  await turns();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(heard.calls).toBe(0);
});

test("what nobody could work on is not rung for: a delayed job, a rollback, a heartbeat", async () => {
  await b.insertJobs([newJob({ delayMs: 60_000 })]);
  await expect(b.insertJobs([newJob(), { ...newJob(), id: "no id" }])).rejects.toThrow();
  await b.heartbeat({ session: newJob().id, running: [] });
  expect(existsSync(`${path}-nudge`)).toBe(false);
});

test("the end of a pause wakes, its beginning does not", async () => {
  const heard = listen();
  await b.setPaused({ queue: "default", kind: null }, true);
  await turns();
  expect(heard.calls).toBe(0);
  await b.setPaused({ queue: "default", kind: null }, false);
  await turns(() => heard.calls > 0);
  expect(heard.calls).toBe(1);
});

test("the file is its owner's alone, and holds nothing", async () => {
  await b.insertJobs([newJob()]);
  await b.insertJobs([newJob()]);
  const { mode, size } = statSync(`${path}-nudge`);
  expect([mode & 0o777, size]).toEqual([0o600, 1]);
});

test("a storm of nudges wakes a few times, and the last one is heard", async () => {
  const heard = listen();
  for (let n = 0; n < 300; n++) await b.insertJobs([newJob()]);
  await turns();
  const during = heard.calls;
  expect(during).toBeGreaterThan(0);
  expect(during).toBeLessThan(300);
  await vi.advanceTimersByTimeAsync(1);
  const after = heard.calls;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(heard.calls, "nothing was left for the poll").toBe(after);
});

test("a nudge that is lost is found by the poll within 100 ms", async () => {
  const heard = listen();
  rmSync(`${path}-nudge`);
  await turns();
  // Its byte goes to a new file, that nobody watches yet.
  await b.insertJobs([newJob()]);
  await turns();
  expect(heard.calls).toBe(0);
  await vi.advanceTimersByTimeAsync(100);
  expect(heard.calls).toBe(1);
});

test("a file that was deleted is made and watched anew", async () => {
  await b.insertJobs([newJob()]);
  const heard = listen();
  rmSync(`${path}-nudge`);
  await turn();
  vi.spyOn(performance, "now").mockReturnValue(performance.now() + 1_000);
  await vi.advanceTimersByTimeAsync(100);
  vi.restoreAllMocks();
  expect(existsSync(`${path}-nudge`)).toBe(true);
  await b.insertJobs([newJob()]);
  await turns();
  // The time of the last look was one to come.
  await vi.advanceTimersByTimeAsync(1);
  expect(heard.calls).toBe(1);
});

test("where nothing can be watched or rung, jobs go in all the same, and 25 ms later they are found", async () => {
  mkdirSync(`${path}-nudge`);
  const heard = listen();
  expect(await b.insertJobs([newJob()])).toEqual([{ status: "inserted" }]);
  await vi.advanceTimersByTimeAsync(24);
  expect(heard.calls).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(heard.calls).toBe(1);
});

test("after the end of the subscription nothing is heard", async () => {
  const heard = listen();
  for (const stop of stops.splice(0)) stop();
  await b.insertJobs([newJob()]);
  await turns();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(heard.calls).toBe(0);
});

test("a database in memory has no file to nudge", async () => {
  const memory = await openSqlite({ path: ":memory:" });
  await memory.migrate();
  listen(memory);
  await memory.insertJobs([newJob()]);
  for (const stop of stops.splice(0)) stop();
  await memory.close();
  expect(existsSync(":memory:-nudge")).toBe(false);
});
