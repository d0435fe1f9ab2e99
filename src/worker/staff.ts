/** All workers of one Qudo: who works, who is woken, who is stopped at the end. */
import { closedError } from "../core/errors.js";
import type { Registry } from "../core/job.js";
import type { KeepPolicyTimes } from "../core/keep.js";
import type { LimitSpec } from "../core/limits/spec.js";
import type { Time } from "../core/time.js";
import type { Driver } from "../storage/driver.js";
import { Fleet } from "./fleet.js";
import type { Hand } from "./hand.js";
import { Apart } from "./isolate/apart.js";
import { workOnce, type WorkOnceOptions } from "./once.js";
import {
  onceSettings,
  workerSettings,
  type WorkerOptions,
  type WorkerSettings,
} from "./options.js";
import type { RunningWorker } from "./running.js";
import type { Surroundings } from "./surroundings.js";
import type { TaskQueueOptions } from "./tasks/api.js";
import { Consumer, type ConsumerOf } from "./tasks/queue.js";
import { Worker } from "./worker.js";

/** Whom jobs concern: a worker, or who stands before it. */
type Member = Pick<RunningWorker, "wake" | "stop">;

/** What they are given by their Qudo. */
export interface StaffOf {
  readonly time: Time;
  /** All that it knows. */
  readonly jobs: Registry;
  readonly keep: KeepPolicyTimes;
  /** What its workers declare of queues. */
  readonly queueLimits: ReadonlyMap<string, LimitSpec | null>;
  driver(): Promise<Driver>;
  /** What a worker is given; `database`: where it works on one of several. */
  surroundings(database?: string): Surroundings;
  /** One of them has begun; it has ended. */
  started(): void;
  stopped(): void;
}

export class Staff {
  private readonly members = new Set<Member>();
  private readonly apart: Apart;
  private waking = false;
  private closed = false;

  constructor(private readonly qudo: StaffOf) {
    this.apart = new Apart(qudo.jobs);
  }

  /** A worker as `qudo.work()` is asked for one. */
  async work(options: WorkerOptions): Promise<Worker | Fleet> {
    const { jobs, keep, queueLimits } = this.qudo;
    const settings = workerSettings(options, jobs, keep, queueLimits);
    return this.start(settings.abilities, settings);
  }

  /** `hand`: jobs are handed out, instead of run, and the worker is stopped and woken as `as`. */
  private async start(
    kinds: Registry,
    settings: WorkerSettings,
    { hand, as }: { hand?: Hand; as?: Member } = {},
  ): Promise<Worker | Fleet> {
    const served = hand === undefined ? await this.apart.served(settings) : settings;
    const serves = hand === undefined ? served.abilities : kinds;
    const driver = await this.qudo.driver();
    const given = (database?: string): Surroundings => ({
      ...this.given(database),
      ...(hand && { hand }),
    });
    const worker =
      driver.parts === undefined
        ? new Worker(driver, serves, served, given())
        : new Fleet(driver.parts, serves, served, given);
    this.begins(worker, as);
    return worker;
  }

  /** Of a queue that is consumed by hand. It begins with its first fetch. */
  consumer(
    name: string,
    options: TaskQueueOptions,
    of: Pick<ConsumerOf, "enqueue" | "purge">,
  ): Consumer {
    if (this.closed) throw closedError();
    const consumer: Consumer = new Consumer(name, options, {
      ...of,
      time: this.qudo.time,
      registry: this.qudo.jobs,
      keep: this.qudo.keep,
      queueLimits: this.qudo.queueLimits,
      start: (kinds, settings, hand) => this.start(kinds, settings, { hand, as: consumer }),
    });
    return consumer;
  }

  /** True when a job was run. */
  async once(options: WorkOnceOptions): Promise<boolean> {
    const { jobs, keep, queueLimits } = this.qudo;
    const settings = onceSettings(options, jobs, keep, queueLimits);
    const served = await this.apart.served(settings);
    return workOnce(await this.qudo.driver(), served, {
      surroundings: (database) => this.given(database),
      begins: (worker) => this.begins(worker),
    });
  }

  /** There may be new jobs; `database`: in this one of several. */
  wake(database?: string): void {
    for (const member of this.members) member.wake(database);
  }

  /** After the caller's turn: by then a synchronous transaction has committed. */
  wakeSoon(): void {
    if (this.waking || this.members.size === 0) return;
    this.waking = true;
    this.qudo.time.soon(() => {
      this.waking = false;
      this.wake();
    });
  }

  /** Stops all, and nobody begins any more. One that failed has said so. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.allSettled(Array.from(this.members, (member) => member.stop()));
    this.apart.close();
  }

  private given(database?: string): Surroundings {
    if (this.closed) throw closedError();
    return { ...this.qudo.surroundings(database), onWork: () => this.wake(database) };
  }

  private begins(worker: Member & Pick<RunningWorker, "stopped">, as: Member = worker): void {
    this.members.add(as);
    this.qudo.started();
    const forget = (): void => {
      this.members.delete(as);
      this.qudo.stopped();
    };
    void worker.stopped.then(forget, forget);
  }
}
