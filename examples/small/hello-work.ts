/** Works for ever: `node hello-work.js`. Ctrl-C, or SIGTERM, lets it finish what it has begun. */
import { Qudo } from "qudo";
import { databases } from "./database.js";
import { hello } from "./hello.js";

await using qudo = new Qudo({ databases: [{ name: "main", url: databases }], jobs: [hello] });
const worker = await qudo.work();
console.log("working");
await worker.stopped;
