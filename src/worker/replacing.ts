/** Jobs that are to take the place of one that runs: checked at once, written with its end. */
import { InvalidInputError, QudoError } from "../core/errors.js";
import type { Order } from "../core/job.js";
import type { NewJob } from "../storage/driver.js";

/** Checks orders, and makes of them what the database takes. */
export type Prepare = (orders: readonly Order<unknown>[]) => Promise<readonly NewJob[]>;

export class Replacing {
  /** Those that have been checked, in the order in which they were asked for. */
  children: readonly NewJob[] = [];
  private checks: Promise<void> = Promise.resolve();
  private pending = 0;
  private refusal: unknown = null;

  constructor(private readonly prepare: Prepare) {}

  /** Resolves to their ids. @throws InvalidInputError: none of them is added. */
  add(orders: readonly Order<unknown>[]): Promise<readonly string[]> {
    const prepared = this.prepare(orders);
    const checked = Promise.all([this.checks, prepared]).then(([, jobs]) => {
      this.children = [...this.children, ...jobs];
      return jobs.map(({ id }) => id);
    });
    this.pending++;
    this.checks = checked.then(
      () => void this.pending--,
      (error: unknown) => {
        this.pending--;
        this.refusal ??= error;
        throw error;
      },
    );
    this.checks.catch(() => undefined);
    return checked;
  }

  /** For who cannot wait. @throws what the first that was refused was refused with; InvalidInputError while one is being checked. */
  assertChecked(): void {
    if (this.refusal !== null) throw this.refusal;
    if (this.pending > 0)
      throw new InvalidInputError(
        "QUDO_INVALID_OPTION",
        "job.done() was called while job.replace() was being checked. Await it first.",
      );
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
