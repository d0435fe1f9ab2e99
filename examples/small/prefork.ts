/**
 * Keeps workers running: `node prefork.js [PROCESSES] [JOBS PER CHILD]`. A child that has done its jobs, or has crashed, is followed by
 * another one; SIGTERM lets all finish, SIGHUP replaces them one by one, also by new code.
 */
import { prefork } from "qudo";

const [processes = "2", maxJobs = "100"] = process.argv.slice(2);
const children = await prefork({
  script: new URL("./prefork-child.js", import.meta.url),
  processes: Number(processes),
  maxJobs: Number(maxJobs),
});
console.log(`keeping ${processes} workers`);
await children.stopped;
console.log("all have stopped");
