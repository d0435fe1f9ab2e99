/** Submits a task that starts a minute from now: `node download-producer.js URL TARGET [DELAY]`. */
import { Qudo } from "qudo";
import { databases } from "./database.js";
import { download } from "./download.js";

const [url = "http://example.com/", target = "example.com.html", delay = "60s"] =
  process.argv.slice(2);
await using qudo = new Qudo({ databases });
const task = await qudo.enqueue(download, { url, target }, { delay });
console.log(`Submitted task ${task.id}`);
