/**
 * A worker over several databases: one {@link Worker} in each of them, with a session, a pump and heartbeats of its own, so that
 * one that is slow or out costs the others nothing, and each job is settled where it was claimed. They share the places of
 * their queues.
 */
import { DEFAULTS } from "../core/defaults.js";
import type { Registry } from "../core/job.js";
import type { Part } from "../storage/driver.js";
import { REAL } from "../storage/time.js";
import type { WorkerSettings } from "./options.js";
import { Places } from "./places.js";
import type { RunningWorker, StopOptions } from "./running.js";
import { FleetWorker } from "./fleet-worker.js";
import { Shift } from "./shift.js";
import { stopAtSignals } from "./signals.js";
import { sumOf, type WorkerStats } from "./stats.js";
import type { Surroundings } from "./surroundings.js";

export class Fleet implements RunningWorker {
  private readonly workers: readonly FleetWorker[];
  private readonly shift: Shift;
  readonly stopped: Promise<void>;

  /** `surroundings` are asked for by the name of each database. */
  constructor(
    parts: readonly Part[],
    registry: Registry,
    settings: WorkerSettings,
    surroundings: (database: string) => Surroundings,
  ) {
    const given = parts.map((part) => surroundings(part.name));
    const time = given[0]?.time ?? REAL;
    const places = new Map(
      Array.from(settings.queues, ([name, n]) => [name, new Places(n, time, settings.batch)]),
    );
    const share = (queue: string): Places => places.get(queue)!;
    this.shift = new Shift(settings, () => void this.quit(), time);
    this.workers = parts.map((part, i) => {
      const shared = { ...given[i], places: share, shift: this.shift };
      return new FleetWorker(part, registry, settings, shared);
    });
    this.stopped = this.live(settings.signals);
    this.stopped.catch(() => undefined);
  }

  get stats(): WorkerStats {
    return sumOf(this.workers.map((worker) => worker.stats));
  }

  wake(database?: string): void {
    for (const worker of this.workers)
      if (database === undefined || worker.name === database) worker.wake();
  }

  quit(): Promise<void> {
    for (const worker of this.workers) worker.quit();
    return this.stopped;
  }

  async stop(options: StopOptions = {}): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.stop(options)));
    await this.stopped;
  }

  /** Gives back what runs: the process ends now. */
  force(): void {
    for (const worker of this.workers) worker.force();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  private async live(signals: boolean): Promise<void> {
    const leave = signals ? stopAtSignals(this) : () => undefined;
    const failing = new Set<FleetWorker>();
    try {
      await Promise.all(this.workers.map((worker) => this.keep(worker, failing)));
    } finally {
      leave();
      this.shift.stop();
    }
  }

  /** One that cannot work, and has said so, is tried again later; but where none can, that is the end. */
  private async keep(worker: FleetWorker, failing: Set<FleetWorker>): Promise<void> {
    for (;;)
      try {
        return await worker.work();
      } catch (error) {
        failing.add(worker);
        if (failing.size === this.workers.length) {
          for (const other of this.workers) other.leave();
          throw error;
        }
        if (!(await worker.rest(DEFAULTS.retrySeconds * 1_000))) return;
        failing.delete(worker);
      }
  }
}
