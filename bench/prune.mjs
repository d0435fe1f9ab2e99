/**
 * A step of pruning with nothing new to do: as quick with 200,000 finished jobs that are kept as with none.
 * `npm run build && node bench/prune.mjs [--jobs 200000]`
 */
import { openSqlite } from "../dist/storage/sqlite/index.js";
import { machine, median, newJob, rate, table, withFile } from "./support.mjs";
import { newId } from "../dist/storage/ids.js";

const at = process.argv.indexOf("--jobs");
const jobs = at < 0 ? 200_000 : Number(process.argv[at + 1]);
const DAY = 86_400_000;
let now = Date.now();

/** Milliseconds of some work. */
async function timed(work) {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

async function finish(driver, n) {
  for (let left = n; left > 0; left -= 1_000) {
    const batch = Array.from({ length: Math.min(left, 1_000) }, () => newJob(newId()));
    await driver.insertJobs(batch);
    await driver.cancel(batch.map(({ id }) => id));
    now += 1;
  }
}

/** Goes on to the end of the scan. */
async function goOn(driver, after, keepMs) {
  let pruned = 0;
  for (let more = true; more;) {
    const step = await driver.prune({ scan: "done", keepMs, after, limit: 1_000 });
    ({ after, more } = step);
    pruned += step.pruned;
  }
  return { after, pruned };
}

const measure = (kept) =>
  withFile(async (path) => {
    const driver = await openSqlite({ path, clock: () => now });
    await driver.migrate();
    await finish(driver, kept);
    now += DAY;
    let after = null;
    // Cancelled jobs are not this scan's: it looks at each of them once.
    const first = await timed(async () => ({ after } = await goOn(driver, null, 0)));
    const steps = [];
    for (let i = 0; i < 200; i++)
      steps.push(await timed(async () => ({ after } = await goOn(driver, after, 0))));
    const fresh = [];
    for (let i = 0; i < 20; i++) {
      await finish(driver, 100);
      now += 3_600_000;
      fresh.push(await timed(async () => ({ after } = await goOn(driver, after, 0))));
    }
    await driver.close();
    return [first, median(steps), median(fresh)];
  });

const none = await measure(0);
const many = await measure(jobs);
console.log(machine());
const row = (name, times) => [name, ...times.map((ms) => ms.toFixed(3))];
console.log(
  table(
    ["milliseconds", "first scan", "going on, nothing new", "going on, 100 new"],
    [row("none kept", none), row(`${rate(jobs)} kept`, many)],
  ),
);
