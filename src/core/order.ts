/** What can be said of one job when it is enqueued. */
import type { Duration } from "./duration.js";
import type { Keep } from "./keep.js";

/** What can be said of one job when it is enqueued; the rest comes from its kind. */
export interface EnqueueOptions {
  /** Enqueueing the same id again changes nothing, whatever became of the job. {@link idFromName} makes one from a name. Default: new. */
  id?: string;
  /** Runs at the earliest so long from now. Default 0. */
  delay?: Duration;
  /** Runs at the earliest at this moment (the database's clock); instead of `delay`. */
  runAt?: Date;
  /** Not started after this moment: it is abandoned with the reason "expired". */
  expiresAt?: Date;
  /** Higher runs first. Default: the kind's. */
  priority?: number;
  /** Default: the kind's. */
  queue?: string;
  /** −1 for ever. Default: the kind's. */
  maxAttempts?: number;
  /** At most one unfinished job of this kind has this key. */
  uniqueKey?: string;
  /** How long it is kept after its end, and shown. Default: the kind's; what is left out, too. */
  keep?: Duration | Keep;
}
