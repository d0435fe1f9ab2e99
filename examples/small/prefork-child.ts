/** One worker of prefork: an ordinary program that calls `qudo.work()`. It works at most three quarters of the time. */
import { Qudo } from "qudo";
import { databases } from "./database.js";
import { hello } from "./hello.js";

await using qudo = new Qudo({ databases, jobs: [hello] });
const worker = await qudo.work({ throttle: 0.75 });
await worker.stopped;
