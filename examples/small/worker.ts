/**
 * Takes numbers out of the queue by hand, five at a time, and squares them: `node worker.js [IDLE TIME]`. Start as many as you like; each
 * number is squared by one of them. Killed in the middle, it leaves what it held to the others.
 */
import { Qudo } from "qudo";
import { databases } from "./database.js";

await using qudo = new Qudo({ databases });
await using numbers = qudo.queue("numbers");
const timeout = process.argv[2] ?? "1m";
for (;;) {
  const tasks = await numbers.fetch(5, { timeout });
  if (tasks.length === 0) break;
  for (const task of tasks) {
    // Cancelled, or somebody else's meanwhile.
    if (!(await task.start())) continue;
    const n = Number(task.payload);
    if (Number.isNaN(n)) await task.fail(new Error(`${String(task.payload)} is no number`));
    else if (await task.finish(n * n)) console.log(`${n} squared is ${n * n}`);
  }
}
