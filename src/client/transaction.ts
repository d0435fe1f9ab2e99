/** Enqueueing on a connection that is not the queue's own: in the user's open transaction, or at once for a caller who cannot wait. */
import { after, inTurn, isPromise, type Maybe } from "../core/chain.js";
import { QudoError } from "../core/errors.js";
import type { AnyJobDefinition, JobDefinition } from "../core/job.js";
import type { InsertOutcome, NewJob, UserTransaction } from "../storage/driver.js";
import { Enqueued } from "./enqueued.js";
import type { Extensions } from "./extensions.js";
import { HookedOrder, type Ready } from "./hooked.js";
import type { EnqueueOptions } from "../core/order.js";
import type { Order } from "./orders.js";
import type { Results } from "./results.js";

/** Hears of jobs that are there, or will be once the transaction commits. */
export type OnInserted = (jobs: readonly NewJob[], outcomes: readonly InsertOutcome[]) => void;

/**
 * What `qudo.in(transaction)` gives: jobs that are there when the transaction commits, and never were when it rolls back.
 * Each call is one insert of its own: what stands in somebody's transaction shares nothing with others. Events tell nothing
 * of it, for nobody here learns of the commit.
 */
export class Transaction {
  constructor(
    private readonly transaction: UserTransaction,
    private readonly results: Results,
    private readonly extensions: Extensions,
    private readonly onInserted: OnInserted,
  ) {}

  /**
   * Adds a job. On databases whose clients answer at once, and where the job's schema does, it is inserted before the
   * call returns; else await it before you commit.
   */
  async enqueue<Input, Result>(
    // oxlint-disable-next-line typescript/no-explicit-any -- what the schema and the handler make of it does not matter here
    job: JobDefinition<Input, any, Result, any, any>,
    payload: Input,
    options?: EnqueueOptions,
  ): Promise<Enqueued<Result>> {
    const order: Order<Input> = [job, payload, options];
    if (this.hooked([order])) return (await this.withHooks([order], false))[0] as Enqueued<Result>;
    const { job: row, checked } = this.extensions.orders.prepare(order);
    if (checked !== null) await checked;
    return (await this.insert([row]))[0] as Enqueued<Result>;
  }

  /** Adds many jobs, all or none; all are checked before the first is written. */
  async enqueueMany<const Inputs extends readonly unknown[]>(orders: {
    readonly [I in keyof Inputs]: Order<Inputs[I]>;
  }): Promise<Enqueued[]> {
    const list = orders as readonly Order<unknown>[];
    if (this.hooked(list)) return this.withHooks(list, false);
    const prepared = list.map((order) => this.extensions.orders.prepare(order));
    if (prepared.some(({ checked }) => checked !== null))
      await Promise.all(prepared.map(({ checked }) => checked));
    return this.insert(prepared.map(({ job }) => job));
  }

  /** Adds a job before it returns. @throws InvalidInputError also where the job's schema answers with a promise. */
  enqueueSync<Input, Result>(
    // oxlint-disable-next-line typescript/no-explicit-any -- what the schema and the handler make of it does not matter here
    job: JobDefinition<Input, any, Result, any, any>,
    payload: Input,
    options?: EnqueueOptions,
  ): Enqueued<Result> {
    const order: Order<Input> = [job, payload, options];
    return this.insertNow([order as Order<unknown>])[0] as Enqueued<Result>;
  }

  /** Adds many jobs before it returns, all or none. */
  enqueueManySync<const Inputs extends readonly unknown[]>(orders: {
    readonly [I in keyof Inputs]: Order<Inputs[I]>;
  }): Enqueued[] {
    return this.insertNow(orders as readonly Order<unknown>[]);
  }

  private insert(jobs: readonly NewJob[]): Maybe<Enqueued[]> {
    return after<readonly InsertOutcome[], Enqueued[]>(
      this.transaction.insertJobs(jobs),
      (outcomes) => this.inserted(jobs, outcomes),
    );
  }

  private insertNow(orders: readonly Order<unknown>[]): Enqueued[] {
    const made: Maybe<Enqueued[]> = this.hooked(orders)
      ? this.withHooks(orders, true)
      : this.insert(orders.map((order) => this.extensions.orders.prepareNow(order)));
    if (isPromise(made))
      throw new QudoError("QUDO_UNSUPPORTED", "This database answers with promises. Use enqueue.");
    return made;
  }

  private hooked(orders: readonly (readonly [AnyJobDefinition, ...unknown[]])[]): boolean {
    return orders.some(([job]) => this.extensions.orders.hooks.for(job, "enqueues") !== null);
  }

  /**
   * All or none, whatever refuses one of them, in one insert. Where there is an `around`, each job's way leads through those before it:
   * the last one is the core, in which all are written.
   */
  private withHooks(orders: readonly Order<unknown>[], now: boolean): Maybe<Enqueued[]> {
    const by = this.extensions.enqueues(now);
    const hooked = orders.map((order) => new HookedOrder(by, order));
    const ready: Ready[] = [];
    const write = (): Maybe<Enqueued[]> => this.insert(ready.map(({ job }) => job));
    const step = hooked.some((order) => order.hasAround) ? inside : oneByOne;
    if (step === inside && orders.length > DEEPEST) throw tooDeep(orders.length);
    return step(hooked, ready, write);
  }

  private inserted(jobs: readonly NewJob[], outcomes: readonly InsertOutcome[]): Enqueued[] {
    this.onInserted(jobs, outcomes);
    return jobs.map(({ id }, i) => new Enqueued(id, outcomes[i]!, this.results));
  }
}

type Step = (
  hooked: readonly HookedOrder[],
  ready: Ready[],
  write: () => Maybe<Enqueued[]>,
) => Maybe<Enqueued[]>;

/** Each way leads through those before it: some thousand calls that have not returned are all that a stack holds. */
const DEEPEST = 100;

function tooDeep(jobs: number): QudoError {
  return new QudoError(
    "QUDO_UNSUPPORTED",
    `In a transaction of yours at most ${DEEPEST} jobs with an around.enqueue can be enqueued at once, not ${jobs}. Call it several times.`,
  );
}

const oneByOne: Step = (hooked, ready, write) => {
  const list = hooked.map((order, i) => ({ name: String(i), call: { order, i } }));
  const before = inTurn(list, ({ order }) => after(order.ready({}), (one) => ready.push(one)));
  return after(before, () =>
    after(write(), (made) => {
      const told = inTurn(list, ({ order, i }) => order.told(ready[i]!, made[i]!));
      return after(told, () => made);
    }),
  );
};

const inside: Step = (hooked, ready, write) => {
  let made: Enqueued[] = [];
  const enter = (i: number): Maybe<unknown> => {
    if (i === hooked.length) return after(write(), (all) => (made = all));
    const insert = (one: Ready): Maybe<Enqueued> => {
      ready.push(one);
      return after(enter(i + 1), () => made[i]!);
    };
    return hooked[i]!.enqueue({ insert });
  };
  return after(enter(0), () => made);
};
