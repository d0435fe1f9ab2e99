/**
 * The queue as a user has it: enqueue one by one, by 50 callers, in bulk; drain with a handler that does nothing.
 * `npm run build && node bench/queue.mjs`. FULL durability, 100 bytes of payload, median of 5.
 */
import { defineJob, Qudo } from "../dist/index.js";
import { machine, median, rate, rounds, table, withFile } from "./support.mjs";

const payload = { n: 1, s: "x".repeat(84) };

/** Jobs per second of some work. */
async function timed(jobs, work) {
  const begin = performance.now();
  await work();
  return jobs / ((performance.now() - begin) / 1_000);
}

function measure() {
  return withFile(async (path) => {
    let left = 0;
    let finished;
    const noop = defineJob("noop", { run: () => --left === 0 && finished() });
    const qudo = new Qudo({ databases: `sqlite:${path}`, jobs: [noop] });
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
}

const found = (await rounds(5, { qudo: measure })).get("qudo");
const rows = Object.keys(found[0]).map((name) => {
  const all = found.map((result) => result[name]);
  return [name, rate(median(all)), rate(Math.min(...all)), rate(Math.max(...all))];
});
console.log(machine());
console.log(table(["jobs/s", "median", "lowest", "highest"], rows));
