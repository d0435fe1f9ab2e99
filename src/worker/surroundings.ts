/** What a worker is given by whoever starts it. */
import { QudoError } from "../core/errors.js";
import type { Emit } from "../core/events.js";
import type { UserTransaction } from "../storage/driver.js";
import type { Places } from "./places.js";
import type { Prepare } from "./replacing.js";

export interface Surroundings {
  /** Hears of jobs that this worker made ready: `subscribe` tells only of other connections' writes. */
  onWork?(): void;
  /** What handlers find as `job.context`. */
  context?: unknown;
  /** Default: nobody listens. */
  emit?: Emit;
  /** What `job.completeIn` needs: a user's open transaction as the database's engine knows it. */
  transaction?(of: object): UserTransaction;
  /** What `job.replace` needs: orders as the database takes them, once they have been checked. */
  prepare?: Prepare;
  /** Where the database is one of several. */
  part?: PartSurroundings;
}

/** What the workers of several databases know of one another. */
export interface PartSurroundings {
  /** The database's. */
  readonly name: string;
  /** The places of a queue, which they share. */
  places(queue: string): Places;
  /** Whether jobs may be claimed from it now. */
  givesJobs(): boolean;
  /** It is out, and that has been told. */
  isOut(): boolean;
}

/** Where a worker was given no `transaction`. */
export function refuseTransaction(): never {
  throw new QudoError(
    "QUDO_UNSUPPORTED",
    "This database cannot complete a job in a transaction of yours.",
  );
}
