/** A driver in a thread of its own: the contract is sets in, outcomes out, so any operation goes over as a message. */
import { parentPort, workerData } from "node:worker_threads";
import { openSqlite } from "../dist/storage/sqlite/index.js";

const driver = await openSqlite({ path: workerData.path });
parentPort.on("message", async ({ id, operation, values }) => {
  parentPort.postMessage({ id, value: await driver[operation](...values) });
});
