/** Enqueueing: everything is checked before anything is written, then calls share commits. */
import { LIMITS } from "../core/defaults.js";
import {
  closedError,
  EnqueueOutcomeUnknownError,
  EnqueuePartlyError,
  InvalidInputError,
} from "../core/errors.js";
import { noting } from "../core/chain.js";
import type { Emit } from "../core/events.js";
import type { AnyJobDefinition } from "../core/job.js";
import { packedBytes } from "../core/serializer.js";
import type { Time } from "../core/time.js";
import type { ChildOutcome, Driver, InsertOutcome, NewJob } from "../storage/driver.js";
import { REAL } from "../storage/time.js";
import { Batcher } from "../core/batcher.js";
import { Enqueued } from "./enqueued.js";
import type { Extensions } from "./extensions.js";
import { Gate } from "./gate.js";
import { HookedOrder, type Made } from "./hooked.js";
import type { Order } from "./orders.js";
import type { Results } from "./results.js";

/** What a producer needs of its Qudo. */
export interface ProducerOf {
  readonly results: Results;
  readonly emit: Emit;
  readonly extensions: Extensions;
  /** Called with the name of the database, of several. */
  onInserted(database?: string): void;
  readonly time?: Time;
}

export class Producer {
  private readonly plain: Batcher<NewJob, InsertOutcome>;
  /** Apart, because they wait for whoever holds their keys: a transaction of the user's, perhaps, that stays open. */
  private readonly unique: Batcher<NewJob, InsertOutcome>;
  /** Calls that have not resolved, also those whose schema is still thinking. */
  private closed = false;
  private readonly calls = new Set<Promise<unknown>>();

  /** Hooks that wait for what becomes of jobs which others write. */
  private readonly promised = new WeakMap<NewJob, (made: Made) => void>();

  constructor(
    private readonly driver: () => Promise<Driver>,
    private readonly qudo: ProducerOf,
  ) {
    const { time = REAL } = qudo;
    const send = async (jobs: NewJob[]): Promise<InsertOutcome[]> =>
      this.send(await this.driver(), jobs);
    const limits = {
      items: LIMITS.rowsPerStatement,
      bytes: LIMITS.bytesPerStatement,
      sizeOf: (job: NewJob) => packedBytes(job.payload),
    };
    this.plain = new Batcher(send, limits, time);
    this.unique = new Batcher(send, limits, time);
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
    if (this.hooked(order[0])) return this.insertHooked(order as Order<unknown>);
    const { job, checked } = this.qudo.extensions.orders.prepare(order);
    if (checked !== null) await checked;
    return this.insert(job);
  }

  private hooked(job: AnyJobDefinition): boolean {
    return this.qudo.extensions.orders.hooks.for(job, "enqueues") !== null;
  }

  private async insertHooked(order: Order<unknown>, gate?: Gate): Promise<Enqueued> {
    if (this.closed) throw closedError();
    let here = false;
    const insert = async (job: NewJob): Promise<Enqueued> => {
      here = true;
      await gate?.arrive();
      return this.insert(job);
    };
    const refused = (error: unknown): void => gate?.refuse(error);
    try {
      const by = this.qudo.extensions.enqueues(false);
      const hooked = await noting(() => new HookedOrder(by, order), refused);
      return await hooked.enqueue({ insert: ({ job }) => insert(job), refused });
    } finally {
      if (!here) gate?.leave();
    }
  }

  /** A hook that refuses a job refuses that one; what is wrong with an order refuses all. */
  private async insertAllHooked(orders: readonly Order<unknown>[]): Promise<Enqueued[]> {
    const gate = new Gate(orders.length);
    const inserts = orders.map((order) => this.insertHooked(order, gate));
    await Promise.allSettled(inserts);
    if (gate.refused !== null) throw gate.refused.error;
    return allOf(inserts);
  }

  private async insertAll(orders: readonly Order<unknown>[]): Promise<Enqueued[]> {
    checkOrders(orders, "enqueueMany");
    if (orders.some(([job]) => this.hooked(job))) return this.insertAllHooked(orders);
    const jobs = await this.prepare(orders, "enqueueMany");
    const { parts } = await this.driver();
    const inserts = jobs.map((job) => this.insert(job));
    return parts === undefined ? Promise.all(inserts) : allOf(inserts);
  }

  /** Checked, and as the database takes them. @throws InvalidInputError; `where` is the function that was called. */
  async prepare(orders: readonly Order<unknown>[], where: string): Promise<readonly NewJob[]> {
    checkOrders(orders, where);
    if (orders.some(([job]) => this.hooked(job))) return this.prepareHooked(orders);
    const prepared = orders.map((order) => this.qudo.extensions.orders.prepare(order));
    await Promise.all(prepared.map(({ checked }) => checked));
    return prepared.map(({ job }) => job);
  }

  /** All or none: whatever refuses one of them refuses the call. Who goes around enqueues is not called: there is nothing to go around. */
  private async prepareHooked(orders: readonly Order<unknown>[]): Promise<readonly NewJob[]> {
    const by = this.qudo.extensions.enqueues(false);
    const hooked = orders.map((order) => new HookedOrder(by, order));
    const all = await Promise.all(hooked.map((order) => order.ready({})));
    all.forEach((ready, i) =>
      this.promised.set(ready.job, (made) => void hooked[i]!.told(ready, made)),
    );
    return all.map(({ job }) => job);
  }

  /** What became of a job that {@link prepare} gave: its hooks are told. */
  replaced(job: NewJob, outcome: ChildOutcome, database?: string): void {
    const holder = outcome.status === "unique" ? outcome.holder : null;
    const where = database === undefined ? {} : { database };
    this.promised.get(job)?.({ status: outcome.status, holder, ...where });
  }

  private async insert(job: NewJob): Promise<Enqueued> {
    const driver = await this.driver();
    // Several databases gather for themselves: one that stands still is to hold up its own jobs only.
    const outcome =
      driver.parts === undefined
        ? await (job.uniqueKey === null ? this.plain : this.unique).add(job)
        : (await this.send(driver, [job]))[0]!;
    return new Enqueued(job.id, outcome, this.qudo.results);
  }

  private async send(driver: Driver, jobs: NewJob[]): Promise<InsertOutcome[]> {
    const outcomes = await driver.insertJobs(jobs);
    for (const database of new Set(outcomes.map((outcome) => outcome.database)))
      this.qudo.onInserted(database);
    tellEnqueued(this.qudo.emit, jobs, outcomes);
    return outcomes;
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
  jobs.forEach(({ id, kind, queue }, i) => {
    const { status, database } = outcomes[i]!;
    const where = database === undefined ? {} : { database };
    emit("enqueued", () => ({ id, kind, queue, status, ...where }));
  });
}

/**
 * All that became of them is known when this ends.
 * @throws what all of them failed with, or EnqueuePartlyError.
 */
async function allOf(inserts: readonly Promise<Enqueued>[]): Promise<Enqueued[]> {
  const results = (await Promise.allSettled(inserts)).map((one) =>
    one.status === "fulfilled" ? one.value : asError(one.reason),
  );
  const errors = results.filter((one) => one instanceof Error);
  const [first] = errors;
  if (first === undefined) return results as Enqueued[];
  if (errors.length < results.length) throw new EnqueuePartlyError(results);
  const unknown = errors.filter((error) => error instanceof EnqueueOutcomeUnknownError);
  const [lost] = unknown;
  if (lost === undefined) throw first;
  if (unknown.length < errors.length || unknown.some(({ database }) => database !== lost.database))
    throw new EnqueuePartlyError(results);
  const ids = unknown.flatMap((error) => error.ids);
  throw new EnqueueOutcomeUnknownError(lost.database, ids, { cause: lost.cause });
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function checkOrders(orders: unknown, where: string): void {
  if (!Array.isArray(orders) || !orders.every((order) => Array.isArray(order)))
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `${where} takes a list of [job, payload, options].`,
    );
}
