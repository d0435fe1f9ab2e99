/**
 * How soon a job that one process enqueues is started by another, at random gaps of 20 to 200 ms; and what an idle worker costs.
 * `npm run build && node bench/pickup.mjs [--database postgres://…] [--jobs 1000] [--idle 20] [--no-nudge] [--json]`
 * Without an address: a SQLite file. `--no-nudge` loses every nudge of SQLite; on PostgreSQL give `?listen=false` instead.
 */
import { fork } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { defineJob, Qudo } from "../dist/index.js";
import { machine, table, withFile } from "./support.mjs";

const { values: options } = parseArgs({
  options: {
    jobs: { type: "string", default: "1000" },
    idle: { type: "string", default: "20" },
    "no-nudge": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    database: { type: "string" },
    producer: { type: "string" },
  },
});
const jobs = Number(options.jobs);
const idleMs = Number(options.idle) * 1_000;

/** The host's monotonic clock: the same in all its processes. */
const now = () => Number(process.hrtime.bigint()) / 1e6;

/** Every nudge is lost in a process that begins with this: it cannot write its byte. */
const WITHOUT_NUDGE = `data:text/javascript,${encodeURIComponent(`
  import fs from "node:fs"; import { syncBuiltinESMExports } from "node:module";
  const write = fs.writeSync;
  fs.writeSync = (file, data, ...rest) => {
    if (data.length === 1 && String(data) === "!") throw new Error("lost");
    return write(file, data, ...rest);
  };
  syncBuiltinESMExports();`)}`;

async function produce(database) {
  const tick = defineJob("tick", { run() {} });
  const qudo = new Qudo({ databases: database, jobs: [tick] });
  await qudo.migrate();
  for (let n = 0; n < jobs; n++) {
    await sleep(20 + Math.random() * 180);
    const called = now();
    await qudo.enqueue(tick, n);
    process.send({ n, called, committed: now() });
  }
  await qudo.close();
  process.disconnect();
}

const quantile = (sorted, q) =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;

function figures(times) {
  const sorted = times.toSorted((a, b) => a - b);
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: sorted.at(-1) };
}

async function consume(database) {
  const started = new Map();
  const sent = new Map();
  let finished;
  const all = new Promise((resolve) => (finished = resolve));
  const seen = () => started.size === jobs && sent.size === jobs && finished();
  const tick = defineJob("tick", {
    run(n) {
      started.set(n, now());
      seen();
    },
  });
  const qudo = new Qudo({ databases: database, jobs: [tick] });
  const worker = await qudo.work();
  await sleep(1_000);
  const before = process.cpuUsage();
  const idleFrom = now();
  await sleep(idleMs);
  const idle = process.cpuUsage(before);
  const idleShare = (idle.user + idle.system) / 1_000 / (now() - idleFrom);
  const producer = fork(
    fileURLToPath(import.meta.url),
    ["--producer", database, "--jobs", `${jobs}`],
    {
      execArgv: options["no-nudge"] ? ["--import", WITHOUT_NUDGE] : [],
    },
  );
  producer.on("message", (message) => {
    sent.set(message.n, message);
    seen();
  });
  await all;
  await worker.stop();
  await qudo.close();
  const since = (key) => [...sent].map(([n, message]) => started.get(n) - message[key]);
  return {
    jobs,
    nudge: !options["no-nudge"],
    afterCommit: figures(since("committed")),
    afterCall: figures(since("called")),
    idleCpu: idleShare,
  };
}

const row = (name, { p50, p99, max }) => [name, ...[p50, p99, max].map((ms) => ms.toFixed(2))];

if (options.producer !== undefined) await produce(options.producer);
else {
  const found = await (options.database === undefined
    ? withFile((path) => consume(`sqlite:${path}`))
    : consume(options.database));
  if (options.json) console.log(JSON.stringify(found));
  else {
    console.log(machine());
    console.log(
      table(
        [`${found.nudge ? "nudged" : "not nudged"}, ms`, "p50", "p99", "highest"],
        [row("after the commit", found.afterCommit), row("after the call", found.afterCall)],
      ),
    );
    console.log(`idle worker: ${(found.idleCpu * 100).toFixed(2)} % of a core`);
  }
}
