/**
 * Tells what happens in a worker to whoever listens. Nothing is made, and nothing is remembered, while nobody does; what
 * listeners throw stops nothing.
 */
import type { Emit, EventName, QudoEvents, RunEnd, RunRef } from "../core/events.js";
import type { RunState } from "../core/states.js";
import type { ClaimedJob, InsertOutcome, NewJob, Settlement } from "../storage/driver.js";
import type { Logger } from "./options.js";

export class Herald {
  /** Whose settlement it is, from the end of its handler until the database has answered. */
  private readonly jobs = new WeakMap<Settlement, ClaimedJob>();

  constructor(
    private readonly emit: Emit,
    private readonly logger: Logger,
    /** Which one of several databases this is about. */
    private readonly database?: string,
  ) {}

  tell<Name extends EventName>(name: Name, make: () => QudoEvents[Name]): void {
    try {
      if (this.emit.listening(name)) this.emit(name, this.placed(make));
    } catch (error) {
      this.logger.error(`qudo: a listener of "${name}" threw: ${String(error)}`);
    }
  }

  trouble(what: string, error: Error): void {
    this.tell("trouble", () => ({ what, error }));
  }

  started(job: ClaimedJob): void {
    if (this.emit.listening("started")) this.tell("started", () => runRef(job));
  }

  /** A settlement of this job goes to the database. */
  settling(settlement: Settlement, job: ClaimedJob): void {
    const { emit } = this;
    const { state } = settlement;
    if (
      (isTold(state) && emit.listening(state)) ||
      emit.listening("lost") ||
      emit.listening("done")
    )
      this.jobs.set(settlement, job);
  }

  /** The database has answered: this became of it. */
  ended(settlement: Settlement, state: RunState | "lost"): void {
    const job = this.jobs.get(settlement);
    if (job === undefined) return;
    const end: RunEnd = { ...runRef(job), elapsedMs: settlement.elapsedMs };
    const { error, reason, next } = settlement;
    const delayMs = next === null || next === "same-place" ? 0 : next.delayMs;
    if (state === "failed") this.tell(state, () => ({ ...end, error: error ?? "", delayMs }));
    else if (state === "abandoned") this.tell(state, () => ({ ...end, error, reason: reason! }));
    else if (state === "snoozed") this.tell(state, () => ({ ...end, delayMs }));
    else if (state === "done" || state === "released" || state === "lost")
      this.tell(state, () => end);
  }

  /** One of the jobs that took the place of another. */
  enqueued({ id, kind, queue }: NewJob, status: InsertOutcome["status"]): void {
    this.tell("enqueued", () => ({ id, kind, queue, status }));
  }

  /** Says in which database it happened, where there are several. */
  private placed<Event>(make: () => Event): () => Event {
    const { database } = this;
    return database === undefined ? make : () => ({ ...make(), database });
  }
}

/** A run that its own holder took out of its queue is told of by nothing. */
function isTold(state: RunState): state is RunState & EventName {
  return TOLD.has(state);
}

const TOLD: ReadonlySet<RunState> = new Set([
  "done",
  "failed",
  "abandoned",
  "snoozed",
  "released",
] satisfies (RunState & EventName)[]);

function runRef({ job: id, kind, queue, run, fails }: ClaimedJob): RunRef {
  return { id, kind, queue, run, attempt: fails + 1 };
}
