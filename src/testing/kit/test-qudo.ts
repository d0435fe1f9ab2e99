/** A queue for tests: a database in memory, a clock that stands still until it is moved, workers that can be killed. */
import { durationMs, type Duration } from "../../core/duration.js";
import type { AnyJobDefinition, ContextOf } from "../../core/job.js";
import { InvalidInputError } from "../../core/errors.js";
import { checkInteger, checkOptions, show } from "../../core/options.js";
import type { NeedsContext, QudoOptions } from "../../qudo-options.js";
import { Qudo } from "../../qudo.js";
import type { SqliteDatabase } from "../../storage/database.js";
import type { World } from "../../storage/world.js";
import type { WorkerOptions } from "../../worker/options.js";
import { AutoStage } from "./auto-stage.js";
import { chanceOf } from "./chance.js";
import { Drain, type Drained, type DrainOptions } from "./drain.js";
import { expectEnqueued, type Expected, type Found } from "./expect.js";
import { Process, type CrashPoint } from "./process.js";
import { WorkerProcess } from "./worker-process.js";
import { Timeline } from "./timeline.js";

/** What {@link testQudo} is made with: what `new Qudo` takes, but for the database. */
export interface TestQudoOptions<Jobs extends readonly AnyJobDefinition[]> extends Omit<
  QudoOptions<Jobs>,
  "databases" | "placement" | "retrySeconds"
> {
  /** Your own open SQLite handle, for code that enqueues in transactions of its own. Default: a database in memory. */
  handle?: SqliteDatabase["handle"];
  /** Makes each Qudo, for programs with a function of their own for that. Default: `new Qudo({ …, databases }, world)`. */
  create?: (given: TestWorld) => Qudo<Jobs>;
  /** The time at which it begins. Default: now. */
  start?: Date | number;
  /** Of what is left to chance, such as jitter. Default 1: each run of a test is given the same. */
  seed?: number;
  /** Real milliseconds for which a handler is waited for before time is moved. Default 1,000. */
  patience?: number;
}

/** What a Qudo on the stage is made with. */
export interface TestWorld {
  readonly databases: SqliteDatabase;
  readonly world: World;
}

const KNOWN = ["handle", "create", "start", "seed", "patience", "jobs", "context"] as const;
const PATIENCE_MS = 1_000;
const POINTS: readonly CrashPoint["after"][] = ["claim", "start", "handler", "settle"];

/**
 * A queue in memory whose time stands still: `advance` moves it, `drain` moves it as far as there is work. Close it at the end, or
 * hold it with `await using`.
 * @throws InvalidInputError for an option that does not exist.
 */
export async function testQudo<const Jobs extends readonly AnyJobDefinition[]>(
  options: TestQudoOptions<Jobs> & NeedsContext<Jobs>,
): Promise<TestQudo<Jobs>> {
  const kit = new TestQudo<Jobs>(options);
  await kit.qudo.migrate();
  return kit;
}

/** Made by {@link testQudo}. */
export class TestQudo<
  const Jobs extends readonly AnyJobDefinition[] = readonly AnyJobDefinition[],
> implements AsyncDisposable {
  /** The test's own queue: what it enqueues here, workers on the stage find. Closed with this. */
  readonly qudo: Qudo<Jobs>;
  private readonly stage: AutoStage;
  private readonly drainer: Drain;
  private readonly create: (process: Process) => Qudo<Jobs>;
  private readonly workers = new Set<WorkerProcess>();
  private readonly own: Process;

  constructor(options: TestQudoOptions<Jobs> & NeedsContext<Jobs>) {
    const { handle, create, start, seed = 1, patience = PATIENCE_MS, ...rest } = options ?? {};
    // What else there is goes to new Qudo, which knows it or refuses it; where the jobs are is not for the test to say.
    for (const name of ["databases", "placement", "retrySeconds"])
      if (name in rest) checkOptions({ [name]: null }, KNOWN, "testQudo");
    checkInteger(patience, "patience (in ms)", 0, 60_000);
    const timeline = new Timeline(start);
    this.stage = new AutoStage(timeline, chanceOf(seed));
    const { clock } = timeline;
    const databases: SqliteDatabase =
      handle === undefined ? { url: "sqlite::memory:", clock } : { handle, clock };
    const make = create ?? (({ databases, world }) => newQudo({ ...rest, databases }, world));
    this.create = ({ world }) => make({ databases, world }) as Qudo<Jobs>;
    this.own = new Process("test", this.stage);
    this.qudo = this.create(this.own);
    this.drainer = new Drain(this.stage, this.qudo, patience);
  }

  /** What time it is, for workers and database alike. */
  now(): Date {
    return new Date(this.stage.timeline.clock());
  }

  /**
   * Lets so much time pass. What comes due meanwhile happens in order, each at its moment: workers beat, promote, retry, reap. Without
   * a worker nothing but time passes.
   */
  async advance(duration: Duration): Promise<Drained> {
    return this.drainer.advance(durationMs(duration, "advance"));
  }

  /**
   * Works until there is nothing left that will ever run: what is due now, retries, delays, and what dead workers held, moving
   * the time from one to the next. Where no worker lives one is started for it, on all queues that hold jobs.
   * @throws QudoError QUDO_TEST_STUCK when that has no end.
   */
  drain(options: DrainOptions = {}): Promise<Drained> {
    return this.drainer.drain(options);
  }

  /** Moves the time on until this has settled, and answers with it. @throws what it throws; QUDO_TEST_STUCK. */
  until<T>(promise: Promise<T>): Promise<T> {
    return this.drainer.until(promise);
  }

  /** Starts a worker in a process of its own: one that can be frozen, and killed. */
  async work(options: WorkerOptions = {}): Promise<WorkerProcess> {
    const worker = await this.start(options, null);
    await this.quiet();
    return worker;
  }

  /**
   * Starts a worker that dies at this point of a job's way, as by `kill -9`, and waits for its death. What it held comes back when its
   * lease has run out.
   * @throws QudoError QUDO_TEST_STUCK when there is no job at which it could die.
   */
  async crashWorker(point: CrashPoint, options: WorkerOptions = {}): Promise<WorkerProcess> {
    checkOptions(point, ["after", "job"], "crashWorker");
    if (!POINTS.includes(point.after))
      throw new InvalidInputError(
        "QUDO_INVALID_OPTION",
        `crashWorker knows no point ${show(point.after)}. There are: ${POINTS.join(", ")}.`,
      );
    const worker = await this.start(options, point);
    await this.drainer.dies(worker.process, point.after);
    return worker;
  }

  /**
   * Finds jobs of this kind that were enqueued, whatever became of them, and answers with them.
   * @throws QudoError QUDO_TEST_EXPECTED when there is none, or another number than `times`.
   */
  expectEnqueued(job: AnyJobDefinition, expected: Expected = {}): Promise<readonly Found[]> {
    return expectEnqueued(this.qudo, job, expected);
  }

  /** Resolves when nothing more happens without time passing. */
  quiet(): Promise<void> {
    return this.drainer.quiet();
  }

  /** Stops the workers that live, and closes the queue. */
  async close(): Promise<void> {
    for (const worker of this.workers) await worker.end();
    // Nobody would move the time for which its handlers wait.
    if (this.stage.handlers.running > 0) this.own.die();
    else await this.qudo.close();
    await this.stage.database.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async start(options: WorkerOptions, doom: CrashPoint | null): Promise<WorkerProcess> {
    const process = new Process(`worker ${this.workers.size + 1}`, this.stage);
    process.doom = doom;
    const qudo = this.create(process);
    const running = await qudo.work({ signals: false, ...options });
    const worker = new WorkerProcess(process, qudo, running, this.stage.handlers);
    this.workers.add(worker);
    return worker;
  }
}

/** The context has been demanded of whoever gave the options. */
function newQudo(options: object, world: World): Qudo {
  return new Qudo(options as QudoOptions & { context: ContextOf<[]> }, world);
}
