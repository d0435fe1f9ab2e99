/** Enqueueing on a connection that is not the queue's own: in the user's open transaction, or at once for a caller who cannot wait. */
import { QudoError } from "../core/errors.js";
import type { JobDefinition } from "../core/job.js";
import type { InsertOutcome, NewJob, UserTransaction } from "../storage/driver.js";
import { Enqueued } from "./enqueued.js";
import { prepare, prepareNow, type EnqueueOptions, type Order } from "./orders.js";
import type { Results } from "./results.js";

type Outcomes = readonly InsertOutcome[] | Promise<readonly InsertOutcome[]>;

/**
 * What `qudo.in(transaction)` gives: jobs that are there when the transaction commits, and never were when it rolls back.
 * Each call is one insert of its own: what stands in somebody's transaction shares nothing with others. Events tell nothing
 * of it, for nobody here learns of the commit.
 */
export class Transaction {
  /** `onInserted` hears of jobs that are there, or will be once the transaction commits. */
  constructor(
    private readonly transaction: UserTransaction,
    private readonly results: Results,
    private readonly onInserted: (
      jobs: readonly NewJob[],
      outcomes: readonly InsertOutcome[],
    ) => void,
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
    const { job: row, checked } = prepare(job, payload, options);
    if (checked !== null) await checked;
    return (await this.insert([row]))[0] as Enqueued<Result>;
  }

  /** Adds many jobs, all or none; all are checked before the first is written. */
  async enqueueMany<const Inputs extends readonly unknown[]>(orders: {
    readonly [I in keyof Inputs]: Order<Inputs[I]>;
  }): Promise<Enqueued[]> {
    const prepared = (orders as readonly Order<unknown>[]).map((order) => prepare(...order));
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

  private async insert(jobs: readonly NewJob[]): Promise<Enqueued[]> {
    const outcomes: Outcomes = this.transaction.insertJobs(jobs);
    return this.inserted(jobs, outcomes instanceof Promise ? await outcomes : outcomes);
  }

  private insertNow(orders: readonly Order<unknown>[]): Enqueued[] {
    const jobs = orders.map(prepareNow);
    const outcomes: Outcomes = this.transaction.insertJobs(jobs);
    if (outcomes instanceof Promise)
      throw new QudoError("QUDO_UNSUPPORTED", "This database answers with promises. Use enqueue.");
    return this.inserted(jobs, outcomes);
  }

  private inserted(jobs: readonly NewJob[], outcomes: readonly InsertOutcome[]): Enqueued[] {
    this.onInserted(jobs, outcomes);
    return jobs.map(({ id }, i) => new Enqueued(id, outcomes[i]!, this.results));
  }
}
