/** Follows what happens to jobs, as `tail -f` follows a file: `node log-tail.js [QUEUE]`. Ctrl-C ends it. */
import { Qudo } from "qudo";
import { databases } from "./database.js";

const [queue] = process.argv.slice(2);
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());

await using qudo = new Qudo({ databases });
await qudo.migrate();
console.log(`following ${queue ?? "all queues"}`);
const changes = qudo.monitor.follow({ queue, since: "10s", every: "500ms", signal: stop.signal });
for await (const { at, what, kind, job, run, attempt } of changes) {
  const why = attempt?.error?.split("\n")[0] ?? "";
  console.log(`${at.toISOString()} ${what} ${kind} ${job} run ${run} ${why}`.trimEnd());
}
