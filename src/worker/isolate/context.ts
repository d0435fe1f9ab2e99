/** What a handler in a host is given beside its payload: the same as elsewhere, with what it says sent to its worker. */
import { encodeResult } from "../../core/codec.js";
import { JobError, QudoError } from "../../core/errors.js";
import type { Duration } from "../../core/duration.js";
import type { JobContext, Order } from "../../core/job.js";
import { snooze } from "../../core/snooze.js";
import type { RunState } from "../../core/states.js";
import { AbortedByHandler, DequeuedByHandler } from "../context.js";
import { checkLevel } from "../journal.js";
import { HostedOrders, type Answer } from "./orders.js";
import { packProgress, packThrown, unpackThrown, type FromHost, type Packed } from "./wire.js";
import type { PlainContext } from "./wire.js";

export class HostedRun implements JobContext {
  private readonly controller = new AbortController();
  private readonly begunAt = performance.now();
  private readonly orders: HostedOrders;
  private said: RunState | null = null;
  private over = false;

  constructor(
    private readonly job: PlainContext,
    readonly context: unknown,
    private readonly say: (message: FromHost) => void,
  ) {
    this.orders = new HostedOrders((message) => this.tell(message));
  }

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
  get plugins(): never {
    throw new QudoError(
      "QUDO_UNSUPPORTED",
      `"${this.kind}" runs in a thread or process of its own, where the plugins of its Qudo are not: define it without isolate, or use what it needs in its own module.`,
    );
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
    // oxlint-disable-next-line typescript/only-throw-error -- it is no error: whoever runs it takes it for what it is
    throw snooze(delay);
  }

  dequeue(): never {
    throw new DequeuedByHandler("QUDO_JOB_ABORTED", "The handler took its job out of the queue.");
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
      this.orders.assertChecked();
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

  get replace(): JobContext["replace"] {
    return (orders) => this.orders.ask(orders as readonly Order<unknown>[]);
  }

  /** Its handler has returned: what it asked for is known before that counts. */
  ordersChecked(): Promise<void> {
    return this.orders.allChecked();
  }

  answered(message: Answer): void {
    this.orders.answered(message);
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
