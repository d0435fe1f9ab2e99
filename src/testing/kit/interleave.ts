/** Many orders in which the same things can happen, each decided by a seed. */
import type { AnyJobDefinition, ContextOf } from "../../core/job.js";
import { InvalidInputError, QudoError } from "../../core/errors.js";
import { checkInteger, checkOptions, show } from "../../core/options.js";
import type { NeedsContext, QudoOptions } from "../../qudo-options.js";
import { Qudo } from "../../qudo.js";
import type { WorkerOptions } from "../../worker/options.js";
import { Conductor } from "./conductor.js";
import { actIn } from "./handlers.js";
import { Process } from "./process.js";

/** What {@link interleave} tries. */
export interface InterleaveOptions {
  /** How many orders are tried (seeds 1, 2, 3, …), or which ones. Default 100. */
  seeds?: number | readonly number[];
  /** Processes with a worker each. One that dies is replaced. Default 2. */
  workers?: number;
  /** What goes wrong in each order, at most so many times. */
  faults?: Faults;
  /** What each worker is started with, as `qudo.work()` takes it. Default: nothing. */
  worker?: WorkerOptions;
}

/** How many times, at most, in each order. */
export interface Faults {
  /** A worker dies, as by `kill -9`. Default 1. */
  crashes?: number;
  /** A worker stands still for up to two minutes, as by SIGSTOP. Default 1. */
  freezes?: number;
  /** The database has done what it was asked, and the answer never comes. Default 2. */
  lostAnswers?: number;
}

/** What is played, made anew for each order: nothing of the one before must be left. */
export interface Scenario<Jobs extends readonly AnyJobDefinition[]> {
  /** What `new Qudo` takes, but for the database. */
  options: Omit<QudoOptions<Jobs>, "databases"> & NeedsContext<Jobs>;
  /** Enqueues, cancels, waits: beside the workers, and by a process of its own, which has no accidents. */
  run(qudo: Qudo<Jobs>): Promise<unknown>;
  /** After all jobs have ended: throws when something is wrong. */
  check?(qudo: Qudo<Jobs>): unknown;
}

/** What was played. */
export interface Interleaved {
  readonly orders: number;
  readonly events: number;
  readonly crashes: number;
  readonly freezes: number;
  readonly lostAnswers: number;
}

type Accidents = { -readonly [K in keyof Required<Faults>]: number };

/** How likely each of the accidents that are left is: when a job has just moved, or a handler begun or ended; while one runs; else. */
const LIKELY = { moved: 0.15, running: 0.005, else: 0.001 };
const LONGEST_FREEZE_MS = 120_000;

/**
 * Plays the scenario in many orders of events, beside workers that have accidents. Afterwards every job must have ended, no invariant
 * of the database may be broken, and `check` may not throw. What handlers wait for must come from the stage: `sleep` of
 * qudo/testing, the queue itself, promises of the scenario; nothing real, or a seed could not be played again.
 * @throws QudoError QUDO_TEST_INTERLEAVING that names the seed; `cause` is what was thrown.
 */
export async function interleave<const Jobs extends readonly AnyJobDefinition[]>(
  options: InterleaveOptions,
  scenario: () => Scenario<Jobs>,
): Promise<Interleaved> {
  checkOptions(options, ["seeds", "workers", "faults", "worker"], "interleave");
  const { workers = 2, faults = {}, worker = {} } = options;
  checkInteger(workers, "workers", 1, 100);
  checkOptions(faults, ["crashes", "freezes", "lostAnswers"], "faults of interleave");
  const most = { crashes: 1, freezes: 1, lostAnswers: 2, ...faults };
  for (const [name, n] of Object.entries(most)) checkInteger(n, name, 0, 1_000);
  const sum = { orders: 0, events: 0, crashes: 0, freezes: 0, lostAnswers: 0 };
  for (const seed of seedsOf(options.seeds)) {
    const order = new Order(seed, scenario(), workers, worker, most);
    await order.play();
    sum.orders++;
    sum.events += order.events;
    for (const name of ACCIDENTS) sum[name] += most[name] - order.left[name];
  }
  return sum;
}

const ACCIDENTS: readonly (keyof Accidents)[] = ["crashes", "freezes", "lostAnswers"];

function seedsOf(seeds: InterleaveOptions["seeds"] = 100): readonly number[] {
  if (typeof seeds === "number")
    return Array.from({ length: checkInteger(seeds, "seeds", 1, 10_000_000) }, (_, i) => i + 1);
  if (Array.isArray(seeds))
    return seeds.map((seed) => checkInteger(seed, "a seed", 0, 2 ** 32 - 1));
  throw new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `seeds is ${show(seeds)}; give how many, or a list of them.`,
  );
}

class Order<Jobs extends readonly AnyJobDefinition[]> {
  readonly left: Accidents;
  private readonly conductor: Conductor;
  private workers: Process[] = [];
  private born = 0;
  /** How much had moved, and how many handlers ran, after the event before. */
  private before = "0 0";

  constructor(
    private readonly seed: number,
    private readonly scenario: Scenario<Jobs>,
    private readonly wanted: number,
    private readonly options: WorkerOptions,
    faults: Accidents,
  ) {
    this.left = { ...faults };
    this.conductor = new Conductor(seed);
  }

  get events(): number {
    return this.conductor.happened;
  }

  async play(): Promise<void> {
    const { conductor } = this;
    const author = new Process("scenario", conductor);
    const qudo = await this.newQudo(author);
    let over = false;
    let failure: unknown;
    const begin = actIn(author, () => this.scenario.run(qudo));
    const end = begin.catch((error: unknown) => (failure = error)).then(() => (over = true));
    try {
      await conductor.play(
        async () => over && (failure !== undefined || (await this.isDone())),
        () => this.between(),
      );
      await end;
      if (failure !== undefined) throw failure;
      for (const worker of this.workers) worker.die();
      conductor.release();
      await this.inspect(qudo);
    } catch (error) {
      throw this.broken(error);
    } finally {
      for (const worker of this.workers) worker.die();
      author.die();
      await conductor.database.close();
    }
  }

  /** Before each event: workers are replaced, and have accidents. */
  private async between(): Promise<void> {
    const { conductor, left } = this;
    const { last } = conductor;
    this.workers = this.workers.filter(({ life }) => life !== "dead");
    while (this.workers.length < this.wanted) await this.newWorker();
    const worker = this.workers.find((one) => one === last?.process) ?? this.anyWorker();
    const likely = LIKELY[this.moment()];
    const strikes = (accident: keyof Accidents): boolean =>
      left[accident] > 0 && conductor.chance() < likely;
    if (strikes("lostAnswers") && conductor.loseAnswer(worker)) left.lostAnswers--;
    if (strikes("crashes")) this.crash(worker);
    else if (strikes("freezes")) this.freeze(worker);
  }

  private moment(): keyof typeof LIKELY {
    const { ledger, handlers } = this.conductor;
    const { running } = handlers;
    const now = `${ledger.changes} ${running}`;
    const moved = now !== this.before;
    this.before = now;
    if (moved) return "moved";
    return running > 0 ? "running" : "else";
  }

  private crash(worker: Process): void {
    this.left.crashes--;
    this.conductor.tell(worker, "dies");
    worker.die();
  }

  private freeze(worker: Process): void {
    const { conductor } = this;
    if (worker.life !== "alive") return;
    this.left.freezes--;
    conductor.tell(worker, "stands still");
    worker.freeze();
    conductor.in(conductor.chance() * LONGEST_FREEZE_MS, () => {
      conductor.tell(worker, "goes on");
      worker.thaw();
    });
  }

  private anyWorker(): Process {
    return this.workers[Math.floor(this.conductor.chance() * this.workers.length)]!;
  }

  private async newWorker(): Promise<void> {
    const process = new Process(`worker ${++this.born}`, this.conductor);
    this.workers.push(process);
    const qudo = await this.newQudo(process);
    // It starts like everything else, in an order that chance decides.
    qudo.work({ signals: false, logger: SILENT, ...this.options }).catch(() => undefined);
  }

  /** Opened, and nothing asked of the database yet. */
  private async newQudo({ world }: Process): Promise<Qudo<Jobs>> {
    const { clock } = this.conductor.timeline;
    const databases = { url: "sqlite::memory:", clock };
    const options = { ...this.scenario.options, databases } as unknown as QudoOptions & {
      context: ContextOf<[]>;
    };
    const qudo = new Qudo(options, world) as unknown as Qudo<Jobs>;
    await qudo.label();
    return qudo;
  }

  /** Everything that some worker can do has been done. */
  private async isDone(): Promise<boolean> {
    const { database } = this.conductor;
    const kinds = new Set(this.scenario.options.jobs?.map(({ kind }) => kind));
    const lanes = (await database.counts({})).filter(
      ({ kind, paused }) => !paused && kinds.has(kind),
    );
    return lanes.every(
      ({ pending, failed, reserved, running }) => pending + failed + reserved + running === 0,
    );
  }

  private async inspect(qudo: Qudo<Jobs>): Promise<void> {
    const [breach] = await this.conductor.database.audit();
    if (breach !== undefined) throw new Error(`Invariant broken: ${JSON.stringify(breach)}`);
    await this.scenario.check?.(qudo);
  }

  private broken(cause: unknown): QudoError {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new QudoError(
      "QUDO_TEST_INTERLEAVING",
      `Seed ${this.seed}: ${why}\nPlay it again with seeds: [${this.seed}]. What happened last:\n${this.conductor.ending}`,
      { cause },
    );
  }
}

const nothing = (): void => undefined;
const SILENT = { debug: nothing, info: nothing, warn: nothing, error: nothing };
