/** One worker process of the example: `node worker.js DATABASE QUEUE`. Stops when its parent says so, or dies. */
import { Qudo } from "qudo";
import { indexFile } from "./job.js";

const [database, queue] = process.argv.slice(2);
const qudo = new Qudo({ databases: database!, jobs: [indexFile] });
const worker = await qudo.work({ queues: { [queue!]: 8 } });

let stopping = false;
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  await worker.stop({ grace: "10s", exiting: true });
  const { done, failed, abandoned } = worker.stats;
  process.send?.({ served: done + failed + abandoned });
  await qudo.close();
  process.disconnect?.();
}

process.on("disconnect", () => void stop());
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void stop());
