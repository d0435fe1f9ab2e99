/** What a handler in a host is given beside its payload: the same as elsewhere, with what it says sent to its worker. */
import { encodeResult } from "../../core/codec.js";
import { JobError, QudoError } from "../../core/errors.js";
import type { Duration } from "../../core/duration.js";
import type { JobContext } from "../../core/job.js";
import { snooze } from "../../core/snooze.js";
import type { RunState } from "../../core/states.js";
import { AbortedByHandler, DequeuedByHandler } from "../context.js";
import { checkLevel } from "../journal.js";
import { packProgress, packThrown, unpackThrown, type FromHost, type Packed } from "./wire.js";
import type { PlainContext } from "./wire.js";

export class HostedRun implements JobContext {
  private readonly controller = new AbortController();
  private readonly begunAt = performance.now();
  private said: RunState | null = null;
  private over = false;

  constructor(
    private readonly job: PlainContext,
    readonly context: unknown,
    private readonly say: (message: FromHost) => void,
  ) {}

  get id(): string {
    return this.job.id;
  }
  get kind(): string {
    return this.job.kind;
  }
  get queue(): string {
    return this.job.queue;
  }
  get database(): string | null {
    return this.job.database;
  }
  get attempt(): number {
    return this.job.attempt;
  }
  get run(): number {
    return this.job.run;
  }
  get maxAttempts(): number {
    return this.job.maxAttempts;
  }
  get priority(): number {
    return this.job.priority;
  }
  get payloadOrigin(): string | Uint8Array | null {
    return this.job.payloadOrigin;
  }
  get elapsedMs(): number {
    return this.job.elapsedMs + performance.now() - this.begunAt;
  }
  get outcome(): RunState | null {
    return this.said;
  }
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  abort(reason: string): never {
    throw new AbortedByHandler("QUDO_JOB_ABORTED", String(reason));
  }

  snooze(delay: Duration): never {
    // oxlint-disable-next-line typescript/only-throw-error -- it is no error: whoever runs it takes it for what it is
    throw snooze(delay);
  }

  reenqueue(delay: Duration = 0): never {
    return this.snooze(delay);
  }

  dequeue(): never {
    throw new DequeuedByHandler("QUDO_JOB_ABORTED", "The handler took its job out of the queue.");
  }

  get replace(): JobContext["replace"] {
    return async () => {
      throw new QudoError(
        "QUDO_UNSUPPORTED",
        `"${this.kind}" runs in a thread or process of its own, from where a job cannot be replaced: define it without isolate.`,
      );
    };
  }

  // Getters, so that they can be taken out of the context, as abort and snooze can.

  get progress(): JobContext["progress"] {
    return (value) => this.tell(packProgress(value));
  }

  get log(): JobContext["log"] {
    return (message, level = "info") =>
      this.tell({ log: packThrown(message), level: checkLevel(level) });
  }

  get completeIn(): JobContext["completeIn"] {
    return () => {
      throw new QudoError(
        "QUDO_UNSUPPORTED",
        `"${this.kind}" runs in a thread or process of its own, from where a job cannot be completed in a transaction: define it without isolate.`,
      );
    };
  }

  get done(): JobContext["done"] {
    return (result) => {
      const json = encodeResult(result);
      return this.decide("done", { done: json });
    };
  }

  get fail(): JobContext["fail"] {
    return (error) => {
      const { attempt, maxAttempts } = this.job;
      const isLast = maxAttempts !== -1 && attempt >= maxAttempts;
      return this.decide(isLast ? "abandoned" : "failed", { fail: packThrown(error) });
    };
  }

  get quit(): JobContext["quit"] {
    return () => this.tell("quit");
  }

  /** The first word counts. */
  private decide(state: RunState, message: FromHost): boolean {
    if (this.said !== null || this.over) return false;
    this.said = state;
    this.tell(message);
    return true;
  }

  /** What an ended run still says has no place any more: it would be taken for the next one's. */
  private tell(message: FromHost): void {
    if (!this.over) this.say(message);
  }

  /** Its worker wants it to stop. */
  interrupt(reason: Packed): void {
    const thrown = unpackThrown(reason) as Error & { code?: JobError["code"] };
    const code = thrown.code ?? "QUDO_JOB_STOPPED";
    this.controller.abort(new JobError(code, thrown.message));
  }

  /** Its handler has returned. */
  end(): void {
    this.over = true;
  }
}
