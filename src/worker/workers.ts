/** The workers of one Qudo, those that run handlers and those that hand jobs out: started, woken and stopped. */
import type { Registry } from "../core/job.js";
import type { Driver } from "../storage/driver.js";
import { Fleet } from "./fleet.js";
import type { Hand } from "./hand.js";
import type { WorkerSettings } from "./options.js";
import type { RunningWorker } from "./running.js";
import type { Surroundings } from "./surroundings.js";
import { Worker } from "./worker.js";

type Served = Pick<RunningWorker, "wake" | "stop">;

/** Who hands out the jobs of a worker, and is woken and stopped in its place. */
export interface HandedBy {
  readonly hand: Hand;
  readonly by: Served;
}

export class Workers {
  private readonly all = new Set<Served>();
  private waking = false;

  /** `open` rejects when its Qudo is closed. `surroundings`: what a worker is given; of several databases by the name of each. */
  constructor(
    private readonly open: () => Promise<Driver>,
    private readonly surroundings: (database?: string) => Surroundings,
  ) {}

  async start(
    registry: Registry,
    settings: WorkerSettings,
    handed?: HandedBy,
  ): Promise<Worker | Fleet> {
    const driver = await this.open();
    const given = (database?: string): Surroundings => ({
      ...this.surroundings(database),
      ...(handed && { hand: handed.hand }),
    });
    const worker =
      driver.parts === undefined
        ? new Worker(driver, registry, settings, given())
        : new Fleet(driver.parts, registry, settings, given);
    const served = handed?.by ?? worker;
    this.all.add(served);
    const forget = (): boolean => this.all.delete(served);
    void worker.stopped.then(forget, forget);
    return worker;
  }

  /** There may be new jobs; `database`: in this one of several. */
  wake(database?: string): void {
    for (const one of this.all) one.wake(database);
  }

  /** After the caller's turn: by then a synchronous transaction has committed. */
  wakeSoon(): void {
    if (this.waking || this.all.size === 0) return;
    this.waking = true;
    setImmediate(() => {
      this.waking = false;
      this.wake();
    });
  }

  /** Resolves when all have ended. One that failed has said so. */
  async stop(): Promise<void> {
    await Promise.allSettled(Array.from(this.all, (one) => one.stop()));
  }
}
