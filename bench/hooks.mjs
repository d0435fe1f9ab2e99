/**
 * What hooks cost: enqueueing by 50 callers, and a drain with a handler that does nothing, in the main loop (`thread: false`), without hooks, with one
 * that does nothing at each point, and with one at one point. `npm run build && node bench/hooks.mjs`. Another build, to be
 * compared with where there are no hooks: `QUDO_BEFORE=/path/to/dist/index.js`. FULL durability, 100 bytes of payload, median of 7.
 */
import { machine, median, rate, rounds, table, withFile } from "./support.mjs";

const ROUNDS = Number(process.env.ROUNDS ?? 7);
const JOBS = Number(process.env.JOBS ?? 40_000);
const payload = { n: 1, s: "x".repeat(84) };
const nothing = () => undefined;
const EVERYWHERE = {
  preEnqueue: nothing,
  serialize: nothing,
  postEnqueue: nothing,
  deserialize: nothing,
  preWork: nothing,
  postWork: nothing,
  onFailed: nothing,
  onAbandoned: nothing,
  around: { enqueue: (_, next) => void next(), work: (_, next) => next() },
};

const measure =
  (from, ...use) =>
  () =>
    withFile(async (path) => {
      const { defineJob, Qudo } = await import(from);
      let left = JOBS;
      let finished;
      const noop = defineJob("noop", { run: () => --left === 0 && finished() });
      const hooks = use.length > 0 ? { use } : {};
      const databases = { url: `sqlite:${path}`, thread: false };
      const qudo = new Qudo({ databases, jobs: [noop], ...hooks });
      await qudo.migrate();
      const timed = async (work) => {
        const begin = performance.now();
        await work();
        return JOBS / ((performance.now() - begin) / 1_000);
      };
      const enqueue = await timed(() =>
        Promise.all(
          Array.from({ length: 50 }, async () => {
            for (let i = 0; i < JOBS / 50; i++) await qudo.enqueue(noop, payload);
          }),
        ),
      );
      const all = new Promise((resolve) => (finished = resolve));
      const drain = await timed(async () => {
        const worker = await qudo.work();
        await all;
        await worker.stop();
      });
      await qudo.close();
      return { enqueue, drain };
    });

const HERE = "../dist/index.js";
const before = process.env.QUDO_BEFORE;
const contestants = {
  ...(before && { "before there were any": measure(before) }),
  "no hooks": measure(HERE),
  "postWork alone": measure(HERE, { postWork: nothing }),
  "every point": measure(HERE, EVERYWHERE),
};
const found = await rounds(ROUNDS, contestants);
const rows = ["enqueue", "drain"].flatMap((what) =>
  Object.keys(contestants).map((name) => {
    const rates = found.get(name).map((result) => result[what]);
    return [
      `${what}, ${name}`,
      ...[median(rates), Math.min(...rates), Math.max(...rates)].map(rate),
    ];
  }),
);
console.log(machine());
console.log(table(["jobs/s", "median", "lowest", "highest"], rows));
