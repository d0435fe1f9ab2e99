/**
 * The queue as a user has it: enqueue one by one, by 50 callers, in bulk; drain with a handler that does nothing; each with
 * the database in its thread (the default) and in the main loop (`thread: false`).
 * `npm run build && node bench/queue.mjs`. FULL durability, 100 bytes of payload, median of 5. The delay is the main
 * loop's, its longest 1 %, while that went on.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { defineJob, Qudo } from "../dist/index.js";
import { machine, median, rate, rounds, table, withFile } from "./support.mjs";

const ROUNDS = 5;
const payload = { n: 1, s: "x".repeat(84) };

/** Jobs per second of some work, and the delay of the main loop meanwhile in ms. */
async function timed(jobs, work) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const begin = performance.now();
  await work();
  const seconds = (performance.now() - begin) / 1_000;
  delay.disable();
  return { rate: jobs / seconds, delay: delay.percentile(99) / 1e6 };
}

const measure = (thread) => () =>
  withFile(async (path) => {
    let left = 0;
    let finished;
    const noop = defineJob("noop", { run: () => --left === 0 && finished() });
    const qudo = new Qudo({ databases: { url: `sqlite:${path}`, thread }, jobs: [noop] });
    await qudo.migrate();
    const callers = (n, each) =>
      Promise.all(
        Array.from({ length: n }, async () => {
          for (let i = 0; i < each; i++) await qudo.enqueue(noop, payload);
        }),
      );
    const one = await timed(2_000, () => callers(1, 2_000));
    const fifty = await timed(20_000, () => callers(50, 400));
    const bulk = await timed(50_000, async () => {
      for (let i = 0; i < 50; i++)
        await qudo.enqueueMany(Array.from({ length: 1_000 }, () => [noop, payload]));
    });
    left = 72_000;
    const all = new Promise((resolve) => (finished = resolve));
    const drain = await timed(72_000, async () => {
      const worker = await qudo.work();
      await all;
      await worker.stop();
    });
    await qudo.close();
    return {
      "enqueue, one caller": one,
      "enqueue, 50 callers": fifty,
      "enqueueMany, 1,000": bulk,
      "drain, one worker": drain,
    };
  });

const contestants = { "in its thread": measure(true), "in the main loop": measure(false) };
const found = await rounds(ROUNDS, contestants);
const rows = Object.keys(found.get("in its thread")[0]).flatMap((what) =>
  Object.keys(contestants).map((where) => {
    const rates = found.get(where).map((result) => result[what].rate);
    const delays = found.get(where).map((result) => result[what].delay);
    const figures = [median(rates), Math.min(...rates), Math.max(...rates)].map(rate);
    return [`${what}, ${where}`, ...figures, median(delays).toFixed(1)];
  }),
);
console.log(machine());
console.log(table(["jobs/s", "median", "lowest", "highest", "delay p99 ms"], rows));
