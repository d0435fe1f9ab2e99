/** Enqueues, works and cancels without end, and says so after each round. */
import { newId } from "../../../dist/storage/ids.js";
import { openSqlite } from "../../../dist/storage/sqlite/index.js";

const driver = await openSqlite({ path: process.argv[2] });
const session = newId();
await driver.openSession({
  id: session,
  name: "writer",
  host: "here",
  pid: process.pid,
  process: null,
  kinds: ["k"],
  version: "0",
  leaseMs: 30_000,
});

const job = (n) => ({
  id: newId(),
  queue: "default",
  kind: "k",
  priority: 0,
  delayMs: n % 3 === 0 ? 60_000 : 0,
  runAt: null,
  expiresAt: null,
  maxAttempts: 6,
  timeoutMs: null,
  keepDoneMs: null,
  keepOtherMs: null,
  redact: null,
  payload: { codec: 1, text: JSON.stringify("x".repeat(500)), bin: null },
  uniqueKey: n % 5 === 0 ? `${newId()}` : null,
});

for (;;) {
  const jobs = Array.from({ length: 50 }, (_, n) => job(n));
  await driver.insertJobs(jobs);
  await driver.cancel([jobs[7].id]);
  const lease = newId();
  const wants = [{ queue: "default", kinds: ["k"], limit: 20 }];
  const { claimed } = await driver.trip({ settle: [], claim: { lease, session, wants } });
  const done = { state: "done", reason: null, fails: 0, crashes: 0, next: null };
  const settlements = claimed
    .slice(1)
    .map(({ job, run }) => ({ job, run, ...done, elapsedMs: 1, result: null, error: null }));
  const group = { lease, session, settlements, close: false };
  await driver.trip({ settle: [group], claim: null });
  process.send("round");
}
