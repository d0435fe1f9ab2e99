/**
 * How soon a job that one process enqueues is started by another: at random gaps of 20 to 200 ms, and after seconds without
 * work; and what an idle worker costs.
 * `npm run build && node bench/pickup.mjs [--database postgres://…] [--server pid] [--jobs 1000] [--after 1,10] [--each 20]
 *   [--idle 20] [--no-nudge] [--json]`
 * Without an address: a SQLite file. `--no-nudge` loses every nudge of SQLite; on PostgreSQL give `?listen=false` instead.
 * `--server`: what the idle worker costs that process and its children, too (Linux). `--each`: jobs after each time without work.
 */
import { fork } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { defineJob, Qudo } from "../dist/index.js";
import { machine, table, withFile } from "./support.mjs";

const { values: options } = parseArgs({
  options: {
    jobs: { type: "string", default: "1000" },
    after: { type: "string", default: "" },
    each: { type: "string", default: "20" },
    server: { type: "string" },
    idle: { type: "string", default: "20" },
    "no-nudge": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    database: { type: "string" },
    producer: { type: "string" },
  },
});
const QUICK = "20 to 200 ms";
/** What is enqueued: how many jobs, and how long before each of them there is no work. */
const phases = [
  { name: QUICK, jobs: Number(options.jobs), pauseMs: () => 20 + Math.random() * 180 },
  ...options.after
    .split(",")
    .filter((text) => text !== "")
    .map((seconds) => ({
      name: `${seconds} s`,
      jobs: Number(options.each),
      // At no fixed distance from the worker's looks.
      pauseMs: () => Number(seconds) * 1_000 * (1 + Math.random() / 10),
    })),
];
const jobs = phases.reduce((sum, phase) => sum + phase.jobs, 0);
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
  let n = 0;
  for (const { name: phase, jobs: count, pauseMs } of phases)
    for (const end = n + count; n < end; n++) {
      await sleep(pauseMs());
      const called = now();
      await qudo.enqueue(tick, n);
      process.send({ n, phase, called, committed: now() });
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
  // By then a worker that polls does so as rarely as it ever does.
  await sleep(21_000);
  const before = process.cpuUsage();
  const serverBefore = serverCpuMs();
  const idleFrom = now();
  await sleep(idleMs);
  const idle = process.cpuUsage(before);
  const idleFor = now() - idleFrom;
  const idleShare = (idle.user + idle.system) / 1_000 / idleFor;
  const serverShare = (serverCpuMs() - serverBefore) / idleFor;
  const producer = fork(
    fileURLToPath(import.meta.url),
    [
      ...["--producer", database, "--jobs", options.jobs],
      ...["--after", options.after, "--each", options.each],
    ],
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
  const since = (phase, key) =>
    figures(
      [...sent.values()]
        .filter((message) => message.phase === phase)
        .map((message) => started.get(message.n) - message[key]),
    );
  return {
    jobs,
    nudge: !options["no-nudge"],
    afterCommit: since(QUICK, "committed"),
    afterCall: since(QUICK, "called"),
    afterIdle: phases.slice(1).map(({ name }) => ({ name, ...since(name, "committed") })),
    idleCpu: idleShare,
    idleServerCpu: options.server === undefined ? null : serverShare,
  };
}

/** What the server's process and its children have used so far. PostgreSQL has one for each connection. */
function serverCpuMs() {
  if (options.server === undefined) return 0;
  const used = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name)))
    try {
      const [, parent, ...rest] = readFileSync(`/proc/${pid}/stat`, "utf8")
        .split(") ")
        .at(-1)
        .split(" ");
      // In ticks of 10 ms, after ten fields that say something else.
      if (pid === options.server || parent === options.server)
        used.set(pid, (Number(rest[9]) + Number(rest[10])) * 10);
    } catch {
      // It has ended meanwhile.
    }
  return [...used.values()].reduce((sum, ms) => sum + ms, 0);
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
        [
          row("after the commit", found.afterCommit),
          row("after the call", found.afterCall),
          ...found.afterIdle.map((phase) => row(`after the commit, ${phase.name} idle`, phase)),
        ],
      ),
    );
    const percent = (share) => `${(share * 100).toFixed(2)} % of a core`;
    console.log(`idle worker: ${percent(found.idleCpu)}`);
    if (found.idleServerCpu !== null)
      console.log(`the server for it: ${percent(found.idleServerCpu)}`);
  }
}
