/** One worker process of the example: `QUDO_DATABASE=… node worker.js QUEUE`. Stops when its parent says so, or dies. */
import { Qudo } from "qudo";
import { indexFile } from "./job.js";

const queue = process.argv[2];
const qudo = new Qudo({ databases: process.env["QUDO_DATABASE"]!, jobs: [indexFile] });
// Signals are heard below, because the parent's farewell comes on another way.
const starting = qudo.work({ queues: { [queue!]: 8 }, signals: false });

let stopping = false;
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  const worker = await starting;
  await worker.stop({ grace: "10s", exiting: true });
  await qudo.close();
  const { done, failed, abandoned } = worker.stats;
  // The parent may be gone: then there is nobody to tell.
  if (process.connected) process.send!({ served: done + failed + abandoned }, () => process.exit());
  else process.exit();
}

process.on("disconnect", () => void stop());
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void stop());
// It may have died before anybody listened.
if (!process.connected) void stop();
await starting;
