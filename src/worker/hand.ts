/**
 * Handing jobs out: what a worker does with them whose jobs are worked on by whoever fetches them (`tasks/`). All else it does as ever:
 * it claims, beats, settles and keeps house.
 */
import type { RunState } from "../core/states.js";
import type { Settlement } from "../storage/driver.js";
import type { Run } from "./context.js";
import type { ExecutorOf } from "./executor.js";
import type { Places } from "./places.js";

/** What is done to a run that was handed out. */
export interface HandCrew extends ExecutorOf {
  /** Shows it as running. False where it is not ours any more. @throws DatabaseError when the database cannot say. */
  mark(run: Run): Promise<boolean>;
  /** Tells the database what it says, and asks whether it is still ours: if not, it is interrupted. @throws DatabaseError. */
  ask(run: Run): Promise<void>;
}

/** Who hands out. One for all databases of a worker. */
export interface Hand {
  /** Null: whatever there is. */
  readonly kinds: readonly string[] | null;
  /** As many as tasks are wanted and out. */
  readonly places: Places;
  /** Resolves when the run is over; `settle` is called exactly once before that. */
  take(run: Run, crew: HandCrew): Promise<void>;
  /** The database has answered, or the settlement never reached it. Not called as a method. */
  ended(settlement: Settlement, state: RunState | "lost"): void;
}
