/** What stands around a queue. Tests and simulations take it into their own hands; nobody else needs it. */
import type { AnyJobDefinition } from "../core/job.js";
import type { Time } from "../core/time.js";
import type { Driver } from "./driver.js";

export interface World {
  /**
   * Clocks, chance and timers of this queue's workers and of whoever waits for results; the database's clock is an option of its
   * own. Default: those of the process.
   */
  readonly time?: Time;
  /**
   * Stands between the queue and each database that it opens: called with the driver, answers with the one to use. `database`: its
   * name, of several. Default: nothing stands between.
   */
  readonly wrap?: (driver: Driver, database?: string) => Driver;
  /** Stands between workers and each kind of job: called with its definition, answers with the one to run. Default: nothing does. */
  readonly wrapJob?: (definition: AnyJobDefinition) => AnyJobDefinition;
}
