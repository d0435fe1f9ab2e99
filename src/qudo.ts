/** The front door: opens the database when it is first needed, hands out what enqueues, works and looks. */
import { Attempts } from "./client/attempts.js";
import { dismiss, type WorkerEnd } from "./client/crews.js";
import { tellChanges } from "./client/databases.js";
import { Emitter, type Listener } from "./client/emitter.js";
import type { Enqueued } from "./client/enqueued.js";
import { explainJob, type Explanation } from "./client/explain.js";
import { Jobs } from "./client/jobs.js";
import {
  Logs,
  type ExceptionInfo,
  type JobCount,
  type JobStatusInfo,
  type LogOptionsOfRuns,
} from "./client/logs.js";
import { Monitor } from "./client/monitor.js";
import type { EnqueueOptions } from "./core/order.js";
import type { Order } from "./client/orders.js";
import { Producer, tellEnqueued } from "./client/producer.js";
import { Extensions } from "./client/extensions.js";
import { hinting, Results } from "./client/results.js";
import { enqueueFromFailed, type FailedRun, type FromFailed } from "./client/revive.js";
import { Transaction, type OnInserted } from "./client/transaction.js";
import { Upkeep, type PauseOptions } from "./client/upkeep.js";
import { closedError } from "./core/errors.js";
import type { EventName } from "./core/events.js";
import { registry, type AnyJobDefinition, type JobDefinition } from "./core/job.js";
import { keepPolicy } from "./core/keep.js";
import { checkQueueLimits } from "./core/limits/spec.js";
import { checkFlag, checkOptions } from "./core/options.js";
import { makePlugin, type DefinePlugin, type PluginsOf, type Usable } from "./core/plugins.js";
import type { Time } from "./core/time.js";
import { Operating } from "./qudo-operating.js";
import {
  KNOWN_OPTIONS,
  type NeedsContext,
  type NeedsPlugins,
  type QudoOptions,
} from "./qudo-options.js";
import { serializersOf } from "./serializers/index.js";
import type { Driver } from "./storage/driver.js";
import { Opening } from "./storage/open.js";
import { REAL } from "./storage/time.js";
import type { World } from "./storage/world.js";
import type { WorkOnceOptions } from "./worker/once.js";
import { checkLogger, type WorkerOptions } from "./worker/options.js";
import { parentToTell, underParent } from "./worker/prefork/link.js";
import type { RunningWorker } from "./worker/running.js";
import { Staff } from "./worker/staff.js";
import type { Surroundings } from "./worker/surroundings.js";
import type { InputOf, PayloadOf, TaskQueue, TaskQueueOptions } from "./worker/tasks/api.js";

/** A queue in one database: enqueues jobs, starts workers, and looks at both. Make one per process, and close it at the end. */
export class Qudo<
  const Definitions extends readonly AnyJobDefinition[] = readonly AnyJobDefinition[],
  const Used extends readonly Usable[] = readonly [],
>
  extends Operating
  implements AsyncDisposable
{
  /** Jobs: get, list, log, cancel, retry; one by one or by filter. */
  readonly jobs: Jobs;
  /** What became of every run: the log of outcomes. */
  readonly attempts: Attempts;
  /** Counts and workers. */
  readonly monitor: Monitor;

  readonly #context: unknown;
  /** Out of reach of `inspect`, for an address may hold a password. */
  readonly #opening: Opening;
  private readonly time: Time;
  private readonly emitter = new Emitter();
  private readonly logs: Logs;
  private readonly extensions: Extensions;
  private readonly results: Results;
  private readonly producer: Producer;
  protected readonly upkeep: Upkeep;
  private readonly staff: Staff;
  private closing: Promise<void> | null = null;

  /**
   * Opens nothing yet: that happens at first use, and errors of the database appear there.
   * `world`: for tests and simulations; `testQudo` of qudo/testing gives it.
   */
  constructor(
    options: QudoOptions<Definitions, Used> &
      NeedsContext<Definitions> &
      NeedsPlugins<Definitions, Used>,
    world: World = {},
  ) {
    super();
    // Not even to be left out: there is no database to begin with.
    checkOptions(options ?? null, KNOWN_OPTIONS, "new Qudo");
    checkFlag(options.migrate ?? true, "migrate");
    this.#context = options.context;
    const logger = checkLogger(options.logger);
    this.time = world.time ?? REAL;
    this.#opening = new Opening(
      options,
      (driver) => tellChanges(driver, this.emitter.emit, logger, this.time),
      world,
    );
    const { wrapJob } = world;
    const jobs = registry(options.jobs ?? []);
    const keep = keepPolicy(options.keep, "keep of Qudo");
    const serializers = serializersOf(options);
    this.extensions = new Extensions(serializers, this.emitter.emit, this.time);
    const driver = (): Promise<Driver> => this.#opening.ready();
    const wake = (database?: string): void => this.staff.wake(database);
    this.staff = new Staff({
      time: this.time,
      jobs: wrapJob === undefined ? jobs : registry([...jobs.values()].map(wrapJob)),
      keep,
      queueLimits: checkQueueLimits(options.queueLimits),
      driver,
      surroundings: (database) => this.surroundings(database),
      started: () => this.extensions.rounds.workerStarted(),
      stopped: () => this.extensions.rounds.workerStopped(),
    });
    this.results = new Results(driver, this.time);
    this.producer = new Producer(driver, {
      results: this.results,
      emit: this.emitter.emit,
      extensions: this.extensions,
      onInserted: wake,
      time: this.time,
    });
    this.jobs = new Jobs(driver, this.results, serializers, wake);
    this.attempts = new Attempts(driver);
    this.monitor = new Monitor(driver, this.time);
    this.logs = new Logs(driver, serializers);
    this.upkeep = new Upkeep(driver, keep, this.time);
    this.extensions.host.useAll(options.use ?? [], this);
  }

  /** What the plugins in use offer, by their names. */
  get plugins(): PluginsOf<Used> {
    return this.extensions.host.plugins as PluginsOf<Used>;
  }

  /**
   * From now on calls these hooks, or uses this plugin: for jobs that are enqueued and runs that begin after this. Those used first
   * are outermost.
   * @throws InvalidInputError, QUDO_HOOKS_TWICE and QUDO_PLUGIN_CLASH among them; what the plugin's setup throws.
   */
  use<const What extends Usable>(
    what: What,
  ): this & { readonly plugins: PluginsOf<readonly [What]> } {
    if (this.closing !== null) throw closedError();
    this.extensions.host.use(what, this);
    return this as this & { readonly plugins: PluginsOf<readonly [What]> };
  }

  /**
   * Takes back {@link use}: at once, but for what has begun with it. False when it was not in use. Resolves when a plugin is torn down.
   * @throws what the plugin's teardown throws.
   */
  unuse(what: Usable): Promise<boolean> {
    return this.extensions.host.unuse(what);
  }

  /**
   * Adds a job; resolves after it is committed. Calls made together share one commit.
   * @throws InvalidInputError before anything is written; DatabaseError when it could not be written.
   */
  enqueue<Input, Result>(
    // oxlint-disable-next-line typescript/no-explicit-any -- what the schema and the handler make of it does not matter here
    job: JobDefinition<Input, any, Result, any, any>,
    payload: Input,
    options?: EnqueueOptions,
  ): Promise<Enqueued<Result>> {
    return this.producer.enqueue(job, payload, options) as Promise<Enqueued<Result>>;
  }

  /** Adds many jobs; all are checked before the first is written. Up to 1,000 share a commit. */
  enqueueMany<const Inputs extends readonly unknown[]>(orders: {
    readonly [I in keyof Inputs]: Order<Inputs[I]>;
  }): Promise<Enqueued[]> {
    return this.producer.enqueueMany(orders as readonly Order<unknown>[]);
  }

  /**
   * Adds a job before it returns: committed by itself, on a connection of its own in this thread, which waits for others by
   * blocking it. With `databases: { handle }` on that handle, inside the transaction that is open on it, if one is.
   * @throws InvalidInputError also where the job's schema answers with a promise; QudoError QUDO_UNSUPPORTED on servers.
   */
  enqueueSync<Input, Result>(
    // oxlint-disable-next-line typescript/no-explicit-any -- what the schema and the handler make of it does not matter here
    job: JobDefinition<Input, any, Result, any, any>,
    payload: Input,
    options?: EnqueueOptions,
  ): Enqueued<Result> {
    if (this.closing !== null) throw closedError();
    const direct = this.#opening.direct();
    const inserted: OnInserted = (jobs, outcomes) => {
      this.staff.wakeSoon();
      if (direct.committed()) tellEnqueued(this.emitter.emit, jobs, outcomes);
    };
    const transaction = new Transaction(direct, this.results, this.extensions, inserted);
    return transaction.enqueueSync(job, payload, options);
  }

  /**
   * Enqueues inside the transaction that is open on this handle of yours: the jobs are there when it commits, and never were
   * when it rolls back. The tables must be there: `await qudo.migrate()` once, at the start of the program.
   * @throws InvalidInputError QUDO_WRONG_DATABASE when the handle is on another database than this queue.
   */
  in(transaction: object): Transaction {
    if (this.closing !== null) throw closedError();
    const on = this.#opening.transaction(transaction);
    return new Transaction(on, this.results, this.extensions, () => this.staff.wakeSoon());
  }

  /**
   * Starts a worker in this process; it works when its session is open. `await worker.stop()`, or `await using`.
   * A worker that cannot start says so to its logger and rejects `worker.stopped`; over several databases when it can
   * start in none of them.
   */
  async work(options: WorkerOptions = {}): Promise<RunningWorker> {
    const settings = underParent(options);
    const join = parentToTell((ready) => this.once("worker:started", ready));
    const worker = await this.staff.work(settings);
    join?.(worker);
    return worker;
  }

  /**
   * This queue, to be consumed by hand instead of by handlers: `for await (const task of qudo.queue("http"))`. Make one and keep it: each
   * has a session of its own from its first fetch on, until it is closed, or this Qudo is.
   */
  queue<const Kinds extends readonly (AnyJobDefinition | string)[] = readonly string[]>(
    name: string,
    options: TaskQueueOptions<Kinds> = {},
  ): TaskQueue<PayloadOf<Kinds>, InputOf<Kinds>> {
    const queue = this.staff.consumer(name, options, {
      enqueue: (job, payload, more) => this.producer.enqueue(job, payload, more),
      purge: async (of) => (await this.jobs.purge(of)).changed,
    });
    return queue as TaskQueue<PayloadOf<Kinds>, InputOf<Kinds>>;
  }

  /**
   * Runs one job, if there is one that may run now: resolves to true when it has ended, however it did, and to false where there was none.
   * Of several databases one after the other is asked, in an order of chance. Each call opens a session and closes it again:
   * for many jobs use `work({ maxJobs, idleTimeout })`.
   * @throws DatabaseError when the database could not be asked; of several, when none of them could.
   */
  async workOnce(options: WorkOnceOptions = {}): Promise<boolean> {
    return this.staff.once(options);
  }

  /**
   * Calls the listener whenever this happens in this Qudo: enqueues by it, runs of its workers. What a listener throws
   * becomes a warning of the process, and disturbs nothing. The channels `qudo:<event>` of `node:diagnostics_channel` tell the
   * same of all Qudos in the process.
   */
  on<Name extends EventName>(name: Name, listener: Listener<Name>): this {
    this.emitter.on(name, listener);
    return this;
  }

  /** Like {@link on}, for the next time only. */
  once<Name extends EventName>(name: Name, listener: Listener<Name>): this {
    this.emitter.on(name, listener, true);
    return this;
  }

  /** Takes back {@link on} or {@link once}. */
  off<Name extends EventName>(name: Name, listener: Listener<Name>): this {
    this.emitter.off(name, listener);
    return this;
  }

  /**
   * From now on no worker claims anything of this queue, or of one kind in it, until {@link resume}; what was claimed goes
   * on. False when it was so already.
   */
  pause(queue: string, options: PauseOptions = {}): Promise<boolean> {
    return this.upkeep.setPaused(queue, options, true);
  }

  /** Takes back {@link pause}. False when it was not paused. A kind that was paused by itself stays so. */
  async resume(queue: string, options: PauseOptions = {}): Promise<boolean> {
    const changed = await this.upkeep.setPaused(queue, options, false);
    if (changed) this.staff.wake();
    return changed;
  }

  /**
   * A new job like that of this failed run, due now, in the same database: same payload, options and unique key, without its expiry. Of
   * each run at most one is made: whoever asks again is told which.
   */
  async enqueueFromFailed(attempt: FailedRun): Promise<FromFailed> {
    const outcome = await enqueueFromFailed(await this.#opening.ready(), attempt);
    if (outcome.status === "inserted") this.staff.wake();
    return outcome;
  }

  /**
   * Takes everything from a worker, by its name or the id of its session, and puts it back at its place, at no cost in attempts. For one
   * that hangs: its handlers, if they still run, are told by its next heartbeat, and nothing of them counts. The worker goes on under a
   * new session.
   */
  async resetWorker(worker: string): Promise<WorkerEnd> {
    const end = await dismiss(await this.#opening.ready(), worker, "released");
    if (end.jobs > 0) this.staff.wake();
    return end;
  }

  /** The same, but what it holds is abandoned ("worker_cancelled"). */
  async cancelWorker(worker: string): Promise<WorkerEnd> {
    const end = await dismiss(await this.#opening.ready(), worker, "abandoned");
    this.results.hint();
    return end;
  }

  /**
   * Why a job is not running, or what it is doing: reasons, the gravest first, each with a code and what to do about it.
   * @throws QudoError QUDO_JOB_ABSENT when there is no such job (any more).
   */
  async explain(id: string): Promise<Explanation> {
    return explainJob(await this.#opening.ready(), this.extensions.orders.serializers, id);
  }

  /**
   * Runs that failed, ten at a time, oldest first: the exception log.
   * @throws IncompleteError, with the rows of the others in `found`, when one of several databases could not be asked.
   */
  exceptionList(options: LogOptionsOfRuns = {}): Promise<ExceptionInfo[]> {
    return this.logs.exceptions(options);
  }

  /**
   * Runs that ended, be it well or not, ten at a time, oldest first: the job status log.
   * @throws IncompleteError, with the rows of the others in `found`, when one of several databases could not be asked.
   */
  jobStatusList(options: LogOptionsOfRuns = {}): Promise<JobStatusInfo[]> {
    return this.logs.statuses(options);
  }

  /**
   * How many jobs of this kind, or of these kinds, or of all, have not ended: of each database by itself, or of the one named.
   * @throws IncompleteError, with the counts of the others in `found`, when one of several databases could not be asked.
   */
  jobCount(kinds?: string | readonly string[], database?: string): Promise<JobCount[]> {
    return this.logs.count(kinds, database);
  }

  /** Stops the workers, lets enqueues land, tears plugins down, ends the waits for results (QUDO_CLOSED), closes the database. */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async closeAll(): Promise<void> {
    // A worker that failed has said so; the others and the database are closed all the same.
    await this.staff.close();
    await this.producer.close();
    await this.extensions.host.close();
    await this.results.close(closedError());
    await this.#opening.close();
  }

  /** What stands behind it. */
  protected opening(): Opening {
    return this.#opening;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What a worker is given; `database`: where it works on one of several. */
  private surroundings(database?: string): Surroundings {
    return {
      time: this.time,
      context: this.#context,
      ...this.extensions.ofWorkers(),
      emit: hinting(this.results, this.emitter.emit),
      transaction: (of) => this.#opening.transaction(of, database),
      prepare: (orders) => this.producer.prepare(orders, "job.replace"),
      replaced: (job, outcome) => this.producer.replaced(job, outcome, database),
    };
  }
}

/**
 * Defines a plugin: a function that takes its options and makes what `qudo.use` takes. `name` is how it is reached,
 * `setup` says what it adds.
 * @throws InvalidInputError for a bad definition; the plugin, when it is used, for a bad answer of `setup`.
 */
export const definePlugin = makePlugin as DefinePlugin<Qudo>;
