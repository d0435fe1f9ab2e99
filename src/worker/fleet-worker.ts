/** The worker of one of several databases: begun anew when it ends by itself, in a hurry as soon as its database is back. */
import type { Registry } from "../core/job.js";
import type { DatabaseStatus, Part } from "../storage/driver.js";
import { REAL } from "../storage/time.js";
import type { Logger, WorkerSettings } from "./options.js";
import type { Places } from "./places.js";
import type { StopOptions } from "./running.js";
import { Bell } from "./signal.js";
import { NOTHING_DONE, sumOf, type WorkerStats } from "./stats.js";
import type { Surroundings } from "./surroundings.js";
import { Worker } from "./worker.js";

/** What all workers of a fleet are given. */
export interface FleetSurroundings extends Surroundings {
  /** The places of a queue, which they share. */
  places(queue: string): Places;
}

export class FleetWorker {
  private worker: Worker | null = null;
  /** What workers have done that ended by themselves. */
  private before: WorkerStats = NOTHING_DONE;
  private status: DatabaseStatus;
  private readonly settings: WorkerSettings;
  private readonly rested: Bell;
  private stopping = false;

  constructor(
    private readonly part: Part,
    private readonly registry: Registry,
    settings: WorkerSettings,
    private readonly surroundings: FleetSurroundings,
  ) {
    this.status = part.status();
    this.rested = new Bell(surroundings.time ?? REAL);
    // Its own logger also makes its troubles other ones than those of the other databases.
    this.settings = { ...settings, signals: false, logger: named(part.name, settings.logger) };
  }

  get name(): string {
    return this.part.name;
  }

  get stats(): WorkerStats {
    return this.worker === null ? this.before : sumOf([this.before, this.worker.stats]);
  }

  wake(): void {
    this.worker?.wake();
  }

  /** Takes no more jobs; what runs comes to its end. */
  quit(): void {
    this.leave();
    void this.worker?.quit();
  }

  async stop(options: StopOptions): Promise<void> {
    this.leave();
    await this.worker?.stop(options);
  }

  /** Is not begun anew. */
  leave(): void {
    this.stopping = true;
    this.rested.ring();
  }

  force(): void {
    this.leave();
    this.worker?.force();
  }

  /** Works until it is stopped; rejects when it cannot work. */
  async work(): Promise<void> {
    if (this.stopping) return;
    const worker = new Worker(
      this.part.driver,
      this.registry,
      this.settings,
      this.surroundingsOf(),
    );
    const unwatch = this.part.watch((status) => this.changed(status));
    this.changed(this.part.status());
    this.worker = worker;
    try {
      await worker.stopped;
    } finally {
      unwatch();
      this.worker = null;
      this.before = sumOf([this.before, worker.stats]);
    }
  }

  /** After it could not work. False when it is not to be tried again. */
  async rest(ms: number): Promise<boolean> {
    if (!this.stopping) await this.rested.wait(ms);
    return !this.stopping;
  }

  private surroundingsOf(): Surroundings {
    const { places, ...surroundings } = this.surroundings;
    return {
      ...surroundings,
      part: {
        name: this.name,
        places,
        givesJobs: () => givesJobs(this.status),
        isOut: () => this.status.state !== "healthy",
      },
    };
  }

  private changed(status: DatabaseStatus): void {
    const before = this.status;
    this.status = status;
    if (givesJobs(status) && !givesJobs(before)) this.worker?.hurry();
    else if (status.state === "healthy" && before.state !== "healthy") this.worker?.hurry();
  }
}

/** Whether jobs may be claimed from a database that stands like this. */
export const givesJobs = ({ state, mode }: DatabaseStatus): boolean =>
  state === "healthy" && mode !== "off";

/** Says of which database it speaks. */
function named(database: string, logger: Logger): Logger {
  const says =
    (level: keyof Logger) =>
    (message: string): void =>
      logger[level](message.replace(/^qudo: /, `qudo: ${database}: `));
  return { debug: says("debug"), info: says("info"), warn: says("warn"), error: says("error") };
}
