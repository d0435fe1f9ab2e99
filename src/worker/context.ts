/** One run of one job in this process: what its handler is given, and what became of it. */
import { encodeResult } from "../core/codec.js";
import type { Duration } from "../core/duration.js";
import { JobError, QudoError, RunLostError } from "../core/errors.js";
import type { Chain, HookSet } from "../core/hooks.js";
import type { AnyJobDefinition, AnyPlugins, JobContext, Order, WorkJob } from "../core/job.js";
import { maskText, secretsOf } from "../core/redact.js";
import type { Serializers } from "../core/serializer.js";
import { snooze } from "../core/snooze.js";
import type { RunState } from "../core/states.js";
import type { Time } from "../core/time.js";
import type { ClaimedJob, StoredPayload, UserTransaction } from "../storage/driver.js";
import { Journal } from "./journal.js";
import { refuseOrders, Replacing, type Prepare } from "./replacing.js";

/** Why a run's signal was aborted. */
export type AbortCause = "timeout" | "stop" | "lost";

/** What a handler says of its run: its result as it is stored, or what went wrong. */
export type Word = { readonly result: string | null } | { readonly error: unknown };

/** What a run needs of its worker. */
export interface RunOf {
  readonly time: Time;
  /** What handlers find as `job.context`. */
  readonly context: unknown;
  /** What they find as `job.plugins`. */
  plugins(): AnyPlugins;
  readonly hooks: HookSet<WorkJob>;
  readonly serializers: Serializers;
  /** Which one of several databases it works on. Default: there is one. */
  readonly database?: string;
  session(): string;
  /** Its handler has said how the run ends. False when that was decided before. */
  said(run: Run, word: Word): boolean;
  /** Takes no more jobs. */
  quit(): void;
  /** Default: it cannot enqueue. */
  readonly prepare?: Prepare;
  /** A user's open transaction as the database's engine knows it. */
  transaction(of: object): UserTransaction;
}

/** Thrown by job.abort(): ends the job for good. */
export class AbortedByHandler extends JobError {
  // oxlint-disable-next-line no-unused-private-class-members -- `#own in …` below asks for it
  readonly #own = true;

  /** By its private field: a handler may throw anything, also what throws when it is looked at. */
  static is(thrown: unknown): thrown is AbortedByHandler {
    return typeof thrown === "object" && thrown !== null && #own in thrown;
  }
}

/** Thrown by job.dequeue(): takes the job out of its queue. */
export class DequeuedByHandler extends JobError {
  // oxlint-disable-next-line no-unused-private-class-members -- `#own in …` below asks for it
  readonly #own = true;

  static is(thrown: unknown): thrown is DequeuedByHandler {
    return typeof thrown === "object" && thrown !== null && #own in thrown;
  }
}

export class Run implements WorkJob {
  /** Monotonic milliseconds. */
  startedMono: number;
  /** Shown as running in the database. */
  marked = false;
  /** Its outcome has been decided here; the handler may still be running. */
  decided = false;
  /** What was decided; null while it is open. */
  outcome: RunState | null = null;
  /** Its handler has recorded it as done in a transaction of its own, which may have been rolled back since. */
  completed = false;
  /** The result that it recorded there. */
  completedWith: string | null = null;
  /** What ended it, where that was no return. */
  thrown: unknown = undefined;
  /** What its handler is given, where there are hooks, which see it, too. */
  given: unknown = undefined;
  /** Null where there are no hooks, as for most. It goes on with those with which it began. */
  readonly chain: Chain<WorkJob> | null;
  cause: AbortCause | null = null;
  /** Hears of the cause, after the signal. */
  onInterrupt: ((cause: AbortCause) => void) | null = null;
  /** Null until the handler says something. */
  journal: Journal | null = null;
  /** Null until the handler asks for jobs in the place of this one. */
  replacing: Replacing | null = null;
  stored: StoredPayload | null;
  private controller: AbortController | null = null;
  private secrets: readonly string[] | null = null;

  constructor(
    readonly claimed: ClaimedJob,
    readonly lease: string,
    readonly definition: AnyJobDefinition,
    private readonly worker: RunOf,
  ) {
    this.startedMono = worker.time.now();
    this.stored = claimed.payload;
    this.chain = worker.hooks.for(definition, "works");
  }

  get time(): Time {
    return this.worker.time;
  }

  get id(): string {
    return this.claimed.job;
  }
  get kind(): string {
    return this.claimed.kind;
  }
  get queue(): string {
    return this.claimed.queue;
  }
  get database(): string | null {
    return this.worker.database ?? null;
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
  get context(): unknown {
    return this.worker.context;
  }
  get plugins(): AnyPlugins {
    return this.worker.plugins();
  }
  /** For hooks. */
  get payload(): unknown {
    return this.given;
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
    this.onInterrupt?.(cause);
  }

  abort(reason: string): never {
    throw new AbortedByHandler("QUDO_JOB_ABORTED", String(reason));
  }

  snooze(delay: Duration): never {
    // oxlint-disable-next-line typescript/only-throw-error -- it is no error: the executor takes it for what it is
    throw snooze(delay);
  }

  reenqueue(delay: Duration = 0): never {
    // oxlint-disable-next-line typescript/only-throw-error -- it is no error: the executor takes it for what it is
    throw snooze(delay);
  }

  dequeue(): never {
    throw new DequeuedByHandler("QUDO_JOB_ABORTED", "The handler took its job out of the queue.");
  }

  // These are getters, so that they can be taken out of the context, as abort and snooze can.

  get progress(): JobContext["progress"] {
    return (value) => this.write().say(value);
  }

  get log(): JobContext["log"] {
    return (message, level = "info") => {
      // What an ended run still says has no place any more.
      if (!this.decided) this.write().log(message, level);
    };
  }

  get completeIn(): JobContext["completeIn"] {
    return (transaction, result) => this.complete(transaction, result);
  }

  get done(): JobContext["done"] {
    return (result) => {
      const end = { result: encodeResult(result) };
      this.replacing?.assertChecked();
      return !this.completed && this.worker.said(this, end);
    };
  }

  get fail(): JobContext["fail"] {
    return (error) => !this.completed && this.worker.said(this, { error });
  }

  get quit(): JobContext["quit"] {
    return () => this.worker.quit();
  }

  get replace(): JobContext["replace"] {
    return (orders) => {
      const checked = this.replaceBy(orders as readonly Order<unknown>[]);
      // Whoever does not wait for it learns of it at the end of the handler: a refusal fails the run.
      checked.catch(() => undefined);
      return checked;
    };
  }

  private async replaceBy(orders: readonly Order<unknown>[]): Promise<readonly string[]> {
    if (this.completed) throw replacedInTransaction();
    this.replacing ??= new Replacing(this.worker.prepare ?? refuseOrders);
    return this.replacing.add(orders);
  }

  private write(): Journal {
    this.journal ??= new Journal((text) => this.mask(text), this.time);
    return this.journal;
  }

  private complete(transaction: object, result: unknown): void | Promise<void> {
    const { claimed, lease, worker } = this;
    if (this.replacing !== null) throw replacedInTransaction();
    const end = { elapsedMs: this.elapsedMs, result: encodeResult(result) };
    const run = { job: claimed.job, run: claimed.run, lease, session: worker.session() };
    const done = (): void => {
      this.completed = true;
      this.completedWith = end.result;
    };
    const refused = (error: unknown): never => {
      if (error instanceof RunLostError) this.interrupt("lost");
      throw error;
    };
    try {
      const answer = worker.transaction(transaction).complete(run, end);
      return answer === undefined ? done() : answer.then(done, refused);
    } catch (error) {
      return refused(error);
    }
  }

  /** @throws QudoError QUDO_PAYLOAD_UNREADABLE. */
  read(stored: StoredPayload): unknown {
    return this.worker.serializers.unpack(stored, this.claimed);
  }

  /** The payload as it was enqueued, read anew: a handler may have changed what it was given. Undefined where it cannot be read. */
  get enqueued(): unknown {
    try {
      // Hooks that wait cannot be asked again.
      return this.chain !== null && this.chain.deserialize.length > 0
        ? this.given
        : this.read(this.stored!);
    } catch {
      return undefined;
    }
  }

  get payloadOrigin(): string | Uint8Array | null {
    return this.stored?.text ?? this.stored?.bin ?? null;
  }

  /** From now on hides the secrets of this payload. */
  hide(payload: unknown): void {
    this.secrets = secretsOf(payload, this.claimed.redact);
  }

  /** Hides the payload's secrets in a text. Looked for only when there is a text: most runs leave none. */
  mask(text: string): string {
    if (this.secrets === null) this.hide(this.enqueued);
    return maskText(text, this.secrets!);
  }

  get elapsedMs(): number {
    return this.time.now() - this.startedMono;
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

/** In the user's transaction the key could not be handed over, and what is added there is added with `qudo.in`. */
function replacedInTransaction(): QudoError {
  return new QudoError(
    "QUDO_REPLACE_IN_TRANSACTION",
    "A run is ended by job.replace or by job.completeIn, not by both. In a transaction of yours enqueue with qudo.in(transaction), and complete the job there.",
  );
}
