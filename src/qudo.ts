/** The front door: opens the database when it is first needed, hands out what enqueues, works and looks. */
import { Attempts } from "./client/attempts.js";
import { dismiss, type WorkerEnd } from "./client/crews.js";
import { tellChanges } from "./client/databases.js";
import { examine, type DoctorReport } from "./client/doctor.js";
import { Emitter, type Listener } from "./client/emitter.js";
import type { Enqueued } from "./client/enqueued.js";
import { Jobs } from "./client/jobs.js";
import { Monitor } from "./client/monitor.js";
import { rename, setMode, type RenameOptions } from "./client/naming.js";
import type { EnqueueOptions } from "./core/order.js";
import type { Order } from "./client/orders.js";
import { Producer, tellEnqueued } from "./client/producer.js";
import { Extensions } from "./client/extensions.js";
import { hinting, Results } from "./client/results.js";
import { enqueueFromFailed, type FailedRun, type FromFailed } from "./client/revive.js";
import { Transaction, type OnInserted } from "./client/transaction.js";
import {
  Upkeep,
  type BackupReport,
  type CompactReport,
  type PauseOptions,
  type Pruned,
  type PruneOptions,
} from "./client/upkeep.js";
import { closedError, QudoError } from "./core/errors.js";
import type { EventName } from "./core/events.js";
import { registry, type AnyJobDefinition, type JobDefinition, type Registry } from "./core/job.js";
import { keepPolicy, type KeepPolicyTimes } from "./core/keep.js";
import { checkFlag, checkOptions } from "./core/options.js";
import { makePlugin, type DefinePlugin, type PluginsOf, type Usable } from "./core/plugins.js";
import {
  KNOWN_OPTIONS,
  type NeedsContext,
  type NeedsPlugins,
  type QudoOptions,
} from "./qudo-options.js";
import { serializersOf } from "./serializers/index.js";
import type { DatabaseMode, Driver, Identity, MigrationReport } from "./storage/driver.js";
import { checkDatabaseName, Opening } from "./storage/open.js";
import { Fleet } from "./worker/fleet.js";
import { checkLogger, workerSettings, type WorkerOptions } from "./worker/options.js";
import type { RunningWorker } from "./worker/running.js";
import type { Surroundings } from "./worker/surroundings.js";
import { Worker } from "./worker/worker.js";

/** A queue in one database: enqueues jobs, starts workers, and looks at both. Make one per process, and close it at the end. */
export class Qudo<
  const Definitions extends readonly AnyJobDefinition[] = readonly AnyJobDefinition[],
  const Used extends readonly Usable[] = readonly [],
> implements AsyncDisposable {
  /** Jobs: get, list, log, cancel, retry; one by one or by filter. */
  readonly jobs: Jobs;
  /** What became of every run: the log of outcomes. */
  readonly attempts: Attempts;
  /** Counts and workers. */
  readonly monitor: Monitor;

  readonly #context: unknown;
  /** Out of reach of `inspect`, for an address may hold a password. */
  readonly #opening: Opening;
  private readonly registry: Registry;
  private readonly keep: KeepPolicyTimes;
  private readonly emitter = new Emitter();
  private readonly extensions: Extensions;
  private readonly results: Results;
  private readonly producer: Producer;
  private readonly upkeep: Upkeep;
  private readonly workers = new Set<RunningWorker>();
  private waking = false;
  private closing: Promise<void> | null = null;

  /** Opens nothing yet: that happens at first use, and errors of the database appear there. */
  constructor(
    options: QudoOptions<Definitions, Used> &
      NeedsContext<Definitions> &
      NeedsPlugins<Definitions, Used>,
  ) {
    // Not even to be left out: there is no database to begin with.
    checkOptions(options ?? null, KNOWN_OPTIONS, "new Qudo");
    checkFlag(options.migrate ?? true, "migrate");
    this.#context = options.context;
    const logger = checkLogger(options.logger);
    this.#opening = new Opening(options, (driver) =>
      tellChanges(driver, this.emitter.emit, logger),
    );
    this.registry = registry(options.jobs ?? []);
    this.keep = keepPolicy(options.keep, "keep of Qudo");
    const serializers = serializersOf(options);
    this.extensions = new Extensions(serializers, this.emitter.emit);
    const driver = (): Promise<Driver> => this.#opening.ready();
    const wake = (database?: string): void => this.wakeWorkers(database);
    this.results = new Results(driver);
    this.producer = new Producer(driver, this.results, this.emitter.emit, this.extensions, wake);
    this.jobs = new Jobs(driver, this.results, serializers, wake);
    this.attempts = new Attempts(driver);
    this.monitor = new Monitor(driver);
    this.upkeep = new Upkeep(driver, this.keep);
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
      this.wakeSoon();
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
    return new Transaction(on, this.results, this.extensions, () => this.wakeSoon());
  }

  /**
   * Starts a worker in this process; it works when its session is open. `await worker.stop()`, or `await using`.
   * A worker that cannot start says so to its logger and rejects `worker.stopped`; over several databases when it can
   * start in none of them.
   */
  async work(options: WorkerOptions = {}): Promise<RunningWorker> {
    const settings = workerSettings(options, this.registry, this.keep);
    const driver = await this.#opening.ready();
    if (this.closing !== null) throw closedError();
    const given = (database?: string): Surroundings => this.surroundings(database);
    const worker =
      driver.parts === undefined
        ? new Worker(driver, this.registry, settings, given())
        : new Fleet(driver.parts, this.registry, settings, given);
    this.workers.add(worker);
    this.extensions.rounds.workerStarted();
    const forget = (): void => {
      this.workers.delete(worker);
      this.extensions.rounds.workerStopped();
    };
    void worker.stopped.then(forget, forget);
    return worker;
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
    if (changed) this.wakeWorkers();
    return changed;
  }

  /**
   * A new job like that of this failed run, due now, in the same database: same payload, options and unique key, without its expiry. Of
   * each run at most one is made: whoever asks again is told which.
   */
  async enqueueFromFailed(attempt: FailedRun): Promise<FromFailed> {
    const outcome = await enqueueFromFailed(await this.#opening.ready(), attempt);
    if (outcome.status === "inserted") this.wakeWorkers();
    return outcome;
  }

  /**
   * Takes everything from a worker, by its name or the id of its session, and puts it back at its place, at no cost in attempts. For one
   * that hangs: its handlers, if they still run, are told by its next heartbeat, and nothing of them counts. The worker goes on under a
   * new session.
   */
  async resetWorker(worker: string): Promise<WorkerEnd> {
    const end = await dismiss(await this.#opening.ready(), worker, "released");
    if (end.jobs > 0) this.wakeWorkers();
    return end;
  }

  /** The same, but what it holds is abandoned ("worker_cancelled"). */
  async cancelWorker(worker: string): Promise<WorkerEnd> {
    const end = await dismiss(await this.#opening.ready(), worker, "abandoned");
    this.results.hint();
    return end;
  }

  /** Deletes now what was kept for long enough, by the times given, else by `keep` of this Qudo. Workers do it by themselves. */
  prune(options: PruneOptions = {}): Promise<Pruned> {
    return this.upkeep.prune(options);
  }

  /**
   * A consistent copy in a new file, made while others go on.
   * @throws QudoError QUDO_BACKUP_EXISTS, or QUDO_UNSUPPORTED where the database is no file.
   */
  backup(path: string): Promise<BackupReport> {
    return this.upkeep.backup(path);
  }

  /** Gives unused space back to the file system. @throws QudoError QUDO_UNSUPPORTED where the database is no file. */
  compact(): Promise<CompactReport> {
    return this.upkeep.compact();
  }

  /** Creates or upgrades the tables now. */
  migrate(): Promise<MigrationReport> {
    return this.#opening.migrate();
  }

  /**
   * SQL for a server's administrator: roles with the least rights to migrate, to produce, to work and to view. Changes nothing.
   * @throws QudoError QUDO_UNSUPPORTED where the database is a file: there the file's own rights count.
   */
  async grants(): Promise<string> {
    const driver = await this.#opening.open();
    if (driver.grants !== undefined) return driver.grants();
    throw new QudoError(
      "QUDO_UNSUPPORTED",
      `${driver.label} knows no roles. Who may use a file is said by the rights of the file and its folder.`,
    );
  }

  /** Which database this is, as people may see it: engine and place, never a password. */
  async label(): Promise<string> {
    return (await this.#opening.open()).label;
  }

  /** Null when the database holds no qudo tables yet. */
  async schemaVersion(): Promise<number | null> {
    return (await this.#opening.open()).schemaVersion();
  }

  /** Checks the database: that it takes writes, and that no invariant is broken. Of several each by itself, also when others are out. */
  async doctor(): Promise<DoctorReport> {
    return examine(await this.#opening.existing());
  }

  /**
   * What one of several databases is used for: "drain" gives it no new jobs, "off" also claims nothing of it. It is written in the
   * database, and all who use it obey within seconds. What is tied to it by a transaction of yours still goes there.
   * @throws InvalidInputError QUDO_UNKNOWN_DATABASE; DatabaseError QUDO_DATABASE_OUT when it cannot be told.
   */
  async setMode(database: string, mode: DatabaseMode): Promise<void> {
    return setMode(await this.#opening.ready(), database, mode);
  }

  /** Another name for this database, which from now on is to be used under it. For one that is opened alone. */
  async rename(name: string, options: RenameOptions = {}): Promise<Identity> {
    return rename(await this.#opening.ready(), checkDatabaseName(name), options);
  }

  /** Stops the workers, lets enqueues land, tears plugins down, ends the waits for results (QUDO_CLOSED), closes the database. */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async closeAll(): Promise<void> {
    // A worker that failed has said so; the others and the database are closed all the same.
    await Promise.allSettled(Array.from(this.workers, (worker) => worker.stop()));
    await this.producer.close();
    await this.extensions.host.close();
    await this.results.close(closedError());
    await this.#opening.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** `database`: of several, the one with new jobs. */
  private wakeWorkers(database?: string): void {
    for (const worker of this.workers) worker.wake(database);
  }

  /** What a worker is given; `database`: where it works on one of several. */
  private surroundings(database?: string): Surroundings {
    return {
      onWork: () => this.wakeWorkers(database),
      context: this.#context,
      ...this.extensions.ofWorkers(),
      emit: hinting(this.results, this.emitter.emit),
      transaction: (of) => this.#opening.transaction(of, database),
      prepare: (orders) => this.producer.prepare(orders, "job.replace"),
      replaced: (job, outcome) => this.producer.replaced(job, outcome, database),
    };
  }

  /** After the caller's turn: by then a synchronous transaction has committed. */
  private wakeSoon(): void {
    if (this.waking || this.workers.size === 0) return;
    this.waking = true;
    setImmediate(() => {
      this.waking = false;
      this.wakeWorkers();
    });
  }
}

/**
 * Defines a plugin: a function that takes its options and makes what `qudo.use` takes. `name` is how it is reached,
 * `setup` says what it adds.
 * @throws InvalidInputError for a bad definition; the plugin, when it is used, for a bad answer of `setup`.
 */
export const definePlugin = makePlugin as DefinePlugin<Qudo>;
