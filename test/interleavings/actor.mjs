/**
 * One actor: a thread with its own connection to the file. It runs one call of the driver at a time, and can be made to
 * stop before any one of its statements, in the middle of its transaction, until the conductor wakes it.
 * The compiled engine, because a thread of Node 20 loads no TypeScript.
 */
import { parentPort, workerData } from "node:worker_threads";
import { openSqlite } from "../../dist/storage/sqlite/index.js";
import { openPlain, stepped } from "./handle.mjs";
import { VARIANTS } from "./naive.mjs";

/** One number, shared with the conductor: 0 is shut. */
const gate = new Int32Array(workerData.gate);

let round = 0;
let statement = 0;
let pauseAt = 0;
let driver;

/** One connection for the life of the thread: the file is the same, only its content is put back for each round. */
const handle = openPlain(workerData.path);

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have none; that is for windows
const post = (type, more = {}) => parentPort.postMessage({ type, round, ...more });

function step() {
  statement++;
  if (statement !== pauseAt) return;
  Atomics.store(gate, 0, 0);
  post("paused");
  Atomics.wait(gate, 0, 0);
}

/** A new driver each time: what the last one remembered of the file is no longer true. */
async function open({ now, variant }) {
  const { path } = workerData;
  const hooks = { step, onBusy: () => post("busy"), rewrite: VARIANTS[variant] };
  const own = stepped(handle, hooks);
  driver = await openSqlite({ path, handle: own, clock: () => now, busyDeadlineMs: 10_000 });
  post("opened");
}

async function run({ call, pause }) {
  statement = 0;
  pauseAt = pause;
  const answer = await answerOf(call);
  pauseAt = 0;
  post("done", { answer });
}

async function answerOf({ method, args }) {
  try {
    return { ok: true, value: await driver[method](...args) };
  } catch (error) {
    return {
      ok: false,
      code: error.code ?? null,
      message: `${error.message} ${error.cause ?? ""}`,
    };
  }
}

const ORDERS = { open, run };

parentPort.on("message", (order) => {
  round = order.round;
  // What an order throws is a fault of the test itself: let it end the thread, which the conductor reports.
  void ORDERS[order.type](order);
});
