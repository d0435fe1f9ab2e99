/** One run of one job in this process: what its handler is given, and what became of it. */
import { JobError } from "../core/errors.js";
import type { AnyJobDefinition, JobContext } from "../core/job.js";
import type { ClaimedJob } from "../storage/driver.js";

/** Why a run's signal was aborted. */
export type AbortCause = "timeout" | "stop" | "lost";

/** Thrown by job.abort(): ends the job for good. */
export class AbortedByHandler extends JobError {
  // oxlint-disable-next-line no-unused-private-class-members -- `#own in …` below asks for it
  readonly #own = true;

  /** By its private field: a handler may throw anything, also what throws when it is looked at. */
  static is(thrown: unknown): thrown is AbortedByHandler {
    return typeof thrown === "object" && thrown !== null && #own in thrown;
  }
}

export class Run implements JobContext {
  /** Monotonic milliseconds. */
  readonly startedMono = performance.now();
  /** Shown as running in the database. */
  marked = false;
  /** Its outcome has been decided here; the handler may still be running. */
  decided = false;
  cause: AbortCause | null = null;
  private controller: AbortController | null = null;

  constructor(
    readonly claimed: ClaimedJob,
    readonly lease: string,
    readonly definition: AnyJobDefinition,
  ) {}

  get id(): string {
    return this.claimed.job;
  }
  get kind(): string {
    return this.claimed.kind;
  }
  get queue(): string {
    return this.claimed.queue;
  }
  get attempt(): number {
    return this.claimed.fails + 1;
  }
  get run(): number {
    return this.claimed.run;
  }
  get maxAttempts(): number {
    return this.claimed.maxAttempts;
  }
  get priority(): number {
    return this.claimed.priority;
  }

  /** Made when it is first asked for: most handlers never look. */
  get signal(): AbortSignal {
    this.controller ??= this.newController();
    return this.controller.signal;
  }

  private newController(): AbortController {
    const controller = new AbortController();
    if (this.cause !== null) controller.abort(reasonFor(this.cause, this.claimed));
    return controller;
  }

  /** The first cause stays. */
  interrupt(cause: AbortCause): void {
    if (this.cause !== null) return;
    this.cause = cause;
    this.controller?.abort(reasonFor(cause, this.claimed));
  }

  abort(reason: string): never {
    throw new AbortedByHandler("QUDO_JOB_ABORTED", String(reason));
  }

  get elapsedMs(): number {
    return performance.now() - this.startedMono;
  }
}

export function reasonFor(cause: AbortCause, job: ClaimedJob): JobError {
  if (cause === "timeout")
    return new JobError(
      "QUDO_JOB_TIMEOUT",
      `The job ran longer than its time-out of ${job.timeoutMs} ms. Make it shorter, split it, or raise its timeout.`,
    );
  return new JobError(
    "QUDO_JOB_STOPPED",
    cause === "stop"
      ? "The worker stops; the job is given back and will run again."
      : "The job was cancelled, or this worker lost it (it missed its heartbeats): whatever it does now counts no more.",
  );
}
