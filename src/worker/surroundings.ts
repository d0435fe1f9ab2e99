/** What a worker is given by whoever starts it. */
import { QudoError } from "../core/errors.js";
import type { Emit } from "../core/events.js";
import type { UserTransaction } from "../storage/driver.js";

export interface Surroundings {
  /** Hears of jobs that this worker made ready: `subscribe` tells only of other connections' writes. */
  onWork?(): void;
  /** What handlers find as `job.context`. */
  context?: unknown;
  /** Default: nobody listens. */
  emit?: Emit;
  /** What `job.completeIn` needs: a user's open transaction as the database's engine knows it. */
  transaction?(of: object): UserTransaction;
}

/** Where a worker was given no `transaction`. */
export function refuseTransaction(): never {
  throw new QudoError(
    "QUDO_UNSUPPORTED",
    "This database cannot complete a job in a transaction of yours.",
  );
}
