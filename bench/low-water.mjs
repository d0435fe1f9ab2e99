/**
 * Draining a lane behind somebody's old snapshot, which keeps all dead entries in ready's index, and without it; with the low-water
 * mark, and with every claim from the lane's beginning.
 * `npm run build && node bench/low-water.mjs [--jobs 60000] [--rounds 3] postgres://… mysql://…`, with empty databases, whose
 * tables are dropped. One claimer settles what it has and claims the next 500, trip after trip; the last 2,000 by 10. Jobs lie
 * in the order in which they are claimed, the best case for reading past dead ones.
 */
import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { afterSuccess } from "../dist/core/outcome.js";
import { newId } from "../dist/storage/ids.js";
import { openDatabase } from "../dist/storage/open.js";
import { TABLES } from "../dist/storage/sql/dialect.js";
import { LowWater } from "../dist/storage/sql/low-water.js";
import { machine, median, newJob, rate, rounds, table } from "./support.mjs";

const { values: options, positionals: databases } = parseArgs({
  options: {
    jobs: { type: "string", default: "60000" },
    rounds: { type: "string", default: "3" },
  },
  allowPositionals: true,
});
const JOBS = Number(options.jobs);
const SMALL = { jobs: 2_000, limit: 10 };
const { after, within } = LowWater.prototype;

/** A connection beside the queue's: who holds the snapshot, and who drops the tables. */
async function other(url) {
  if (url.startsWith("postgres")) {
    const { default: pg } = await import("pg");
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return { run: (text) => client.query(text), end: () => client.end(), cascade: " cascade" };
  }
  const { createConnection } = await import("mysql2/promise");
  const client = await createConnection(url);
  await client.query("set foreign_key_checks = 0");
  return { run: (text) => client.query(text), end: () => client.end(), cascade: "" };
}

const SNAPSHOT = [
  "set session characteristics as transaction isolation level repeatable read",
  "set session transaction isolation level repeatable read",
];

/** Jobs per second until only `left` are, `limit` at a time. */
async function drain(driver, session, jobs, limit) {
  const begin = performance.now();
  let settle = [];
  for (let done = 0; done < jobs;) {
    const wants = [{ queue: "bench", kinds: ["noop"], limit: Math.min(limit, jobs - done) }];
    const lease = randomUUID();
    const { claimed } = await driver.trip({ settle, claim: { lease, session, wants } });
    if (claimed.length === 0) throw new Error(`${jobs - done} jobs are not to be found`);
    done += claimed.length;
    const settlements = claimed.map((held) => ({
      job: held.job,
      run: held.run,
      ...afterSuccess(held),
      elapsedMs: null,
      result: null,
      error: null,
    }));
    settle = [{ lease, session, settlements, close: true }];
  }
  await driver.trip({ settle, claim: null });
  return jobs / ((performance.now() - begin) / 1_000);
}

const measure = (url, held, marked) => async () => {
  LowWater.prototype.after = marked ? after : () => undefined;
  LowWater.prototype.within = marked ? within : () => [];
  const side = await other(url);
  for (const name of TABLES) await side.run(`drop table if exists qudo_${name}${side.cascade}`);
  const driver = await openDatabase(url);
  try {
    await driver.migrate();
    for (let i = 0; i < JOBS; i += 1_000)
      await driver.insertJobs(Array.from({ length: 1_000 }, () => newJob(newId())));
    const session = newId();
    const about = { name: "bench", host: "localhost", pid: 1, process: null, version: "0" };
    await driver.openSession({ id: session, ...about, leaseMs: 3_600_000, kinds: ["noop"] });
    if (held) {
      await side.run(SNAPSHOT[url.startsWith("postgres") ? 0 : 1]);
      await side.run("begin");
      await side.run("select count(*) from qudo_ready");
    }
    const large = await drain(driver, session, JOBS - SMALL.jobs, 500);
    const small = await drain(driver, session, SMALL.jobs, SMALL.limit);
    await side.run("rollback");
    return { large, small };
  } finally {
    await driver.close();
    await side.end();
  }
};

console.log(machine());
for (const url of databases) {
  const contestants = {
    "no snapshot, from the beginning": measure(url, false, false),
    "no snapshot, from the mark": measure(url, false, true),
    "old snapshot, from the beginning": measure(url, true, false),
    "old snapshot, from the mark": measure(url, true, true),
  };
  const found = await rounds(Number(options.rounds), contestants);
  const lines = Array.from(found, ([name, results]) => {
    const figures = ["large", "small"].flatMap((size) => {
      const rates = results.map((result) => result[size]);
      return [median(rates), Math.min(...rates), Math.max(...rates)].map(rate);
    });
    return [name, ...figures];
  });
  const head = [`${new URL(url).protocol} jobs/s`, "by 500", "lowest", "highest"];
  console.log(table([...head, "last by 10", "lowest", "highest"], lines));
}
