/** What prefork is told, checked and completed. */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { DEFAULTS } from "../../core/defaults.js";
import { durationMs, type Duration } from "../../core/duration.js";
import { InvalidInputError } from "../../core/errors.js";
import { checkFlag, checkInteger, checkOptions, show } from "../../core/options.js";
import { checkLogger, type Logger } from "../options.js";

/** What `prefork()` takes. */
export interface PreforkOptions {
  /** The program of each child, which calls `qudo.work()`: `new URL("./worker.js", import.meta.url)`, or a path. */
  script: string | URL;
  /** What it finds in `process.argv` behind its own name. Default: nothing. */
  args?: readonly string[];
  /** Children at once. Default: as many as the machine has processors. */
  processes?: number;
  /** Jobs after which a child leaves and another one takes its place, against what leaks. Default: never. */
  maxJobs?: number;
  /** How long a new child may take to be ready before a rolling restart is given up. Default 30 s. */
  startTimeout?: Duration;
  /** How long a child may take to end before it is killed; longer than the grace of its workers and 5 s. Default 45 s. */
  stopTimeout?: Duration;
  /** A child that was ready and has given no sign of life for so long is killed. Longer than the watchdog. Default 2 min. */
  silenceTimeout?: Duration;
  /** Answers HTTP at this port, or at "address:port": /live, /ready, and figures as JSON. Alone a port means 127.0.0.1; 0 any free one. */
  health?: number | string;
  /** SIGTERM and SIGINT stop it, a second one ends its children at once; SIGHUP restarts them one by one. Default true. */
  signals?: boolean;
  /** Default: warnings and errors go to the console. */
  logger?: Logger;
}

const KNOWN = [
  "script",
  "args",
  "processes",
  "maxJobs",
  "startTimeout",
  "stopTimeout",
  "silenceTimeout",
  "health",
  "signals",
  "logger",
] as const satisfies readonly (keyof PreforkOptions)[];

/** Where the health endpoint listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface PreforkSettings {
  readonly script: string;
  readonly args: readonly string[];
  readonly processes: number;
  readonly maxJobs: number | null;
  readonly startMs: number;
  readonly stopMs: number;
  readonly silentMs: number;
  readonly health: Address | null;
  readonly signals: boolean;
  readonly logger: Logger;
}

/** @throws InvalidInputError for an option that does not exist or cannot be, and for a script that is not there. */
export function preforkSettings(options: PreforkOptions): PreforkSettings {
  checkOptions(options ?? null, KNOWN, "prefork");
  const time = (name: "startTimeout" | "stopTimeout" | "silenceTimeout", usualMs: number): number =>
    options[name] === undefined ? usualMs : durationMs(options[name], name);
  const { processes = availableParallelism(), maxJobs, health } = options;
  return {
    script: checkScript(options.script),
    args: checkArgs(options.args ?? []),
    processes: checkInteger(processes, "processes", 1, 1_000),
    maxJobs: maxJobs === undefined ? null : checkInteger(maxJobs, "maxJobs", 1, 2 ** 31),
    startMs: time("startTimeout", DEFAULTS.childStartMs),
    stopMs: time("stopTimeout", DEFAULTS.childStopMs),
    silentMs: checkSilence(time("silenceTimeout", DEFAULTS.childSilentMs)),
    health: health === undefined ? null : addressOf(health),
    signals: checkFlag(options.signals ?? true, "signals"),
    logger: checkLogger(options.logger),
  };
}

function checkScript(script: unknown): string {
  if (typeof script !== "string" && !(script instanceof URL))
    throw invalid(`script is ${show(script)}; give the path or the file URL of a program.`);
  const text = String(script);
  const path = text.startsWith("file:") ? fileURLToPath(text) : resolve(text);
  if (!existsSync(path)) throw invalid(`script: there is no ${show(path)}.`);
  return path;
}

function checkArgs(args: unknown): readonly string[] {
  if (Array.isArray(args) && args.every((arg) => typeof arg === "string")) return args;
  throw invalid(`args is ${show(args)}; give a list of texts.`);
}

/** A sign comes once a second: a busy child must not be taken for a dead one. */
function checkSilence(ms: number): number {
  return checkInteger(ms, "silenceTimeout (in ms)", 3 * DEFAULTS.childSignMs, 86_400_000);
}

/** 8080, "8080", "0.0.0.0:8080", "[::1]:8080". */
export function addressOf(health: number | string): Address {
  const [, host, port] = /^(?:(\[[^\]]+\]|[^:\s]+):)?(\d{1,5})$/.exec(String(health)) ?? [];
  if (port === undefined || Number(port) > 65_535)
    throw invalid(
      `health is ${show(health)}; give a port, or an address and a port, as in "127.0.0.1:8080".`,
    );
  return { host: host?.replace(/^\[(.*)\]$/, "$1") ?? "127.0.0.1", port: Number(port) };
}

function invalid(message: string): InvalidInputError {
  return new InvalidInputError("QUDO_INVALID_OPTION", message);
}
