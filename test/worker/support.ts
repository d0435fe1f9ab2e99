/** What the tests of producers and workers share: files of their own, handles that count, waits on conditions. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, expect } from "vitest";
import { DEFAULTS } from "../../src/core/defaults.js";
import { registry, type AnyJobDefinition } from "../../src/core/job.js";
import { Qudo, type AttemptInfo, type Logger, type WorkerOptions } from "../../src/index.js";
import type { Driver, NewJob } from "../../src/storage/driver.js";
import { openDatabase } from "../../src/storage/open.js";
import { openSqlite, type HandleLike } from "../../src/storage/sqlite/index.js";
import { newId } from "../../src/storage/ids.js";
import { workerSettings } from "../../src/worker/options.js";
import type { Surroundings } from "../../src/worker/surroundings.js";
import { Worker } from "../../src/worker/worker.js";
import { newAddress, onServer } from "./engine.js";

// — files

/** In memory where the system has such a place. */
const BASE = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
let folder: string | undefined;
let files = 0;

/** A path that no test had before; removed after the file's last test. */
export function newPath(): string {
  folder ??= mkdtempSync(join(BASE, "qudo-worker-"));
  return join(folder, `${++files}.db`);
}

/** The same for a database of whatever engine this run is on: its address. */
export function newDatabase(): string {
  return onServer ? newAddress() : `sqlite:${newPath()}`;
}

afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  folder = undefined;
});

const opened: Qudo[] = [];

/** Closed after the test, its workers stopped without much patience. `database`: an address, or the path of a file. */
export function newQudo(jobs: readonly AnyJobDefinition[], database = newDatabase()): Qudo {
  const qudo = new Qudo({ databases: addressOf(database), jobs });
  opened.push(qudo);
  return qudo;
}

const addressOf = (database: string): string =>
  /^\w+:/.test(database) ? database : `sqlite:${database}`;

/** Closed after the test, whoever opened it. */
export function closing<Q extends Qudo>(qudo: Q): Q {
  opened.push(qudo);
  return qudo;
}

afterEach(async () => {
  for (const qudo of opened.splice(0).toReversed()) await qudo.close();
});

// — handles

interface SqliteModule {
  DatabaseSync: new (path: string) => HandleLike;
}

async function loadDatabase(): Promise<SqliteModule> {
  try {
    return createRequire(import.meta.url)("node:sqlite") as SqliteModule;
  } catch {
    return (await import("@photostructure/sqlite")) as unknown as SqliteModule;
  }
}

const { DatabaseSync } = await loadDatabase();

/** A user's own connection. */
export function openHandle(path: string): HandleLike {
  return new DatabaseSync(path);
}

/** Watches what is written through a handle. */
export interface Watch {
  readonly handle: HandleLike;
  /** Write transactions that were committed. */
  commits: number;
  /** Jobs inserted by each of them. */
  readonly inserts: number[];
  /** Thrown instead of the next commit of a write, once. */
  failNext: Error | null;
}

/** A real handle behind a proxy, given to the engine as a user's own. */
export function watchedHandle(path = newPath()): Watch {
  const real = new DatabaseSync(path);
  real.exec("pragma busy_timeout=5");
  real.exec("pragma journal_mode=wal");
  let writing = false;
  let inserted = 0;
  const before = (sql: string): void => {
    if (sql.startsWith("begin")) {
      writing = sql === "begin immediate";
      inserted = 0;
    }
    if (sql.includes("into qudo_job")) inserted++;
    if (sql === "commit" && writing && watch.failNext !== null) {
      const error = watch.failNext;
      watch.failNext = null;
      throw error;
    }
  };
  const after = (sql: string): void => {
    if (sql !== "commit" || !writing) return;
    watch.commits++;
    if (inserted > 0) watch.inserts.push(inserted);
  };
  const watch: Watch = {
    commits: 0,
    inserts: [],
    failNext: null,
    handle: {
      exec: (sql) => real.exec(sql),
      close: () => real.close(),
      get isTransaction() {
        return real.isTransaction ?? false;
      },
      prepare(sql) {
        const statement = real.prepare(sql);
        return {
          get: (...values) => statement.get(...values),
          all: (...values) => statement.all(...values),
          run(...values) {
            before(sql);
            const result = statement.run(...values);
            after(sql);
            return result;
          },
        };
      },
    },
  };
  return watch;
}

// — workers made by hand, to stand between them and the database

export interface Bench {
  readonly driver: Driver;
  worker(options?: WorkerOptions, through?: Partial<Driver>, surroundings?: Surroundings): Worker;
}

/** A migrated database and a way to start workers whose driver differs in a few operations. */
export async function newBench(
  jobs: readonly AnyJobDefinition[],
  database = newDatabase(),
  clock?: () => number,
): Promise<Bench> {
  const driver = await (clock === undefined
    ? openDatabase(addressOf(database))
    : openSqlite({ path: database.replace("sqlite:", ""), clock }));
  await driver.migrate();
  const known = registry(jobs);
  const workers: Worker[] = [];
  benches.push({ driver, workers });
  return {
    driver,
    worker(options = {}, through = {}, surroundings = {}) {
      const settings = workerSettings({ logger: silent(), ...options }, known);
      const worker = new Worker({ ...driver, ...through }, known, settings, surroundings);
      workers.push(worker);
      return worker;
    },
  };
}

const benches: { driver: Driver; workers: Worker[] }[] = [];

afterEach(async () => {
  for (const { driver, workers } of benches.splice(0)) {
    await Promise.allSettled(workers.map((worker) => worker.stop()));
    await driver.close();
  }
});

/** A logger that keeps its lines to itself. */
export function silent(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const keep = (message: string): void => void lines.push(message);
  return { lines, debug: keep, info: keep, warn: keep, error: keep };
}

/** A job as the driver takes it. */
export const order = (kind: string, more: Partial<NewJob> = {}): NewJob => ({
  id: newId(),
  queue: "default",
  kind,
  priority: 0,
  delayMs: 0,
  runAt: null,
  expiresAt: null,
  maxAttempts: 6,
  timeoutMs: null,
  keepDoneMs: null,
  keepOtherMs: null,
  redact: null,
  uniqueKey: null,
  payload: { codec: 1, text: "1", bin: null },
  ...more,
});

// — figures

type Figures = { -readonly [K in keyof typeof DEFAULTS]: number };
const asShipped = { ...DEFAULTS };

/** Other figures than the shipped ones, until the end of the test. */
export function tune(figures: Partial<Omit<Figures, "queue">>): void {
  Object.assign(DEFAULTS, figures);
}

afterEach(() => {
  Object.assign(DEFAULTS, asShipped);
});

// — waiting

/** A promise and the way to settle it. */
export interface Gate<T = void> {
  readonly passed: Promise<T>;
  open(value: T): void;
}

export function gate<T = void>(): Gate<T> {
  let open!: (value: T) => void;
  const passed = new Promise<T>((resolve) => (open = resolve));
  return { passed, open };
}

/** Resolves as soon as the condition holds; fails with its name when it does not in time. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  withinMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Waited ${withinMs} ms in vain: ${what}`);
    await sleep(5);
  }
}

// — looking

export async function attemptsOf(qudo: Qudo, job?: string): Promise<AttemptInfo[]> {
  const all: AttemptInfo[] = [];
  for await (const attempt of qudo.attempts.list())
    if (job === undefined || attempt.job === job) all.push(attempt);
  return all;
}

/** Jobs by state over all queues and kinds. */
export async function totals(qudo: Qudo): Promise<Record<string, number>> {
  const sum: Record<string, number> = {};
  for (const lane of await qudo.monitor.counts())
    for (const [key, n] of Object.entries(lane))
      if (typeof n === "number") sum[key] = (sum[key] ?? 0) + n;
  return sum;
}

export async function expectSound(qudo: Qudo): Promise<void> {
  expect((await qudo.doctor()).violations).toEqual([]);
}

/** The error a call was refused with. */
export async function refused(call: Promise<unknown>): Promise<Error & { code?: string }> {
  const outcome = await call.then(
    () => null,
    (error: unknown) => error as Error,
  );
  if (outcome === null) throw new Error("it was accepted");
  return outcome;
}
