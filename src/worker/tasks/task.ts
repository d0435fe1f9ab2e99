/** A task as its owner has it. While he holds on to it, it is kept; when he has dropped it, it is given back. */
import type { Duration } from "../../core/duration.js";
import type { Order } from "../../core/job.js";
import type { LogLevel } from "../../core/states.js";
import type { Task, TaskState } from "./api.js";
import type { Hold } from "./hold.js";

/** Tells of tasks that nobody can reach any more. What it is given must not lead to the task. */
const dropped = new FinalizationRegistry<() => void>((found) => found());

export class HandedTask<Payload = unknown> implements Task<Payload> {
  readonly #hold: Hold;

  /** `onDropped` is called where it was dropped without an end. */
  constructor(
    hold: Hold,
    readonly payload: Payload,
    onDropped: () => void,
  ) {
    this.#hold = hold;
    dropped.register(this, onDropped);
  }

  get id(): string {
    return this.#hold.run.id;
  }
  get kind(): string {
    return this.#hold.run.kind;
  }
  get queue(): string {
    return this.#hold.run.queue;
  }
  get database(): string | null {
    return this.#hold.run.database;
  }
  get attempt(): number {
    return this.#hold.run.attempt;
  }
  get run(): number {
    return this.#hold.run.run;
  }
  get maxAttempts(): number {
    return this.#hold.run.maxAttempts;
  }
  get priority(): number {
    return this.#hold.run.priority;
  }
  get createdAt(): Date {
    return new Date(this.#hold.run.claimed.createdAt);
  }
  get state(): TaskState {
    return this.#hold.state;
  }
  get active(): boolean {
    return this.#hold.active;
  }
  get signal(): AbortSignal {
    return this.#hold.run.signal;
  }

  start(): Promise<boolean> {
    return this.#hold.start();
  }

  finish(result?: unknown): Promise<boolean> {
    return this.#hold.finish(result);
  }

  fail(error: unknown): Promise<boolean> {
    return this.#hold.fail(error);
  }

  release(): Promise<boolean> {
    return this.#hold.release();
  }

  snooze(delay: Duration): Promise<boolean> {
    return this.#hold.snooze(delay);
  }

  cancel(): Promise<boolean> {
    return this.#hold.cancel();
  }

  refresh(): Promise<TaskState> {
    return this.#hold.refresh();
  }

  progress(value: unknown): void {
    this.#hold.run.progress(value);
  }

  log(message: string, level?: LogLevel): void {
    this.#hold.run.log(message, level);
  }

  completeIn(transaction: object, result?: unknown): void | Promise<void> {
    return this.#hold.run.completeIn(transaction, result);
  }

  replace<const Inputs extends readonly unknown[]>(orders: {
    readonly [I in keyof Inputs]: Order<Inputs[I]>;
  }): Promise<readonly string[]> {
    return this.#hold.run.replace(orders);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.active) await this.release();
  }

  toString(): string {
    const { kind, id, state, attempt, maxAttempts } = this;
    const of = maxAttempts === -1 ? "" : ` of ${maxAttempts}`;
    return `${kind} ${id} ${state}, attempt ${attempt}${of}`;
  }
}
