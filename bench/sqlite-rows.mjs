/**
 * Rows one by one in a transaction, or a set through json_each? `npm run build && node bench/sqlite-rows.mjs`
 * The engine's tables and rows; FULL; both write the same. Prints rows/s (median of 5) and the ratio.
 */
import { randomBytes } from "node:crypto";
import { openSqlite } from "../dist/storage/sqlite/index.js";
import {
  machine,
  median,
  newJob,
  rate,
  rounds,
  sqliteHandle,
  table,
  withFile,
} from "./support.mjs";

const TOTAL = 20_000;
const text = newJob("").payload.text;

const JOB =
  "(id, lane, prio, run_at, created_at, max_attempts, payload_text, codec, payload_version)";
const ONE = {
  job: `insert or ignore into qudo_job ${JOB} values (?, 1, 0, ?, ?, 6, ?, 1, 1)`,
  ready:
    "insert into qudo_ready (lane, prio, run_at, id, run, fails, crashes) values (1, 0, ?, ?, 1, 0, 0)",
  outcome: `insert or ignore into qudo_outcome (job_id, run, state, lane, writer, ended_at, fails, crashes)
    select id, 1, 1, lane, x'00', ?, 0, 0 from qudo_job where id = ?`,
};
const SET = {
  job: `insert or ignore into qudo_job ${JOB}
    select unhex(value ->> 0), 1, 0, ?, ?, 6, value ->> 1, 1, 1 from json_each(?)`,
  ready: `insert into qudo_ready (lane, prio, run_at, id, run, fails, crashes)
    select 1, 0, ?, unhex(value ->> 0), 1, 0, 0 from json_each(?)`,
  outcome: `insert or ignore into qudo_outcome (job_id, run, state, lane, writer, ended_at, fails, crashes)
    select j.id, 1, 1, j.lane, x'00', ?, 0, 0 from json_each(?) e join qudo_job j on j.id = unhex(e.value)`,
};

/** Rows per second of enqueue and of settle, in transactions of `size`. */
function measure(size, asSet) {
  return withFile(async (path) => {
    const engine = await openSqlite({ path });
    await engine.migrate();
    await engine.close();
    const db = await sqliteHandle(path);
    for (const pragma of [
      "journal_mode=wal",
      "synchronous=FULL",
      "foreign_keys=on",
      "cache_size=-16384",
    ])
      db.exec(`pragma ${pragma}`);
    const sql = Object.fromEntries(
      Object.entries(asSet ? SET : ONE).map(([name, s]) => [name, db.prepare(s)]),
    );
    const batches = Array.from({ length: TOTAL / size }, () =>
      Array.from({ length: size }, () => randomBytes(16)),
    );
    const each = (write) => {
      const begin = performance.now();
      for (const ids of batches) {
        db.exec("begin immediate");
        write(ids, Date.now());
        db.exec("commit");
      }
      return TOTAL / ((performance.now() - begin) / 1_000);
    };
    const enqueue = each((ids, now) => {
      if (asSet) {
        const json = JSON.stringify(ids.map((id) => [id.toString("hex"), text]));
        sql.job.run(now, now, json);
        sql.ready.run(now, json);
      } else
        for (const id of ids) {
          sql.job.run(id, now, now, text);
          sql.ready.run(now, id);
        }
    });
    const settle = each((ids, now) => {
      if (asSet) sql.outcome.run(now, JSON.stringify(ids.map((id) => id.toString("hex"))));
      else for (const id of ids) sql.outcome.run(now, id);
    });
    db.close();
    return { enqueue, settle };
  });
}

const rows = [];
for (const size of [1, 10, 100, 1_000]) {
  const found = await rounds(5, {
    one: () => measure(size, false),
    set: () => measure(size, true),
  });
  for (const what of ["enqueue", "settle"]) {
    const [one, set] = ["one", "set"].map((how) => median(found.get(how).map((r) => r[what])));
    rows.push([`${what}, ${size} a transaction`, rate(one), rate(set), (one / set).toFixed(2)]);
  }
}
console.log(machine());
console.log(table(["rows/s", "one by one", "json_each", "ratio"], rows));
