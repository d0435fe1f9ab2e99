/** Options of consuming by hand, checked and completed. */
import { LIMITS } from "../../core/defaults.js";
import { durationMs } from "../../core/duration.js";
import { InvalidInputError } from "../../core/errors.js";
import type { KeepPolicyTimes } from "../../core/keep.js";
import type { LimitSpec } from "../../core/limits/spec.js";
import { checkInteger, checkOptions, show } from "../../core/options.js";
import { declarations } from "../limits.js";
import { workerSettings, type WorkerSettings } from "../options.js";
import type { EachOptions, FetchOptions, MessageOptions, TaskQueueOptions } from "./api.js";
import type { Wish } from "./desk.js";
import type { Fetched } from "./kinds.js";

const KNOWN = [
  "kinds",
  "lease",
  "watchdog",
  "grace",
  "signals",
  "name",
  "prune",
  "logger",
] as const satisfies readonly (keyof TaskQueueOptions)[];

const MESSAGE = [
  "id",
  "delay",
  "runAt",
  "expiresAt",
  "priority",
  "maxAttempts",
  "uniqueKey",
  "keep",
] as const satisfies readonly (keyof MessageOptions)[];

/** What its Qudo was given. */
interface Declaring {
  readonly keep: KeepPolicyTimes;
  readonly queueLimits: ReadonlyMap<string, LimitSpec | null>;
}

/** Those of its worker. Of kinds that it only knows by name it says nothing: who has their definitions says what limits them. */
export function consumerSettings(
  queue: string,
  options: Omit<TaskQueueOptions, "kinds">,
  { registry, defined }: Fetched,
  { keep, queueLimits }: Declaring,
): WorkerSettings {
  const settings = workerSettings({ ...options, queues: { [queue]: 1 } }, registry, keep);
  return { ...settings, limits: declarations(defined, queueLimits) };
}

export function checkTaskQueueOptions(options: TaskQueueOptions): void {
  checkOptions(options, KNOWN, "queue");
}

export function checkMessageOptions(options: MessageOptions): void {
  checkOptions(options, MESSAGE, "addMsg");
}

/** What a fetch asks for. */
export function wishOf(max: number, options: FetchOptions, where: string): Wish {
  checkOptions(options, ["signal", "timeout"], where);
  const { signal, timeout } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `signal is ${show(signal)}; give an AbortSignal.`,
    );
  const timeoutMs = timeout === undefined ? null : durationMs(timeout, "timeout");
  if (timeoutMs !== null) checkInteger(timeoutMs, "timeout (in ms)", 0, LIMITS.timerMs);
  return { max: checkMax(max, "max"), timeoutMs, signal };
}

/** The size of its fetches, and what each of them takes. */
export function eachOf({ batch = 1, ...options }: EachOptions): {
  batch: number;
  options: FetchOptions;
} {
  wishOf(1, options, "each");
  return { batch: checkMax(batch, "batch"), options };
}

function checkMax(value: unknown, what: string): number {
  return checkInteger(value, what, 1, LIMITS.rowsPerStatement);
}
