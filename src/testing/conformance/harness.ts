/** What laws are written with: a database under test, and helpers that let a law read like the sentence it proves. */
import { deepEqual, equal } from "node:assert/strict";
import { CODEC_JSON, encodePayload } from "../../core/codec.js";
import { DEFAULTS } from "../../core/defaults.js";
import type { JobState } from "../../core/states.js";
import type {
  AttemptRow,
  Driver,
  JobRow,
  LaneCounts,
  NewJob,
  NewSession,
  PruneOutcome,
  ReapOutcome,
} from "../../storage/driver.js";
import { newId } from "../../storage/ids.js";
import { TestWorker } from "./worker.js";

/** What a database under test may offer beyond {@link Driver}; a law that needs one of them says so. */
export type Capability = keyof typeof CAPABILITIES;

/** Each capability, and what is missing where it is not there: the reason printed with a skipped law. */
export const CAPABILITIES = {
  clock: "the time of this database cannot be set, and laws do not sleep",
  commits: "commits of this database cannot be counted",
  identity:
    "who this database is cannot be set here: of several used as one each has a name of its own, and the tables' owner alone may write it",
  wakeups: "this engine tells nobody of writes: its workers poll",
} as const;

/** The database's time, moved by hand. */
export interface Clock {
  /** Milliseconds UTC. */
  now(): number;
  /** Sets it forward, or back for a negative number. */
  advance(ms: number): void;
}

/** One fresh database, made for one law. */
export interface TestDatabase {
  readonly driver: Driver;
  /** A second connection to the same database. The harness closes it. */
  connect(): Promise<Driver>;
  readonly clock?: Clock;
  /** Commits so far, over all connections. */
  commits?(): number;
  /** Closes the first connection and removes the database. */
  close(): Promise<void>;
}

/** What a law cares about in a job; {@link newJob} fills in the rest. */
export type JobSpec = Partial<NewJob>;

/** A job as a user would enqueue it, with what the law cares about put in its place. */
export function newJob(spec: JobSpec = {}): NewJob {
  return {
    id: newId(),
    queue: DEFAULTS.queue,
    kind: "mail",
    priority: 0,
    delayMs: 0,
    runAt: null,
    expiresAt: null,
    maxAttempts: DEFAULTS.maxAttempts,
    timeoutMs: null,
    keepDoneMs: null,
    keepOtherMs: null,
    redact: null,
    payload: jsonPayload({ to: "you" }),
    uniqueKey: null,
    ...spec,
  };
}

/** A value as the payload of a {@link NewJob}. */
export function jsonPayload(value: unknown): NewJob["payload"] {
  return { codec: CODEC_JSON, text: encodePayload(value), bin: null };
}

/** `n` of whatever `make` makes. */
export function times<T>(n: number, make: (i: number) => T): T[] {
  return Array.from({ length: n }, (_, i) => make(i));
}

/** What a law is given. */
export class Harness {
  private readonly connections: Driver[] = [];

  constructor(private readonly database: TestDatabase) {}

  get driver(): Driver {
    return this.database.driver;
  }

  get clock(): Clock {
    return this.database.clock ?? undeclared("clock");
  }

  /** Commits that `work` takes. */
  async commitsOf(work: () => Promise<unknown>): Promise<number> {
    const count = (): number => this.database.commits?.() ?? undeclared("commits");
    const before = count();
    await work();
    return count() - before;
  }

  /** One more connection to the same database; it is closed when the law ends. */
  async connect(): Promise<Driver> {
    const driver = await this.database.connect();
    this.connections.push(driver);
    return driver;
  }

  /** Inserts one job, which must be new, and returns its id. */
  async enqueue(spec: JobSpec = {}): Promise<string> {
    return (await this.enqueueAll([spec]))[0]!;
  }

  /** Inserts jobs in one call, all of which must be new, and returns their ids. */
  async enqueueAll(specs: readonly JobSpec[]): Promise<string[]> {
    const jobs = specs.map(newJob);
    const outcomes = await this.driver.insertJobs(jobs);
    deepEqual(
      outcomes,
      jobs.map(() => ({ status: "inserted" })),
      "the jobs are inserted",
    );
    return jobs.map((job) => job.id);
  }

  /** A worker with an open session. */
  worker(driver: Driver = this.driver, spec?: Partial<NewSession>): Promise<TestWorker> {
    return TestWorker.open(driver, spec);
  }

  /** The worker's process is gone: its session is reaped at the beat it has now. */
  async kill(worker: TestWorker): Promise<ReapOutcome> {
    const row = (await this.driver.sessions()).find((s) => s.id === worker.session);
    const dead = { id: worker.session, beat: row?.beat ?? 0, cause: "gone", leaseMs: 0 } as const;
    return (await this.driver.reap([dead]))[0]!;
  }

  /** The job's row, which must be there. */
  async job(id: string): Promise<JobRow> {
    const [row] = await this.driver.getJobs([id]);
    if (row === null || row === undefined) throw new Error(`the job ${id} is gone`);
    return row;
  }

  /** Fails unless the job is in this state now. */
  async assertState(id: string, state: JobState): Promise<void> {
    equal((await this.job(id)).state, state, "state of the job");
  }

  /** Every attempt of a job, oldest first. */
  async attempts(id: string): Promise<AttemptRow[]> {
    const { rows } = await this.driver.listAttempts({ limit: 10_000 });
    return rows.filter((row) => row.job === id);
  }

  /** Counts over all lanes as one row. */
  async totals(): Promise<Omit<LaneCounts, "queue" | "kind" | "paused" | "dueSince">> {
    const sum = { pending: 0, failed: 0, delayed: 0, reserved: 0, running: 0 };
    const total = { ...sum, done: 0, abandoned: 0, cancelled: 0 };
    for (const lane of await this.driver.counts({}))
      for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += lane[key];
    return total;
  }

  /** Cancels one job. */
  async cancel(id: string): Promise<void> {
    deepEqual(await this.driver.cancel([id]), ["cancelled"], "the job is cancelled");
  }

  /** Retries one job. */
  async retry(id: string): Promise<void> {
    deepEqual(await this.driver.retry([id]), [{ status: "requeued" }], "the job is requeued");
  }

  /** Every scan of jobs from its beginning, with nothing kept longer than it must be. Returns how many jobs went. */
  async prune({ doneMs = 0, otherMs = 0 } = {}): Promise<number> {
    let gone = 0;
    for (const scan of ["done", "other", "own"] as const) {
      const keepMs = scan === "done" ? doneMs : otherMs;
      for (let after: string | null = null, more = true; more;) {
        const step: PruneOutcome = await this.driver.prune({ scan, keepMs, after, limit: 100 });
        gone += step.pruned;
        ({ after, more } = step);
      }
    }
    return gone;
  }

  /** Closes the connections that the law opened. */
  async end(): Promise<void> {
    for (const connection of this.connections) await connection.close();
  }
}

function undeclared(capability: Capability): never {
  throw new Error(`the law uses "${capability}" and must say so in requires`);
}

/** Waits for a signal, and fails when it has not come in time. */
export async function within<T>(ms: number, what: string, signal: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([signal, late]);
  } finally {
    clearTimeout(timer);
  }
}
