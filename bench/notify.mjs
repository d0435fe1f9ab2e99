/**
 * What it costs producers to tell others by NOTIFY: jobs per second of four processes, with it and without it, in turn, while
 * one connection listens.
 * `npm run build && node bench/notify.mjs --database postgres://… [--seconds 5] [--rounds 5] [--json]`
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openDatabase } from "../dist/storage/open.js";
import { Notifier } from "../dist/storage/postgres/notify.js";
import { defineJob, Qudo } from "../dist/index.js";
import { machine, median, rate, rounds, table } from "./support.mjs";

const { values: options } = parseArgs({
  options: {
    database: { type: "string" },
    seconds: { type: "string", default: "5" },
    rounds: { type: "string", default: "5" },
    json: { type: "boolean", default: false },
    producer: { type: "string" },
  },
});
const PRODUCERS = 4;
const AT_ONCE = 50;

async function produce() {
  if (options.producer === "silent") Notifier.prototype.ring = () => null;
  const tick = defineJob("tick", { run() {} });
  const qudo = new Qudo({ databases: options.database });
  await qudo.enqueue(tick, 0);
  process.send("ready");
  await once(process, "message");
  const end = performance.now() + Number(options.seconds) * 1_000;
  let jobs = 0;
  const caller = async () => {
    while (performance.now() < end) {
      await qudo.enqueue(tick, { n: 1, s: "x".repeat(84) });
      jobs++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, caller));
  await qudo.close();
  process.send(jobs);
  process.disconnect();
}

async function run(kind) {
  const self = fileURLToPath(import.meta.url);
  const args = ["--producer", kind, "--database", options.database, "--seconds", options.seconds];
  const producers = Array.from({ length: PRODUCERS }, () => fork(self, args));
  await Promise.all(producers.map((producer) => once(producer, "message")));
  const counts = producers.map((producer) => once(producer, "message"));
  for (const producer of producers) producer.send("go");
  const jobs = (await Promise.all(counts)).reduce((sum, [n]) => sum + n, 0);
  return jobs / Number(options.seconds);
}

if (options.producer !== undefined) await produce();
else {
  const driver = await openDatabase(options.database);
  await driver.migrate();
  let wakes = 0;
  const stop = driver.subscribe(() => wakes++);
  const contestants = { "with NOTIFY": () => run("telling"), without: () => run("silent") };
  const results = await rounds(Number(options.rounds), contestants);
  stop();
  await driver.close();
  const [told, silent] = [...results.values()];
  // Of each round by itself: what else the machine does hits both alike.
  const loss = median(told.map((n, i) => 1 - n / silent[i]));
  if (options.json)
    console.log(JSON.stringify({ told: median(told), silent: median(silent), loss, wakes }));
  else {
    console.log(machine());
    const rows = [...results].map(([name, rates]) => [
      name,
      rate(median(rates)),
      rates.map(rate).join(" "),
    ]);
    console.log(table([`${PRODUCERS} producers, jobs/s`, "median", "rounds"], rows));
    console.log(`loss: ${(loss * 100).toFixed(1)} %; wake-ups of one that listens: ${wakes}`);
  }
}
