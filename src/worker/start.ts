/** A worker and what it needs around it: the threads and processes of handlers that run apart. */
import { QudoError } from "../core/errors.js";
import type { Registry } from "../core/job.js";
import { isIsolated } from "./isolate/inside.js";
import { isolate } from "./isolate/pool.js";
import type { WorkerSettings } from "./options.js";
import type { RunningWorker } from "./running.js";

/**
 * `make` is given what the worker is to run. What runs apart is made ready before, and ended after it.
 * @throws QudoError QUDO_ISOLATE_FAILED, and what `make` throws.
 */
export async function startWorker<Made extends RunningWorker>(
  jobs: Registry,
  { isolate: usual }: WorkerSettings,
  make: (registry: Registry) => Promise<Made>,
): Promise<Made> {
  if (isIsolated())
    throw new QudoError(
      "QUDO_ISOLATE_FAILED",
      "This module is loaded in a thread or process for handlers, and starts a worker: keep job definitions in a module that starts nothing.",
    );
  const { registry, close } = await isolate(jobs, usual);
  try {
    const worker = await make(registry);
    void worker.stopped.then(close, close);
    return worker;
  } catch (error) {
    close();
    throw error;
  }
}
