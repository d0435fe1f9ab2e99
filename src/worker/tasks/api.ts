/** Consuming by hand, as its users see it: a queue that is fetched from, and the tasks that come of it. */
import type { Duration } from "../../core/duration.js";
import type { AnyJobDefinition, JobDefinition, Order } from "../../core/job.js";
import type { Keep } from "../../core/keep.js";
import type { LogLevel } from "../../core/states.js";
import type { Logger } from "../options.js";
import type { StopOptions } from "../running.js";

/**
 * What became of a task, as far as it is known here. "reserved" and "running" are in this process's hands; the others are ends:
 * "failed" is tried again, "released" and "snoozed" come again, "lost" was decided by others (cancelled elsewhere, or the lease ran out).
 */
export type TaskState =
  | "reserved"
  | "running"
  | "done"
  | "failed"
  | "abandoned"
  | "cancelled"
  | "released"
  | "snoozed"
  | "lost";

/**
 * One run of one job, in the hands of whoever fetched it. It is kept for as long as this process sends heartbeats. Whatever ends it
 * resolves after the commit: true when that end counts, false when the task was decided by others, or ended here, before.
 * `await using task` releases it at the end of the block where nothing else has ended it. One that is dropped and forgotten
 * is released when the garbage collector finds it, or when the lease of a process that has died runs out.
 */
export interface Task<Payload = unknown> extends AsyncDisposable {
  readonly id: string;
  readonly kind: string;
  readonly queue: string;
  /** The name of the database that it is in, where there are several; null where there is one. */
  readonly database: string | null;
  /** 1 at the first try; failures count, crashes and give-backs do not. */
  readonly attempt: number;
  /** The fence: grows with every event of the job. */
  readonly run: number;
  readonly maxAttempts: number;
  readonly priority: number;
  readonly createdAt: Date;
  readonly payload: Payload;
  /** As it is known here: {@link Task.refresh} asks the database. */
  readonly state: TaskState;
  /** It is reserved or running, here. */
  readonly active: boolean;
  /** Aborted when it timed out (counted from `start`), was cancelled, was lost, or its queue is closed. */
  readonly signal: AbortSignal;
  /**
   * Work begins: it is shown as running. False when it was cancelled or lost meanwhile: leave it alone then.
   * @throws DatabaseError when the database cannot say; it may be asked again.
   */
  start(): Promise<boolean>;
  /**
   * It is done, with this result.
   * @throws InvalidInputError QUDO_INVALID_RESULT for a result that cannot be stored; the task stays active.
   */
  finish(result?: unknown): Promise<boolean>;
  /** It has failed: it is tried again after its kind's backoff, or abandoned when this was the last attempt. */
  fail(error: unknown): Promise<boolean>;
  /** Gives it back: it costs no attempt, and stands where it stood. */
  release(): Promise<boolean>;
  /** Gives it back for later: it costs no attempt. */
  snooze(delay: Duration): Promise<boolean>;
  /** It never runs again. */
  cancel(): Promise<boolean>;
  /**
   * Asks the database whether it is still in these hands, and sends what was said with `progress` and `log`.
   * @throws DatabaseError when the database cannot say; it may be asked again.
   */
  refresh(): Promise<TaskState>;
  /** How far it is: any small JSON, at most 4 KiB. Written at most once a second while it runs; seen in `qudo show`. */
  progress(value: unknown): void;
  /** A line for the job's own log: at most 1,000 a run, 8 KiB each. Default level "info". */
  log(message: string, level?: LogLevel): void;
  /**
   * Records it as done inside your own open transaction; then call `finish`, which tells whether that was committed.
   * @throws RunLostError when it is not ours any more: let it roll the transaction back.
   */
  completeIn(transaction: object, result?: unknown): void | Promise<void>;
  /**
   * Jobs that take its place: added by the transaction that records it as done, in the same database, when `finish` is called. As
   * `job.replace` of handlers. Resolves to their ids, once they have been checked.
   * @throws InvalidInputError for what cannot be enqueued; QudoError QUDO_REPLACE_IN_TRANSACTION together with `completeIn`.
   */
  replace<const Inputs extends readonly unknown[]>(orders: {
    readonly [I in keyof Inputs]: Order<Inputs[I]>;
  }): Promise<readonly string[]>;
  /** One line for people: kind, id, state, attempt. */
  toString(): string;
}

/** What {@link TaskQueue.fetch} takes. */
export interface FetchOptions {
  /** Ends the wait, which rejects with the signal's reason. What was reserved meanwhile is released. */
  signal?: AbortSignal;
  /**
   * How long to wait for the first task. 0: takes what there is, and does not wait. A database that is being asked when the time is
   * up is heard, for 5 s at most. Default: as long as it takes.
   */
  timeout?: Duration;
}

/** What {@link TaskQueue.each} takes. */
export interface EachOptions extends FetchOptions {
  /** Tasks reserved at once: those that were not asked for yet are released when the loop ends. 1 to 1,000. Default 1. */
  batch?: number;
}

/** What `qudo.queue()` takes beside a name. */
export interface TaskQueueOptions<
  Kinds extends readonly (AnyJobDefinition | string)[] = readonly (AnyJobDefinition | string)[],
> {
  /**
   * Which kinds are fetched: names, or definitions, whose schema, backoff and types then hold. Default: whatever is in the queue. Messages
   * are added as the first one of them; without any as "message".
   */
  kinds?: Kinds;
  /** How long after the last heartbeat others may take its tasks. At least 1 s. Default 30 s. */
  lease?: Duration;
  /** SQLite files: as for workers. Default 60 s. */
  watchdog?: Duration;
  /** How long tasks that were started may go on after a signal, or after `close()` where that names no time. Default 30 s. */
  grace?: Duration;
  /**
   * SIGTERM and SIGINT close it: fetches end, tasks that were started may be finished within the grace, the others are given back. Where
   * the program has no listener of its own the process then ends by the signal. Default true.
   */
  signals?: boolean;
  /** Shown in `qudo status`. Default: host:pid. */
  name?: string;
  /** Forgets, now and then, what has been kept for long enough. Default true. */
  prune?: boolean;
  /** Default: warnings and errors go to the console. */
  logger?: Logger;
}

/** What is said of one message when it is added, each as at `enqueue`; the rest comes from its kind. */
export interface MessageOptions {
  /** Adding the same id again changes nothing. Default: new. */
  id?: string;
  /** Fetched at the earliest so long from now. Default 0. */
  delay?: Duration;
  /** Fetched at the earliest at this moment (the database's clock); instead of `delay`. */
  runAt?: Date;
  /** Not fetched after this moment: its job is abandoned with the reason "expired". */
  expiresAt?: Date;
  /** Higher comes first. */
  priority?: number;
  /** −1 for ever. */
  maxAttempts?: number;
  /** At most one unfinished job of this kind has this key. */
  uniqueKey?: string;
  /** How long its job is kept after its end, and shown. */
  keep?: Duration | Keep;
}

/** A message that was added: its job's id, and what became of it. */
export interface Added {
  readonly id: string;
  /** "duplicate": this id was there already; "unique": another unfinished job has the key. */
  readonly status: "inserted" | "duplicate" | "unique";
}

/** What is fetched of these kinds. */
export type PayloadOf<Kinds extends readonly (AnyJobDefinition | string)[]> =
  Kinds[number] extends infer Kind
    ? // oxlint-disable-next-line typescript/no-explicit-any -- only the payload matters here
      Kind extends JobDefinition<any, infer Payload, any, any>
      ? Payload
      : unknown
    : never;

/** What is added as the first one of these kinds. */
export type InputOf<Kinds extends readonly (AnyJobDefinition | string)[]> =
  // oxlint-disable-next-line typescript/no-explicit-any -- only the input matters here
  Kinds[0] extends JobDefinition<infer Input, any, any, any> ? Input : unknown;

/**
 * One queue, consumed by hand: `for await (const task of qudo.queue("http"))`. The first fetch opens a session like a worker's: it
 * beats, does its share of the upkeep, and ends with `close()`, or with its Qudo.
 */
export interface TaskQueue<Payload = unknown, Input = Payload>
  extends AsyncIterable<Task<Payload>>, AsyncDisposable {
  readonly name: string;
  /**
   * Reserves up to `max` tasks, waiting until there is at least one; an empty list when the time is up. 1 to 1,000. Default 1.
   * @throws QudoError QUDO_CLOSED when the queue is closed meanwhile; the signal's reason.
   */
  fetch(max?: number, options?: FetchOptions): Promise<Task<Payload>[]>;
  /** The same. */
  next(max?: number, options?: FetchOptions): Promise<Task<Payload>[]>;
  /**
   * Task after task, fetched when it is asked for and not before. Ends when the queue is closed, or when nothing came within
   * `timeout`; rejects with the signal's reason.
   */
  each(options?: EachOptions): AsyncGenerator<Task<Payload>, void, undefined>;
  /** Adds a message; resolves after the commit. */
  addMsg(payload: Input, options?: MessageOptions): Promise<Added>;
  /** The next message, started, and what it says; null when the time is up. It stays until `removeMsg`. */
  getMsg(options?: FetchOptions): Promise<[message: Task<Payload>, payload: Payload] | null>;
  /** The message was worked on: it is done. By what `getMsg` gave, or by its id. False when it was not in these hands any more. */
  removeMsg(message: Task<Payload> | string): Promise<boolean>;
  /** Ends everything in this queue that was there before the call: what waits or is reserved is cancelled, what runs is abandoned. */
  purge(): Promise<number>;
  /** Ends the fetches, gives back what was not started, lets the rest be finished within the grace, ends the session. */
  close(options?: Pick<StopOptions, "grace">): Promise<void>;
}
