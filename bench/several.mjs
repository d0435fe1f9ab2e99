/**
 * What databases in trouble cost the others: how fast a worker drains two SQLite files, by themselves, and beside a third database that
 * is dead (its port is closed), silent (it takes connections and says nothing) or slow (each answer comes late).
 * `npm run build && node bench/several.mjs [--server postgres://…] [--delay 500] [--jobs 20000] [--rounds 5]`
 * The slow one is that server, with jobs of its own, behind a proxy; without `--server` it is left out. Two kinds of handlers: those that
 * do nothing, where the databases are what takes time, and those of 20 ms, where the places are.
 */
import { createServer, connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { defineJob, Qudo } from "../dist/index.js";
import { machine, median, rate, rounds, table, withFile } from "./support.mjs";

const { values: options } = parseArgs({
  options: {
    server: { type: "string" },
    delay: { type: "string", default: "500" },
    jobs: { type: "string", default: "20000" },
    rounds: { type: "string", default: "5" },
  },
});
const delayMs = Number(options.delay);
const HANDLERS = {
  "handlers that do nothing": { ms: 0, jobs: Number(options.jobs) },
  "handlers of 20 ms": { ms: 20, jobs: Math.ceil(Number(options.jobs) / 20) },
};

/** Listens on a port of its own; returns its number and the way to end it. */
async function listening(onConnection) {
  const sockets = new Set();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    onConnection(socket, sockets);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const end = () => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  };
  return { port: server.address().port, end };
}

const silent = () => listening(() => undefined);

/** Passes everything on; what the server says comes late. */
const slow = () =>
  listening((socket, sockets) => {
    const { hostname, port } = new URL(options.server);
    const beyond = connect({ host: hostname, port: Number(port || 5432) });
    sockets.add(beyond);
    beyond.on("error", () => socket.destroy());
    socket.pipe(beyond);
    beyond.on(
      "data",
      (data) => void sleep(delayMs, undefined, { ref: false }).then(() => socket.write(data)),
    );
    socket.on("close", () => beyond.destroy());
    beyond.on("close", () => socket.destroy());
  });

async function dead() {
  const { port, end } = await silent();
  await end();
  return { port, end: () => undefined };
}

function address(port, { prefix }) {
  const url = new URL(options.server ?? "postgres://qudo@127.0.0.1/qudo");
  url.hostname = "127.0.0.1";
  url.port = String(port);
  url.searchParams.set("prefix", prefix);
  return url.href;
}

const mute = { debug() {}, info() {}, warn() {}, error() {} };
const noop = defineJob("job", { run() {} });

async function fill(url, jobs) {
  const qudo = new Qudo({ databases: url });
  await qudo.migrate();
  for (let i = 0; i < jobs; i += 1_000)
    await qudo.enqueueMany(Array.from({ length: Math.min(1_000, jobs - i) }, () => [noop, 1]));
  await qudo.close();
}

/** Jobs per second of the two healthy ones. */
const measure =
  ({ ms, jobs }, third) =>
  () =>
    withFile(async (path) => {
      const files = ["a", "b"].map((name) => ({
        name,
        url: `sqlite:${join(path, "..", name)}.db`,
      }));
      for (const { url } of files) await fill(url, jobs / 2);
      const prefix = `bench_${Date.now()}_`;
      const trouble = await third?.();
      if (third === slow) {
        const direct = new URL(options.server);
        direct.searchParams.set("prefix", prefix);
        await fill(direct.href, jobs / 2);
      }
      const others = trouble ? [{ name: "c", url: address(trouble.port, { prefix }) }] : [];
      let left = jobs;
      let finished;
      const all = new Promise((resolve) => (finished = resolve));
      const job = defineJob("job", {
        async run(_, { database }) {
          if (ms > 0) await sleep(ms);
          if (database !== "c" && --left === 0) finished();
        },
      });
      const qudo = new Qudo({ databases: [...files, ...others], jobs: [job], logger: mute });
      const worker = await qudo.work({ logger: mute });
      const begin = performance.now();
      await all;
      const seconds = (performance.now() - begin) / 1_000;
      await worker.stop({ grace: 0 });
      await trouble?.end();
      await qudo.close();
      return jobs / seconds;
    });

const THIRDS = {
  "by themselves": undefined,
  "beside a dead one": dead,
  "beside a silent one": silent,
};
if (options.server !== undefined) THIRDS[`beside one with ${delayMs} ms of delay`] = slow;

console.log(machine());
for (const [what, handlers] of Object.entries(HANDLERS)) {
  const contestants = Object.fromEntries(
    Object.entries(THIRDS).map(([name, third]) => [name, measure(handlers, third)]),
  );
  const found = await rounds(Number(options.rounds), contestants);
  const alone = median(found.get("by themselves"));
  const rows = [...found].map(([name, rates]) => [
    name,
    ...[median(rates), Math.min(...rates), Math.max(...rates)].map(rate),
    `${Math.round((median(rates) / alone) * 100)} %`,
  ]);
  console.log(table([`${what}, jobs/s`, "median", "lowest", "highest", "of it"], rows));
}
