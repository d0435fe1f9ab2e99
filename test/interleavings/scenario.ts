/**
 * The file every pair starts from: jobs in every place a job can be in. The session "dying" was last heard of 31 s ago and
 * holds three leases; the session "living" holds nothing.
 */
import { idFromName } from "../../src/core/ids.js";
import { afterSuccess } from "../../src/core/outcome.js";
import type { Driver, NewJob, NewSession, SettleGroup, Want } from "../../src/storage/driver.js";
import { openDriver, openRaw, type Hands } from "./files.js";

export const NOW = 1_800_000_000_000;
const LONG_AGO = NOW - 20 * 60_000;
const UNHEARD = NOW - 31_000;

export const id = (name: string): string => idFromName(name);

export const KEY_OLD = "key of a job abandoned long ago";
export const KEY_HELD = "key of a held job";
export const KEY_READY = "key of a ready job";
export const KEY_DOOMED = "key of a job cancelled while held";

export function newJob(name: string, kind: string, more: Partial<NewJob> = {}): NewJob {
  return {
    id: id(name),
    queue: "q",
    kind,
    priority: 0,
    delayMs: 0,
    runAt: null,
    expiresAt: null,
    maxAttempts: 6,
    timeoutMs: null,
    keepDoneMs: null,
    keepOtherMs: null,
    redact: null,
    payload: { codec: 1, text: "{}", bin: null },
    uniqueKey: null,
    ...more,
  };
}

export function newSession(name: string): NewSession {
  const known = { host: "here", pid: 1, process: null, leaseMs: 30_000, kinds: [], version: "0" };
  return { id: id(name), name, ...known };
}

export const wants = (...kinds: string[]): Want[] => [{ queue: "q", kinds, limit: 100 }];

async function take(
  driver: Driver,
  session: string,
  lease: string,
  ...kinds: string[]
): Promise<void> {
  const claim = { lease: id(lease), session: id(session), wants: wants(...kinds) };
  await driver.trip({ settle: [], claim });
}

export function doneGroup(
  session: string,
  lease: string,
  runs: readonly (readonly [string, number])[],
  close: boolean,
): SettleGroup {
  const decision = afterSuccess({ fails: 0, crashes: 0 });
  const settlements = runs.map(([job, run]) => ({
    job: id(job),
    run,
    ...decision,
    elapsedMs: 1,
    result: null,
    error: null,
  }));
  return { lease: id(lease), session: id(session), settlements, close };
}

/** Beat of the session "dying" in the prepared file. */
export const DYING_BEAT = 1;

export async function prepare(path: string): Promise<void> {
  const clock: Hands = { now: 0 };
  const driver = await openDriver(path, clock);
  await fill(driver, clock);
  await driver.close();
  settleFile(path);
}

/** The same on any database whose clock can be set. */
export async function fill(driver: Driver, clock: Hands): Promise<void> {
  clock.now = LONG_AGO;
  await driver.migrate();
  for (const name of ["dying", "living", "dead"]) await driver.openSession(newSession(name));
  await finishedLongAgo(driver);
  clock.now = UNHEARD;
  await waiting(driver);
  await held(driver);
  await driver.heartbeat({ session: id("dying"), running: [] });
  clock.now = NOW;
  await driver.heartbeat({ session: id("living"), running: [] });
  await limited(driver);
}

/** Only the file itself is copied: what lies in the log beside it goes there first. */
function settleFile(path: string): void {
  const handle = openRaw(path);
  handle.exec("pragma wal_checkpoint(truncate)");
  handle.close();
}

/** One done, one abandoned, one cancelled; and one done that an open lease still lists. */
async function finishedLongAgo(driver: Driver): Promise<void> {
  await driver.insertJobs([
    newJob("done", "finished"),
    newJob("abandoned", "finished", { uniqueKey: KEY_OLD }),
    newJob("cancelled", "waits"),
    newJob("done, listed", "listed"),
    newJob("open, listed", "listed"),
    newJob("done, own time", "finished", { keepDoneMs: 0 }),
  ]);
  await driver.cancel([id("cancelled")]);
  await take(driver, "living", "finished lease", "finished");
  const ended = [["done", 1] as const, ["done, own time", 1] as const];
  const group = doneGroup("living", "finished lease", ended, true);
  const gaveUp = { state: "abandoned", reason: "aborted", fails: 1 } as const;
  const abandoned = { ...group.settlements[0]!, job: id("abandoned"), ...gaveUp };
  const settlements = [...group.settlements, abandoned];
  await driver.trip({ settle: [{ ...group, settlements }], claim: null });
  await take(driver, "dying", "old lease", "listed");
  const listed = doneGroup("dying", "old lease", [["done, listed", 1]], false);
  await driver.trip({ settle: [listed], claim: null });
}

async function waiting(driver: Driver): Promise<void> {
  await driver.insertJobs([
    newJob("ready", "waits"),
    newJob("ready, urgent", "waits", { priority: 5 }),
    newJob("ready, keyed", "waits", { uniqueKey: KEY_READY }),
    newJob("due", "waits", { delayMs: 30_000 }),
    newJob("due, urgent", "waits", { delayMs: 30_000, priority: 5 }),
    newJob("later", "waits", { delayMs: 3_600_000 }),
  ]);
}

/** At most three of them are held at once, and one of each key. One with a key is, by a session that lives. */
export const MOST_LIMITED = 3;

async function limited(driver: Driver): Promise<void> {
  const spec = {
    running: MOST_LIMITED,
    perMachine: null,
    rate: null,
    perKey: { running: 1, rate: null },
  };
  const limits = [{ scope: "kind", name: "limited", spec } as const];
  await driver.openSession({ ...newSession("limiter"), limits });
  await driver.insertJobs([newJob("limited, a1", "limited", { limitKey: "a", priority: 9 })]);
  await take(driver, "limiter", "limited lease", "limited");
  await driver.insertJobs([
    newJob("limited, a2", "limited", { limitKey: "a" }),
    newJob("limited, b1", "limited", { limitKey: "b" }),
    newJob("limited, b2", "limited", { limitKey: "b" }),
    newJob("limited, c", "limited", { limitKey: "c" }),
    newJob("limited", "limited"),
  ]);
}

/** In one lease: fresh and running ones, and two of which one has crashed before; in another: one cancelled since. */
async function held(driver: Driver): Promise<void> {
  await driver.insertJobs([newJob("crashed", "suspect"), newJob("crashed, running", "suspect")]);
  await take(driver, "dead", "lost lease", "suspect");
  await driver.reap([{ id: id("dead"), beat: 0, cause: "gone", leaseMs: 30_000 }]);
  await driver.insertJobs([
    newJob("held", "held"),
    newJob("running", "held", { uniqueKey: KEY_HELD }),
    newJob("held too", "held"),
    newJob("doomed", "doomed", { uniqueKey: KEY_DOOMED }),
  ]);
  await take(driver, "dying", "lease", "held", "suspect");
  await take(driver, "dying", "doomed lease", "doomed");
  await driver.cancel([id("doomed")]);
  const lease = { lease: id("lease"), session: id("dying") };
  await driver.markStarted([
    { job: id("running"), run: 1, ...lease },
    { job: id("crashed, running"), run: 2, ...lease },
  ]);
}
