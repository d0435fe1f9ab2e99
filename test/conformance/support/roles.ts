/** What each role may do, operation by operation, whatever the engine. */
import { afterSuccess } from "../../../src/core/outcome.js";
import type { Driver } from "../../../src/storage/driver.js";
import { newId } from "../../../src/storage/ids.js";
import { newJob } from "../../../src/testing/conformance/harness.js";
import { settlement, TestWorker, type HeldJob } from "../../../src/testing/index.js";

type Write = (driver: Driver, worker: Driver) => Promise<unknown>;

/** A worker's session with one job in its hands, made by somebody who may. */
async function prepare(worker: Driver): Promise<{ session: TestWorker; held: HeldJob }> {
  const session = await TestWorker.open(worker);
  const kind = `for ${session.session}`;
  await worker.insertJobs([newJob({ kind })]);
  return { session, held: await session.claimOne({ kinds: [kind] }) };
}

/** Every operation that writes, and that workers alone may do, each on something that `worker` has made. */
export const WRITES: Readonly<Record<string, Write>> = {
  openSession: (driver) => TestWorker.open(driver),
  heartbeat: async (driver, worker) => {
    const { session } = await prepare(worker);
    return driver.heartbeat({ session: session.session, running: [] });
  },
  closeSession: async (driver, worker) =>
    driver.closeSession((await TestWorker.open(worker)).session),
  reap: async (driver, worker) => {
    const { session } = await prepare(worker);
    return driver.reap([{ id: session.session, beat: 0, cause: "gone", leaseMs: 0 }]);
  },
  claim: async (driver, worker) => {
    const { session } = await prepare(worker);
    await worker.insertJobs([newJob()]);
    const wants = [{ queue: newJob().queue, kinds: [newJob().kind], limit: 1 }];
    return driver.trip({ settle: [], claim: { lease: newId(), session: session.session, wants } });
  },
  markStarted: async (driver, worker) => driver.markStarted([(await prepare(worker)).held]),
  release: async (driver, worker) => {
    const { session, held } = await prepare(worker);
    return driver.release(session.session, [held.lease]);
  },
  report: async (driver, worker) => {
    const { job, run, lease, session } = (await prepare(worker)).held;
    return driver.report([{ job, run, lease, session, progress: "1", lines: [] }]);
  },
  settle: async (driver, worker) => {
    const { session, held } = await prepare(worker);
    const group = session.group(held.lease, [settlement(held, afterSuccess(held))]);
    return driver.trip({ settle: [group], claim: null });
  },
  promote: async (driver, worker) => {
    await worker.insertJobs([newJob({ delayMs: 1 })]);
    for (;;) {
      const { nextDueMs } = await driver.promote(10);
      if (nextDueMs === null) return undefined;
    }
  },
  cancel: async (driver, worker) => {
    const job = newJob();
    await worker.insertJobs([job]);
    return driver.cancel([job.id]);
  },
  retry: async (driver, worker) => {
    const job = newJob();
    await worker.insertJobs([job]);
    await worker.cancel([job.id]);
    return driver.retry([job.id]);
  },
  setPaused: async (driver, worker) => {
    const queue = `for ${newId()}`;
    await worker.setPaused({ queue, kind: null }, false);
    return driver.setPaused({ queue, kind: null }, true);
  },
};

/** What belongs to whoever owns the tables. */
export const OWNS: Readonly<Record<string, (driver: Driver) => Promise<unknown>>> = {
  rename: (driver) => driver.rename("b", false),
  setMode: (driver) => driver.setMode("active"),
};

/** Every operation that looks. */
export const LOOKS: Readonly<Record<string, (driver: Driver) => Promise<unknown>>> = {
  schemaVersion: (driver) => driver.schemaVersion(),
  ping: (driver) => driver.ping(),
  sessions: (driver) => driver.sessions(),
  payloads: (driver) => driver.payloads([newId()]),
  getJobs: (driver) => driver.getJobs([newId()]),
  listJobs: (driver) => driver.listJobs({ limit: 10 }),
  endings: (driver) => driver.endings([newId()]),
  listLog: (driver) => driver.listLog({ job: newId(), limit: 10 }),
  tally: (driver) => driver.tally(0),
  listAttempts: (driver) => driver.listAttempts({ limit: 10 }),
  counts: (driver) => driver.counts({}),
  audit: (driver) => driver.audit(),
  identify: (driver) => driver.identify(),
};

/** What somebody who adds jobs needs to see: how they ended, and nobody's payloads. */
export const OF_PRODUCERS = ["schemaVersion", "ping", "endings", "tally", "identify"];
