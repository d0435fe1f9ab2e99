/** Jobs that are to take the place of one that runs: checked at once, written with its end. */
import { QudoError } from "../core/errors.js";
import type { Order } from "../core/job.js";
import type { NewJob } from "../storage/driver.js";

/** Checks orders, and makes of them what the database takes. */
export type Prepare = (orders: readonly Order<unknown>[]) => Promise<readonly NewJob[]>;

export class Replacing {
  /** Those that have been checked, in the order in which they were asked for. */
  children: readonly NewJob[] = [];
  private checks: Promise<void> = Promise.resolve();

  constructor(private readonly prepare: Prepare) {}

  /** Resolves to their ids. @throws InvalidInputError: none of them is added. */
  add(orders: readonly Order<unknown>[]): Promise<readonly string[]> {
    const prepared = this.prepare(orders);
    const checked = Promise.all([this.checks, prepared]).then(([, jobs]) => {
      this.children = [...this.children, ...jobs];
      return jobs.map(({ id }) => id);
    });
    this.checks = checked.then(() => undefined);
    this.checks.catch(() => undefined);
    return checked;
  }

  /** Resolves when all have been checked. @throws what the first that was refused was refused with: the run is not done. */
  checked(): Promise<void> {
    return this.checks;
  }
}

/** Where a worker was given no way to check them. */
export async function refuseOrders(): Promise<never> {
  throw new QudoError("QUDO_UNSUPPORTED", "This worker cannot enqueue jobs.");
}
