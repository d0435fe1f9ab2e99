/** Puts numbers into a queue, for any number of workers: `node producer.js [HOW MANY]`. */
import { Qudo } from "qudo";
import { databases } from "./database.js";

const count = Number(process.argv[2] ?? 10);
await using qudo = new Qudo({ databases });
const numbers = qudo.queue("numbers");
for (let n = 1; n <= count; n++) await numbers.addMsg(n);
console.log(`added ${count} numbers`);
