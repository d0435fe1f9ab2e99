/** What a worker is given by whoever starts it. */
import { QudoError } from "../core/errors.js";
import type { Emit } from "../core/events.js";
import { HookSet } from "../core/hooks.js";
import type { AnyPlugins, WorkJob } from "../core/job.js";
import { Serializers } from "../core/serializer.js";
import type { Time } from "../core/time.js";
import type { ChildOutcome, NewJob, UserTransaction } from "../storage/driver.js";
import { REAL } from "../storage/time.js";
import type { RunOf } from "./context.js";
import type { Hand } from "./hand.js";
import type { HookFailed } from "./hooked.js";
import type { Places } from "./places.js";
import type { Prepare } from "./replacing.js";
import type { Shift } from "./shift.js";

export interface Surroundings {
  /** Hears of jobs that this worker made ready: `subscribe` tells only of other connections' writes. */
  onWork?(): void;
  /** Default: that of this process. */
  time?: Time;
  /** What handlers find as `job.context`. */
  context?: unknown;
  /** What they find as `job.plugins`. Default: none. */
  plugins?(): AnyPlugins;
  /** Default: none. */
  hooks?: HookSet<WorkJob>;
  /** Hears of hooks whose failure changes nothing. Default: the worker's logger. */
  hookFailed?: HookFailed;
  /** Default: JSON alone. */
  serializers?: Serializers;
  /** Default: nobody listens. */
  emit?: Emit;
  /** What `job.completeIn` needs: a user's open transaction as the database's engine knows it. */
  transaction?(of: object): UserTransaction;
  /** Where it works together with others, until all of them have done enough. Default: one of its own. */
  shift?: Shift;
  /** What `job.replace` needs: orders as the database takes them, once they have been checked. */
  prepare?: Prepare;
  /** Hears what became of those: the same objects, once the database has them. */
  replaced?(job: NewJob, outcome: ChildOutcome): void;
  /** Where the database is one of several. */
  part?: PartSurroundings;
  /** Jobs are handed out, instead of run by their kinds' handlers. */
  hand?: Hand;
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

const NO_PLUGINS: AnyPlugins = Object.freeze({});

/** What runs are given of it. */
export function runOf({ part, ...given }: Surroundings): Omit<RunOf, "session" | "said" | "quit"> {
  return {
    time: given.time ?? REAL,
    context: given.context,
    plugins: given.plugins ?? (() => NO_PLUGINS),
    hooks: given.hooks ?? new HookSet(),
    serializers: given.serializers ?? new Serializers(),
    ...(given.prepare && { prepare: given.prepare }),
    ...(part && { database: part.name }),
    transaction: given.transaction ?? refuseTransaction,
  };
}

/** Where a worker was given no `transaction`. */
function refuseTransaction(): never {
  throw new QudoError(
    "QUDO_UNSUPPORTED",
    "This database cannot complete a job in a transaction of yours.",
  );
}
