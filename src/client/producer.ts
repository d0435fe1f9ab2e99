/** Enqueueing: everything is checked before anything is written, then calls share commits. */
import { LIMITS } from "../core/defaults.js";
import { closedError, InvalidInputError } from "../core/errors.js";
import type { Emit } from "../core/events.js";
import type { Driver, InsertOutcome, NewJob } from "../storage/driver.js";
import { Batcher } from "../core/batcher.js";
import { Enqueued } from "./enqueued.js";
import { prepare, type Order } from "./orders.js";
import type { Results } from "./results.js";

export class Producer {
  private readonly plain: Batcher<NewJob, InsertOutcome>;
  /** Apart, because they wait for whoever holds their keys: a transaction of the user's, perhaps, that stays open. */
  private readonly unique: Batcher<NewJob, InsertOutcome>;
  /** Calls that have not resolved, also those whose schema is still thinking. */
  private closed = false;
  private readonly calls = new Set<Promise<unknown>>();

  constructor(
    driver: () => Promise<Driver>,
    private readonly results: Results,
    emit: Emit,
    onInserted: () => void,
  ) {
    const send = async (jobs: NewJob[]): Promise<InsertOutcome[]> => {
      const outcomes = await (await driver()).insertJobs(jobs);
      onInserted();
      tellEnqueued(emit, jobs, outcomes);
      return outcomes;
    };
    const limits = {
      items: LIMITS.rowsPerStatement,
      bytes: LIMITS.bytesPerStatement,
      sizeOf: (job: NewJob) => Buffer.byteLength(job.payload.text ?? ""),
    };
    const turns = { soon: (then: () => void) => void setImmediate(then) };
    this.plain = new Batcher(send, limits, turns);
    this.unique = new Batcher(send, limits, turns);
  }

  enqueue<Input>(...order: Order<Input>): Promise<Enqueued> {
    return this.counted(this.insertOne(order));
  }

  /**
   * All are checked before the first is written; they are written in order, up to 1,000 to a commit, those with unique keys
   * beside the others.
   */
  enqueueMany(orders: readonly Order<unknown>[]): Promise<Enqueued[]> {
    return this.counted(this.insertAll(orders));
  }

  private async insertOne<Input>(order: Order<Input>): Promise<Enqueued> {
    const { job, checked } = prepare(...order);
    if (checked !== null) await checked;
    return this.insert(job);
  }

  private async insertAll(orders: readonly Order<unknown>[]): Promise<Enqueued[]> {
    checkOrders(orders);
    const prepared = orders.map((order) => prepare(...order));
    await Promise.all(prepared.map(({ checked }) => checked));
    return Promise.all(prepared.map(({ job }) => this.insert(job)));
  }

  private async insert(job: NewJob): Promise<Enqueued> {
    const batcher = job.uniqueKey === null ? this.plain : this.unique;
    return new Enqueued(job.id, await batcher.add(job), this.results);
  }

  /** Takes no more; resolves when all that was asked for is committed or refused. */
  async close(): Promise<void> {
    this.closed = true;
    while (this.calls.size > 0) await Promise.allSettled(this.calls);
    await Promise.all([this.plain.settled(), this.unique.settled()]);
  }

  private counted<T>(call: Promise<T>): Promise<T> {
    if (this.closed) {
      call.catch(() => undefined);
      return Promise.reject(closedError());
    }
    this.calls.add(call);
    const forget = (): boolean => this.calls.delete(call);
    call.then(forget, forget);
    return call;
  }
}

/** After the commit. */
export function tellEnqueued(
  emit: Emit,
  jobs: readonly NewJob[],
  outcomes: readonly InsertOutcome[],
): void {
  if (!emit.listening("enqueued")) return;
  jobs.forEach(({ id, kind, queue }, i) =>
    emit("enqueued", () => ({ id, kind, queue, status: outcomes[i]!.status })),
  );
}

function checkOrders(orders: unknown): void {
  if (!Array.isArray(orders) || !orders.every((order) => Array.isArray(order)))
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      "enqueueMany takes a list of [job, payload, options].",
    );
}
