/** Options of consuming by hand, checked and completed. */
import { LIMITS } from "../../core/defaults.js";
import { durationMs } from "../../core/duration.js";
import { InvalidInputError } from "../../core/errors.js";
import type { KeepPolicyTimes } from "../../core/keep.js";
import { checkInteger, checkOptions, show } from "../../core/options.js";
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

/** Those of its worker. */
export function consumerSettings(
  queue: string,
  options: Omit<TaskQueueOptions, "kinds">,
  { registry }: Fetched,
  keep: KeepPolicyTimes,
): WorkerSettings {
  return workerSettings({ ...options, queues: { [queue]: 1 } }, registry, keep);
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
