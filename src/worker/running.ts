/** A worker as its owner has it, however many databases it works on. */
import type { Duration } from "../core/duration.js";
import type { WorkerStats } from "./stats.js";

/** What {@link RunningWorker.stop} takes. */
export interface StopOptions {
  /** How long handlers may go on before their signals are aborted. Default: the worker's own `grace`, 30 s. */
  grace?: Duration;
  /**
   * The process ends right after stop(): handlers that ignore their signal are given back to others as the last act.
   * Never set it when the process lives on. Default false: stop() waits for them.
   */
  exiting?: boolean;
}

/** A worker in this process, made by `qudo.work()`: claims jobs, runs their handlers, settles them, until it is stopped. */
export interface RunningWorker extends AsyncDisposable {
  /** What it has done so far, over all databases. */
  readonly stats: WorkerStats;
  /** Resolves when the worker has stopped; rejects when it could not start. */
  readonly stopped: Promise<void>;
  /** There may be new jobs: look at once. `database`: only in this one of several. */
  wake(database?: string): void;
  /** Takes no more jobs and stops when what runs has ended, however long that takes. Resolves with {@link stopped}. */
  quit(): Promise<void>;
  /** Claims no more, gives back what has not started, lets handlers finish within the grace. */
  stop(options?: StopOptions): Promise<void>;
}
