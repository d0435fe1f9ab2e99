/**
 * What it costs to run handlers apart: jobs a second with a handler that does nothing, among the others, in threads and in processes; and how
 * long the first job takes. The database is in memory, so that the handlers are what is measured.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import { defineJob, Qudo } from "../dist/index.js";
import { machine, median, rate, rounds, table } from "./support.mjs";

const JOBS = 2_000;
const PLACES = 4;

const kind = (name, isolate) =>
  defineJob(name, { ...(isolate && { isolate, module: import.meta.url }), run: () => undefined });

export const jobs = [kind("among"), kind("thread", "thread"), kind("process", "process")];

async function drain(job) {
  const qudo = new Qudo({ databases: "sqlite::memory:", jobs: [job] });
  try {
    return await drained(qudo, job);
  } finally {
    await qudo.close();
  }
}

async function drained(qudo, job) {
  const first = await qudo.enqueue(job, null);
  const begin = performance.now();
  const worker = await qudo.work({ concurrency: PLACES, signals: false });
  await first.result();
  const firstMs = performance.now() - begin;
  await qudo.enqueueMany(Array.from({ length: JOBS }, () => [job, null]));
  const start = performance.now();
  while (worker.stats.done <= JOBS) await sleep(2);
  return { firstMs, perSecond: (JOBS / (performance.now() - start)) * 1_000 };
}

// Threads and processes load this file, too.
if (isMainThread && process.argv[1] === fileURLToPath(import.meta.url)) {
  const contestants = Object.fromEntries(jobs.map((job) => [job.kind, () => drain(job)]));
  const results = await rounds(5, contestants);
  console.log(machine());
  const rows = Array.from(results, ([name, all]) => [
    name,
    rate(median(all.map(({ perSecond }) => perSecond))),
    Math.round(median(all.map(({ firstMs }) => firstMs))),
  ]);
  console.log(table(["handlers", "jobs/s", "first job, ms"], rows));
}
