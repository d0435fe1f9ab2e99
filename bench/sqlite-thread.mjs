/**
 * The database in a thread, or in the main loop? `npm run build && node bench/sqlite-thread.mjs`
 * The same driver, enqueue and settle + claim, FULL. Prints jobs/s (median of 5), how busy the main loop was, and the
 * longest 1 % of its delays.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Worker } from "node:worker_threads";
import { newId } from "../dist/storage/ids.js";
import { openSqlite } from "../dist/storage/sqlite/index.js";
import { machine, median, newJob, rate, rounds, table, withFile } from "./support.mjs";

const TOTAL = 20_000;

function driverInThread(path) {
  const worker = new Worker(new URL("driver-thread.mjs", import.meta.url), {
    workerData: { path },
  });
  const waiting = new Map();
  let next = 0;
  worker.on("message", ({ id, value }) => {
    waiting.get(id)(value);
    waiting.delete(id);
  });
  const call =
    (operation) =>
    (...values) =>
      new Promise((resolve) => {
        waiting.set(++next, resolve);
        worker.postMessage({ id: next, operation, values });
      });
  const operations = ["migrate", "insertJobs", "openSession", "trip", "close"];
  const driver = Object.fromEntries(operations.map((name) => [name, call(name)]));
  return { ...driver, close: async () => (await driver.close(), await worker.terminate()) };
}

/** Jobs/s, share of time the main loop was busy, and its delays, over one phase. */
async function phase(jobs, work) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const before = performance.eventLoopUtilization();
  const begin = performance.now();
  await work();
  const seconds = (performance.now() - begin) / 1_000;
  delay.disable();
  const busy = performance.eventLoopUtilization(before).utilization;
  return { rate: jobs / seconds, busy, p99: delay.percentile(99) / 1e6 };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

function measure(size, depth, inThread) {
  return withFile(async (path) => {
    const driver = inThread ? driverInThread(path) : await openSqlite({ path });
    await driver.migrate();
    const batches = Array.from({ length: TOTAL / size }, () =>
      Array.from({ length: size }, () => newJob(newId())),
    );
    const enqueue = await phase(TOTAL, () =>
      lines(depth, async () => {
        for (let batch = batches.pop(); batch !== undefined; batch = batches.pop()) {
          await driver.insertJobs(batch);
          await turn();
        }
      }),
    );
    const session = newId();
    await driver.openSession({
      id: session,
      name: "b",
      host: "h",
      pid: 1,
      process: null,
      leaseMs: 30_000,
      kinds: ["noop"],
      version: "0",
    });
    const drain = await phase(TOTAL, () => lines(depth, () => drainLine(driver, session, size)));
    await driver.close();
    return { enqueue, drain };
  });
}

const lines = (n, work) => Promise.all(Array.from({ length: n }, work));

async function drainLine(driver, session, size) {
  let settle = [];
  for (;;) {
    const lease = newId();
    const claim = { lease, session, wants: [{ queue: "bench", kinds: ["noop"], limit: size }] };
    const { claimed } = await driver.trip({ settle, claim });
    await turn();
    if (claimed.length === 0) return;
    const settlements = claimed.map(({ job, run, fails, crashes }) => {
      return {
        job,
        run,
        fails,
        crashes,
        state: "done",
        reason: null,
        next: null,
        elapsedMs: 0,
        result: null,
        error: null,
      };
    });
    settle = [{ lease, session, settlements, close: true }];
  }
}

const contestants = {
  "main loop": [1, false],
  "thread, 1 on its way": [1, true],
  "thread, 2 on their way": [2, true],
};
const rows = [];
for (const size of [1, 100, 500]) {
  const found = await rounds(
    5,
    Object.fromEntries(
      Object.entries(contestants).map(([name, [depth, inThread]]) => [
        name,
        () => measure(size, depth, inThread),
      ]),
    ),
  );
  for (const what of ["enqueue", "drain"])
    for (const name of Object.keys(contestants)) {
      const of = (field) => median(found.get(name).map((result) => result[what][field]));
      rows.push([
        `${what}, ${size} a trip, ${name}`,
        rate(of("rate")),
        `${Math.round(of("busy") * 100)} %`,
        of("p99").toFixed(1),
      ]);
    }
}
console.log(machine());
console.log(table(["", "jobs/s", "main loop busy", "delay p99 ms"], rows));
