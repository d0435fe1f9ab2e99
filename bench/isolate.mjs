/**
 * What it costs to run handlers apart: jobs a second with a handler that does nothing, among the others, in threads and in processes; and how
 * long the first job takes. Database in memory, so that the handlers are what is measured.
 */
import { defineJob, Qudo } from "../dist/index.js";

const kind = (name, isolate) =>
  defineJob(name, { ...(isolate && { isolate, module: import.meta.url }), run: () => undefined });

export const jobs = [kind("among"), kind("thread", "thread"), kind("process", "process")];

async function drain(job, n) {
  await using qudo = new Qudo({ databases: "sqlite::memory:", jobs: [job] });
  const first = await qudo.enqueue(job, null);
  const begin = performance.now();
  const worker = await qudo.work({ concurrency: 4, signals: false });
  await first.result();
  const firstMs = performance.now() - begin;
  await qudo.enqueueMany(Array.from({ length: n }, () => [job, null]));
  const start = performance.now();
  while (worker.stats.done < n + 1) await new Promise((resolve) => setTimeout(resolve, 2));
  return { firstMs, perSecond: (n / (performance.now() - start)) * 1_000 };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function measure() {
  const found = new Map(jobs.map((job) => [job, []]));
  for (let round = 0; round < 5; round++)
    for (const job of jobs) found.get(job).push(await drain(job, 2_000));
  for (const [{ kind }, rounds] of found) {
    const rate = Math.round(median(rounds.map(({ perSecond }) => perSecond)));
    const firstMs = Math.round(median(rounds.map(({ firstMs }) => firstMs)));
    console.log(`${kind.padEnd(8)} ${String(rate).padStart(7)} jobs/s   first job after ${firstMs} ms`);
  }
}

// The threads and processes load this file, too.
if (process.argv[1] === new URL(import.meta.url).pathname && !globalThis[Symbol.for("qudo.isolated.1")])
  await measure();
