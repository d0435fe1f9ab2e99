/** A worker's settings, checked and completed. */
import { hostname } from "node:os";
import { DEFAULTS, LIMITS } from "../core/defaults.js";
import { durationMs, type Duration } from "../core/duration.js";
import { InvalidInputError } from "../core/errors.js";
import { checkIsolation, type Isolation } from "../core/isolation.js";
import { abilities, type AnyJobDefinition, type Registry } from "../core/job.js";
import type { KeepPolicyTimes } from "../core/keep.js";
import type { LimitSpec } from "../core/limits/spec.js";
import { checkFlag, checkInteger, checkName, checkOptions, show } from "../core/options.js";
import type { LimitDeclaration } from "../storage/driver.js";
import type { OnDie } from "./dying.js";
import { declarations } from "./limits.js";
import type { ShiftTimes } from "./shift.js";

/** Four methods that console and pino have. */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** What `qudo.work()` takes. */
export interface WorkerOptions {
  /** Queues to serve: names, or names with how many jobs run at once in each. Default: the queues of all registered kinds. */
  queues?: readonly string[] | Readonly<Record<string, number>>;
  /** Jobs at once in each queue that has no number of its own, over all databases together. Default 10. */
  concurrency?: number;
  /** What this worker is able to do: definitions, or their names. Jobs of other kinds stay untouched. Default: all that its Qudo was given. */
  kinds?: readonly (string | AnyJobDefinition)[];
  /**
   * At most so many jobs of a queue are taken at a look. Those that find no free place wait here, out of reach of others. Default: as
   * many as 50 ms of work are, up to 500.
   */
  batch?: number;
  /**
   * How long it waits, with nothing to do, before it looks again by itself; wake-ups end the wait. Default: 1 s where the database wakes
   * it, elsewhere 10 to 400 ms, the longer the quieter it is.
   */
  sleep?: Duration;
  /** It stops by itself when it has had nothing to do for so long, counted from its first look at the earliest. Default: it never does. */
  idleTimeout?: Duration;
  /** It stops by itself when so many runs have ended, over all queues and databases together. Default: no limit. */
  maxJobs?: number;
  /**
   * Hears of each run that fails because its handler threw or took too long, before that is written. What it throws itself is a
   * warning, and changes nothing.
   */
  onDie?: OnDie;
  /** Shown in `qudo status`. Default: host:pid. */
  name?: string;
  /** How long after this worker's last heartbeat others may take its jobs. At least 1 s. Default 30 s. */
  lease?: Duration;
  /**
   * SQLite files: how long after the main loop last came round its jobs are still kept for it, however blocked it is. A process
   * that hangs loses them only so much later. At least 1 s. Default 60 s.
   */
  watchdog?: Duration;
  /** How long handlers may go on after a signal, or after stop() where that names no time. Default 30 s. */
  grace?: Duration;
  /**
   * SIGTERM and SIGINT stop this worker; a second one gives back what still runs and ends the process. Where the
   * program has no listener of its own the process then ends by the signal. Default true.
   */
  signals?: boolean;
  /** Forgets, now and then, what has been kept for long enough (see `keep` of Qudo). Default true. */
  prune?: boolean;
  /** Runs all handlers in worker threads or child processes, but those whose definition says where (see `isolate` there). */
  isolate?: Isolation;
  /** The part of the time that each place may be busy, above 0: at 0.5 it rests after each job for as long as that took. Default 1. */
  throttle?: number;
  /** Default: warnings and errors go to the console. */
  logger?: Logger;
}

const KNOWN = [
  "queues",
  "concurrency",
  "kinds",
  "batch",
  "sleep",
  "idleTimeout",
  "maxJobs",
  "onDie",
  "name",
  "lease",
  "watchdog",
  "grace",
  "signals",
  "prune",
  "isolate",
  "throttle",
  "logger",
] as const satisfies readonly (keyof WorkerOptions)[];

const NOT_ONCE: readonly string[] = [
  "concurrency",
  "batch",
  "sleep",
  "idleTimeout",
  "maxJobs",
  "prune",
];
const KNOWN_ONCE = KNOWN.filter((name) => !NOT_ONCE.includes(name));

/** The times to keep are those of its Qudo. */
export interface WorkerSettings extends KeepPolicyTimes, ShiftTimes {
  /** What it says of limits when it starts. */
  readonly limits: readonly LimitDeclaration[];
  readonly queues: ReadonlyMap<string, number>;
  /** What it is able to do. */
  readonly abilities: Registry;
  readonly batch: number;
  /** Null: as the database allows. */
  readonly sleepMs: number | null;
  readonly onDie: OnDie | null;
  readonly name: string;
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  readonly watchdogMs: number;
  readonly unchangedBeatMs: number;
  readonly graceMs: number;
  readonly signals: boolean;
  readonly prune: boolean;
  /** Null for none but those that say so themselves. */
  readonly isolate: Isolation | null;
  readonly throttle: number;
  readonly logger: Logger;
}

/** How long a reaper must have seen the beat of a session with this lease stand still. */
export function unchangedBeatFor(leaseMs: number): number {
  return Math.min(DEFAULTS.unchangedBeatMs, Math.floor(leaseMs / 3));
}

export function workerSettings(
  options: WorkerOptions,
  registry: Registry,
  keep: KeepPolicyTimes = DEFAULTS,
  queueLimits: ReadonlyMap<string, LimitSpec | null> = new Map(),
): WorkerSettings {
  checkOptions(options, KNOWN, "work");
  const able = abilities(registry, options.kinds);
  const leaseMs = patience(options.lease, DEFAULTS.leaseMs, "lease");
  const watchdogMs = patience(options.watchdog, DEFAULTS.watchdogMs, "watchdog");
  return {
    limits: declarations(registry, queueLimits),
    queues: queueSizes(options, able),
    abilities: able,
    batch: checkInteger(options.batch ?? DEFAULTS.claimLimit, "batch", 1, LIMITS.rowsPerStatement),
    sleepMs: options.sleep === undefined ? null : pause(options.sleep, "sleep"),
    idleMs: options.idleTimeout === undefined ? null : pause(options.idleTimeout, "idleTimeout"),
    maxJobs: options.maxJobs === undefined ? null : atLeastOne(options.maxJobs, "maxJobs"),
    onDie: checkOnDie(options.onDie),
    name: checkName(options.name ?? `${hostname()}:${process.pid}`, "worker name"),
    leaseMs,
    heartbeatMs: Math.min(DEFAULTS.heartbeatMs, Math.floor(leaseMs / 3)),
    watchdogMs,
    unchangedBeatMs: unchangedBeatFor(leaseMs),
    graceMs:
      options.grace === undefined ? DEFAULTS.stopGraceMs : durationMs(options.grace, "grace"),
    signals: checkFlag(options.signals ?? true, "signals"),
    prune: checkFlag(options.prune ?? true, "prune"),
    isolate: options.isolate === undefined ? null : checkIsolation(options.isolate),
    throttle: checkThrottle(options.throttle ?? 1),
    keepDoneMs: keep.keepDoneMs,
    keepOtherMs: keep.keepOtherMs,
    keepCountsMs: keep.keepCountsMs,
    logger: checkLogger(options.logger),
  };
}

/** Those of a worker that runs a single job. */
export function onceSettings(
  options: object,
  registry: Registry,
  keep?: KeepPolicyTimes,
  queueLimits?: ReadonlyMap<string, LimitSpec | null>,
): WorkerSettings {
  checkOptions(options, KNOWN_ONCE, "workOnce");
  return workerSettings({ ...options, concurrency: 1, prune: false }, registry, keep, queueLimits);
}

function patience(value: Duration | undefined, usualMs: number, name: string): number {
  const ms = value === undefined ? usualMs : durationMs(value, name);
  return checkInteger(ms, `${name} (in ms)`, 1_000, 86_400_000);
}

/** Of nothing at all a worker would not come to rest. */
function pause(value: Duration, name: string): number {
  return checkInteger(durationMs(value, name), `${name} (in ms)`, 1, LIMITS.delayMs);
}

function atLeastOne(value: unknown, name: string): number {
  return checkInteger(value, name, 1, Number.MAX_SAFE_INTEGER);
}

function checkOnDie(value: unknown): OnDie | null {
  if (value === undefined) return null;
  if (typeof value === "function") return value as OnDie;
  throw new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `onDie is ${show(value)}; give a function: (error, job) => { … }.`,
  );
}

function queueSizes(
  { queues, concurrency }: WorkerOptions,
  registry: Registry,
): Map<string, number> {
  const usual = checkConcurrency(concurrency ?? DEFAULTS.concurrency);
  if (queues !== undefined && (Object(queues) !== queues || Object.keys(queues).length === 0))
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `queues is ${show(queues)}; give names, as in ["mail"], or places for each, as in { mail: 5 }.`,
    );
  if (queues !== undefined && !Array.isArray(queues))
    return new Map(
      Object.entries(queues).map(([name, n]) => [checkName(name, "queue"), checkConcurrency(n)]),
    );
  const names = queues ?? [...registry.values()].map((job) => job.queue);
  return new Map(names.map((name) => [checkName(name, "queue"), usual]));
}

function checkConcurrency(value: unknown): number {
  return checkInteger(value, "concurrency", 1, 10_000);
}

function checkThrottle(value: unknown): number {
  if (typeof value === "number" && value >= 0.001 && value <= 1) return value;
  throw new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `throttle is ${show(value)}; give the part of the time in which to work, from 0.001 to 1.`,
  );
}

/** Called as methods of their object; one that throws must not stop the work. */
export function checkLogger(logger: Logger = quietConsole): Logger {
  const level = (name: keyof Logger): ((message: string) => void) => {
    if (typeof (logger as Partial<Logger> | null)?.[name] !== "function")
      throw new InvalidInputError(
        "QUDO_INVALID_OPTION",
        "logger needs the methods debug, info, warn and error, as console has them.",
      );
    return (message) => {
      try {
        logger[name](message);
      } catch {
        // There is nowhere left to report it.
      }
    };
  };
  return {
    debug: level("debug"),
    info: level("info"),
    warn: level("warn"),
    error: level("error"),
  };
}

const quietConsole: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (message) => console.warn(message),
  error: (message) => console.error(message),
};
