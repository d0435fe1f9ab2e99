/** A worker's settings, checked and completed. */
import { hostname } from "node:os";
import { DEFAULTS } from "../core/defaults.js";
import { durationMs, type Duration } from "../core/duration.js";
import { InvalidInputError, QudoError } from "../core/errors.js";
import type { Registry } from "../core/job.js";
import type { KeepPolicyTimes } from "../core/keep.js";
import type { LimitSpec } from "../core/limits/spec.js";
import { checkFlag, checkInteger, checkName, checkOptions, show } from "../core/options.js";

import type { LimitDeclaration } from "../storage/driver.js";
import { declarations } from "./limits.js";

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
  /** Default: warnings and errors go to the console. */
  logger?: Logger;
}

const KNOWN = [
  "queues",
  "concurrency",
  "name",
  "lease",
  "watchdog",
  "grace",
  "signals",
  "prune",
  "logger",
] as const;

/** The times to keep are those of its Qudo. */
export interface WorkerSettings extends KeepPolicyTimes {
  /** What it says of limits when it starts. */
  readonly limits: readonly LimitDeclaration[];
  readonly queues: ReadonlyMap<string, number>;
  readonly name: string;
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  readonly watchdogMs: number;
  readonly unchangedBeatMs: number;
  readonly graceMs: number;
  readonly signals: boolean;
  readonly prune: boolean;
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
  if (registry.size === 0)
    throw new QudoError(
      "QUDO_NO_JOBS",
      "A worker needs job definitions: new Qudo({ databases, jobs: [defineJob(…)] }).",
    );
  const leaseMs = patience(options.lease, DEFAULTS.leaseMs, "lease");
  const watchdogMs = patience(options.watchdog, DEFAULTS.watchdogMs, "watchdog");
  return {
    limits: declarations(registry, queueLimits),
    queues: queueSizes(options, registry),
    name: checkName(options.name ?? `${hostname()}:${process.pid}`, "worker name"),
    leaseMs,
    heartbeatMs: Math.min(DEFAULTS.heartbeatMs, Math.floor(leaseMs / 3)),
    watchdogMs,
    unchangedBeatMs: unchangedBeatFor(leaseMs),
    graceMs:
      options.grace === undefined ? DEFAULTS.stopGraceMs : durationMs(options.grace, "grace"),
    signals: checkFlag(options.signals ?? true, "signals"),
    prune: checkFlag(options.prune ?? true, "prune"),
    keepDoneMs: keep.keepDoneMs,
    keepOtherMs: keep.keepOtherMs,
    keepCountsMs: keep.keepCountsMs,
    logger: checkLogger(options.logger),
  };
}

function patience(value: Duration | undefined, usualMs: number, name: string): number {
  const ms = value === undefined ? usualMs : durationMs(value, name);
  return checkInteger(ms, `${name} (in ms)`, 1_000, 86_400_000);
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

/** Called as methods of their object; one that throws must not stop the work. */
export function checkLogger(logger: Logger = quietConsole): Logger {
  const level = (name: keyof Logger): ((message: string) => void) => {
    if (typeof logger[name] !== "function")
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
