/**
 * One queue, consumed by hand. Behind it stands a worker like any other, which hands its jobs out instead of running them, in each of
 * several databases: idle → open (at the first fetch) → closed.
 */
import { InvalidInputError, QudoError } from "../../core/errors.js";
import type { AnyJobDefinition, Registry } from "../../core/job.js";
import type { LimitSpec } from "../../core/limits/spec.js";
import type { KeepPolicyTimes } from "../../core/keep.js";
import { checkName, show } from "../../core/options.js";
import type { Time } from "../../core/time.js";
import type { Hand } from "../hand.js";
import type { WorkerSettings } from "../options.js";
import type { RunningWorker, StopOptions } from "../running.js";
import { stopAtSignals, type Stoppable } from "../signals.js";
import type {
  Added,
  EachOptions,
  FetchOptions,
  MessageOptions,
  Task,
  TaskQueue,
  TaskQueueOptions,
} from "./api.js";
import { Desk, type Wish } from "./desk.js";
import { Handing } from "./handing.js";
import { fetchedKinds, type Fetched } from "./kinds.js";
import {
  checkMessageOptions,
  checkTaskQueueOptions,
  consumerSettings,
  eachOf,
  wishOf,
} from "./options.js";

/** A worker that can also be ended at once. */
type HandingWorker = RunningWorker & Pick<Stoppable, "force">;

/** What it needs of its Qudo. */
export interface ConsumerOf {
  /** Its definitions, how long it keeps what has ended, and what it declares of queues. */
  readonly registry: Registry;
  readonly keep: KeepPolicyTimes;
  readonly queueLimits: ReadonlyMap<string, LimitSpec | null>;
  readonly time: Time;
  /** A worker, of whatever databases there are; it is to be woken and stopped through this consumer. */
  start(registry: Registry, settings: WorkerSettings, hand: Hand): Promise<HandingWorker>;
  enqueue(job: AnyJobDefinition, payload: unknown, options: object): Promise<Added>;
  purge(queue: string): Promise<number>;
}

/** The kind of messages of a queue that names no kinds. */
const MESSAGE = "message";

export class Consumer implements TaskQueue, Stoppable {
  readonly name: string;
  private readonly fetched: Fetched;
  private readonly settings: WorkerSettings;
  private readonly desk: Desk;
  private readonly handing: Handing;
  private opening: Promise<void> | null = null;
  private worker: HandingWorker | null = null;
  private leave: () => void = () => undefined;
  private closing: Promise<void> | null = null;

  /** @throws InvalidInputError. Opens nothing. */
  constructor(
    name: string,
    options: TaskQueueOptions,
    private readonly qudo: ConsumerOf,
  ) {
    checkTaskQueueOptions(options);
    const { kinds, ...rest } = options;
    this.name = checkName(name, "queue");
    this.fetched = fetchedKinds(kinds, qudo.registry);
    this.settings = consumerSettings(name, rest, this.fetched, qudo);
    this.desk = new Desk(qudo.time);
    this.handing = new Handing(this.fetched.kinds, this.desk, this.settings.logger);
  }

  async fetch(max = 1, options: FetchOptions = {}): Promise<Task[]> {
    return this.take(wishOf(max, options, "fetch"));
  }

  async next(max = 1, options: FetchOptions = {}): Promise<Task[]> {
    return this.take(wishOf(max, options, "next"));
  }

  [Symbol.asyncIterator](): AsyncGenerator<Task, void, undefined> {
    return this.each();
  }

  async *each(given: EachOptions = {}): AsyncGenerator<Task, void, undefined> {
    const { batch, options } = eachOf(given);
    const left: Task[] = [];
    try {
      for (;;) {
        left.push(...(await this.fetchOpen(batch, options)));
        if (left.length === 0) return;
        // Given back meanwhile: the queue was closed, or others have it.
        for (let task = left.shift(); task !== undefined; task = left.shift())
          if (task.active) yield task;
      }
    } finally {
      await Promise.all(left.map((task) => task.release()));
    }
  }

  async addMsg(payload: unknown, options: MessageOptions = {}): Promise<Added> {
    checkMessageOptions(options);
    const kind = this.fetched.kinds?.[0] ?? MESSAGE;
    const job = this.fetched.registry.get(kind)!;
    return this.qudo.enqueue(job, payload, { ...options, queue: this.name });
  }

  async getMsg(options: FetchOptions = {}): Promise<[message: Task, payload: unknown] | null> {
    const wish = wishOf(1, options, "getMsg");
    for (;;) {
      const [task] = await this.take(wish);
      if (task === undefined) return null;
      if (await task.start()) return [task, task.payload];
    }
  }

  async removeMsg(message: Task | string): Promise<boolean> {
    const id: unknown = typeof message === "string" ? message.toLowerCase() : message?.id;
    if (typeof id !== "string")
      throw new InvalidInputError(
        "QUDO_INVALID_OPTION",
        `removeMsg takes what getMsg gave, or its id, not ${show(message)}.`,
      );
    if (typeof message !== "string") return message.finish();
    return (await this.handing.find(id)?.finish(undefined)) ?? false;
  }

  purge(): Promise<number> {
    return this.qudo.purge(this.name);
  }

  close(options: Pick<StopOptions, "grace"> = {}): Promise<void> {
    return this.stop(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // — for its Qudo, and for signals

  /** There may be new jobs; `database`: in this one of several. */
  wake(database?: string): void {
    this.worker?.wake(database);
  }

  stop({ grace }: StopOptions = {}): Promise<void> {
    this.closing ??= this.end(grace === undefined ? {} : { grace });
    return this.closing;
  }

  force(): void {
    this.desk.close(this.closedError());
    this.worker?.force();
  }

  private async end(options: StopOptions): Promise<void> {
    this.desk.close(this.closedError());
    this.handing.giveBackUnstarted();
    try {
      await this.opening?.catch(() => undefined);
      // Whoever still holds a task after the grace and its signal may be dead: it is given back, as if the process ended.
      await this.worker?.stop({ ...options, exiting: true });
    } finally {
      this.gone();
    }
  }

  // — fetching

  /** Empty also when the queue is closed meanwhile. */
  private async fetchOpen(batch: number, options: FetchOptions): Promise<Task[]> {
    try {
      return await this.fetch(batch, options);
    } catch (error) {
      if (error instanceof QudoError && error.code === "QUDO_CLOSED") return [];
      throw error;
    }
  }

  private take(wish: Wish): Promise<Task[]> {
    if (this.closing !== null) return Promise.reject(this.closedError());
    const taken = this.desk.take(wish);
    if (this.desk.isEmpty) return taken;
    if (this.worker === null) this.opening ??= this.open();
    else this.worker.wake();
    return taken;
  }

  /** Whoever waits is told where it cannot be opened; the next fetch tries again. */
  private async open(): Promise<void> {
    const { qudo, fetched, settings, handing } = this;
    try {
      const worker = await qudo.start(fetched.registry, { ...settings, signals: false }, handing);
      this.worker = worker;
      if (settings.signals) this.leave = stopAtSignals(this);
      worker.stopped.catch((error: unknown) => this.failed(error));
    } catch (error) {
      this.failed(error);
    }
  }

  private failed(error: unknown): void {
    this.desk.close(error);
    this.gone();
  }

  private gone(): void {
    this.leave();
    this.leave = () => undefined;
    this.worker = null;
    this.opening = null;
    this.handing.end();
  }

  private closedError(): QudoError {
    return new QudoError(
      "QUDO_CLOSED",
      `The queue ${show(this.name)} was closed here, and nothing more is fetched from it. qudo.queue(${show(this.name)}) makes another one.`,
    );
  }
}
