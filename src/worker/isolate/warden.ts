/**
 * A thread beside handlers in a process of their own: when their worker's process is gone, this one ends, also when a handler
 * blocks its main thread. What it still did would be done a second time by whoever runs the job now.
 */
import { workerData } from "node:worker_threads";

const EVERY_MS = 500;

setInterval(() => {
  if (process.ppid !== workerData) process.kill(process.pid, "SIGKILL");
}, EVERY_MS);
