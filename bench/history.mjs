/**
 * What looking and upkeep cost on a server, with 100,000 jobs waiting, and with 1,000,000 that have ended or none.
 *     npm run build && node bench/history.mjs postgres://user@host/database [--ended 1000000] [--waiting 100000]
 * Everything lies in tables of the prefix "bench_", made anew: give a database that holds nothing else of that name.
 */
import { parseArgs } from "node:util";
import { Client } from "pg";
import { createConnection } from "mysql2/promise";
import { afterSuccess } from "../dist/core/outcome.js";
import { newId } from "../dist/storage/ids.js";
import { openMysql } from "../dist/storage/mysql/index.js";
import { openPostgres } from "../dist/storage/postgres/index.js";
import { machine, median, newJob, table } from "./support.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ended: { type: "string", default: "1000000" },
    waiting: { type: "string", default: "100000" },
    analyzed: { type: "boolean", default: false },
  },
});
const [address] = positionals;
if (address === undefined) throw new Error("Give the address of a database.");
const url = new URL(address);
const isPostgres = url.protocol === "postgres:";
const waiting = Number(values.waiting);
// A lease names its session: it goes first.
const TABLES =
  "lease worker meta lane queue job ready delayed running outcome unique_key job_log tally".split(
    " ",
  );
const DAY = 86_400_000;

const settings = {
  hosts: [{ host: url.hostname, port: Number(url.port) }],
  user: url.username,
  password: url.password || null,
  database: url.pathname.slice(1),
  ssl: null,
  pool: undefined,
  prefix: "bench_",
  schema: "public",
  applicationName: "bench",
  connections: 10,
  connectTimeoutMs: 1_000,
  statementTimeoutMs: 60_000,
  listen: false,
  prepare: true,
  socketPath: null,
  label: address,
};

const raw = isPostgres ? await postgresRaw() : await mysqlRaw();

async function postgresRaw() {
  const client = new Client({ connectionString: address });
  await client.connect();
  return { run: (sql) => client.query(sql), end: () => client.end() };
}

async function mysqlRaw() {
  const connection = await createConnection(address);
  return { run: (sql) => connection.query(sql), end: () => connection.end() };
}

/** Jobs that have ended one by one, one each millisecond, a day and more ago; every tenth was abandoned. */
async function fill(ended) {
  // In the order in which they were made, as ids are.
  const id = isPostgres
    ? "(lpad(to_hex(n), 12, '0') || substr(md5(n::text), 1, 20))::uuid"
    : "unhex(concat(lpad(hex(n), 12, '0'), substr(md5(n), 1, 20)))";
  const from = isPostgres
    ? `generate_series(1, ${ended}) as s(n)`
    : `(select seq as n from seq_1_to_${ended}) s`;
  const zero = isPostgres ? "'00000000-0000-0000-0000-000000000000'::uuid" : "repeat(char(0), 16)";
  const then = Date.now() - DAY - ended;
  await raw.run(`insert into bench_job (id, lane, prio, run_at, created_at, max_attempts, codec, payload_version, payload_text)
    select ${id}, 1 + n % 5, 0, ${then} + n, ${then} + n, 6, 1, 1, '{"to":"somebody@example.com","n":1}' from ${from}`);
  await raw.run(`insert into bench_outcome (job_id, run, state, lane, writer, ended_at, fails, crashes)
    select id, 1, case when run_at % 10 = 0 then 3 else 1 end, lane, ${zero}, run_at, 0, 0 from bench_job`);
}

const jobOf = (kind, delayMs = 0) => ({ ...newJob(newId()), kind, delayMs });

async function timed(work) {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

async function medianOf(n, work) {
  const times = [];
  for (let i = 0; i < n; i++) times.push(await timed(() => work(i)));
  return median(times);
}

async function measure(ended) {
  if (!isPostgres) await raw.run("set foreign_key_checks = 0");
  for (const name of TABLES) await raw.run(`drop table if exists bench_${name}`);
  const driver = await (isPostgres ? openPostgres : openMysql)(settings);
  await driver.migrate();
  const kinds = ["a", "b", "c", "d", "e"];
  await driver.insertJobs(kinds.map((kind) => jobOf(kind)));
  if (ended > 0) await fill(ended);
  const ids = [];
  for (let left = waiting - 5; left > 0; left -= 1_000) {
    const jobs = Array.from({ length: Math.min(1_000, left) }, (_, i) =>
      jobOf(kinds[i % 5], i % 10 === 0 ? DAY : 0),
    );
    await driver.insertJobs(jobs);
    ids.push(...jobs.map((job) => job.id));
  }
  if (values.analyzed)
    await raw.run(
      isPostgres ? "analyze" : `analyze table bench_job, bench_outcome, bench_ready, bench_delayed`,
    );
  const session = { id: newId(), name: "bench", host: "here", pid: 1, process: null, leaseMs: 1e9 };
  await driver.openSession({ ...session, kinds, version: "0" });
  const some = (n) => ids.slice(0, n);
  const figures = {
    "claim 100 and settle 100": await medianOf(15, () => round(driver, session.id, kinds)),
    "promote, nothing due": await medianOf(15, () => driver.promote(1_000)),
    "prune step, nothing due": await medianOf(15, () =>
      driver.prune({ scan: "done", keepMs: 10 * DAY, after: null, limit: 500 }),
    ),
    "listJobs, first page of 100": await medianOf(15, () => driver.listJobs({ limit: 100 })),
    "listJobs, page of 100 ended": await medianOf(15, () =>
      driver.listJobs({ states: ["done"], limit: 100 }),
    ),
    "listJobs, 100 of one kind and state": await medianOf(15, () =>
      driver.listJobs({ kind: "c", states: ["pending"], limit: 100 }),
    ),
    "getJobs, 1": await medianOf(15, () => driver.getJobs(some(1))),
    "getJobs, 1,000": await medianOf(7, () => driver.getJobs(some(1_000))),
    "endings, 1,000": await medianOf(7, () => driver.endings(some(1_000))),
    "listAttempts, page of 100": await medianOf(7, () => driver.listAttempts({ limit: 100 })),
    "listAttempts of one job": await medianOf(7, () =>
      driver.listAttempts({ job: ids[1], limit: 100 }),
    ),
    "cancel, 1,000": await medianOf(3, (i) =>
      driver.cancel(ids.slice(-1_000 * (i + 1), -1_000 * i || undefined)),
    ),
    "retry, 1,000": await medianOf(3, (i) =>
      driver.retry(ids.slice(-1_000 * (i + 1), -1_000 * i || undefined)),
    ),
    counts: await medianOf(3, () => driver.counts({})),
    audit: await medianOf(3, async () => {
      const found = await driver.audit();
      if (found.length > 0) throw new Error(JSON.stringify(found.slice(0, 3)));
    }),
    "prune step of 500": await timed(() =>
      driver.prune({ scan: "done", keepMs: 0, after: null, limit: 500 }),
    ),
  };
  let after = null;
  figures["prune step of 500, going on"] = await medianOf(10, async () => {
    ({ after } = await driver.prune({ scan: "other", keepMs: 0, after, limit: 500 }));
  });
  await driver.close();
  return figures;
}

async function round(driver, session, kinds) {
  const lease = newId();
  const claim = { lease, session, wants: [{ queue: "bench", kinds, limit: 100 }] };
  const { claimed } = await driver.trip({ settle: [], claim });
  const settlements = claimed.map((job) => ({
    ...afterSuccess(job),
    job: job.job,
    run: job.run,
    elapsedMs: 1,
    result: null,
    error: null,
  }));
  await driver.trip({ settle: [{ lease, session, settlements, close: true }], claim: null });
}

const none = await measure(0);
const many = await measure(Number(values.ended));
await raw.end();
console.log(machine());
console.log(
  `${settings.label}, ${waiting} jobs waiting; milliseconds with 0 and ${values.ended} ended`,
);
const rows = Object.keys(none).map((name) => [name, none[name].toFixed(1), many[name].toFixed(1)]);
console.log(table(["", "0 ended", `${values.ended} ended`], rows));
