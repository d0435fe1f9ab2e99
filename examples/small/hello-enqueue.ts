/** Enqueues a job, and is done: `node hello-enqueue.js`. Nobody has to be there to take it. */
import { Qudo } from "qudo";
import { databases } from "./database.js";
import { hello } from "./hello.js";

await using qudo = new Qudo({ databases: [{ name: "main", url: databases }] });
const { id, status } = await qudo.enqueue(hello, { arg: "arg" }, { uniqueKey: "uniqkey" });
console.log(status === "unique" ? "such a job is waiting already" : `enqueued ${id}`);
