/** Downloads what is submitted, and tries again what fails: `node download-consumer.js`. Stops after ten minutes without work. */
import { Qudo } from "qudo";
import { databases } from "./database.js";
import { download } from "./download.js";

await using qudo = new Qudo({ databases, jobs: [download] });
const worker = await qudo.work({
  idleTimeout: process.argv[2] ?? "10m",
  onDie: (error, task) => console.log(`try ${task.attempt}: ${String(error)}`),
});
await worker.stopped;
console.log(`${worker.stats.done} done, ${worker.stats.failed} to be tried again`);
