/**
 * What a worker and a host (the thread or process in which one handler at a time runs) say to each other. All of it is plain
 * data that structured clone carries.
 */
import { encodeProgress } from "../../core/codec.js";
import type { JobContext } from "../../core/job.js";
import type { EnqueueOptions } from "../../core/order.js";
import type { LogLevel } from "../../core/states.js";

/** What a handler is told of its job: everything in its context that is a value. */
export type PlainContext = Pick<
  JobContext,
  | "id"
  | "kind"
  | "queue"
  | "database"
  | "attempt"
  | "run"
  | "maxAttempts"
  | "priority"
  | "payloadOrigin"
  | "elapsedMs"
>;

/** A job to run now. */
export interface Order {
  readonly job: PlainContext;
  readonly payload: unknown;
}

export type ToHost =
  | { readonly run: Order }
  /** Its signal is to be aborted, with this reason. */
  | { readonly abort: Packed }
  /** What came of a question: the ids of jobs, or why there are none. */
  | { readonly answer: number; readonly ids: readonly string[] }
  | { readonly answer: number; readonly refused: Packed }
  /** There is nothing more to do. */
  | "end";

export type FromHost =
  /** The module is loaded; these kinds are in it. */
  | { readonly kinds: readonly string[] }
  /** It cannot be loaded. */
  | { readonly unusable: Packed }
  /** The handler of the job that was sent is about to start. */
  | "begun"
  | { readonly log: Packed; readonly level: LogLevel }
  /** As JSON. */
  | { readonly progress: string }
  /** The handler has said how its run ends, and may go on. Result as JSON. */
  | { readonly done: string | null }
  | { readonly fail: Packed }
  /** Jobs that are to take the place of this one; answered under this number. */
  | { readonly replace: readonly PlainOrder[]; readonly ask: number }
  /** Its worker is to take no more jobs. */
  | "quit"
  | { readonly ended: Ending }
  /** The last thing it says: nobody caught this. */
  | { readonly dying: Packed };

/** A job that is to be enqueued. Its definition is the one that the Qudo of the worker has of its kind. */
export type PlainOrder = readonly [kind: string, payload: unknown, options?: EnqueueOptions];

/** How a handler ended. */
export type Ending =
  /** Result as JSON, null for none. */
  | { readonly result: string | null }
  | { readonly snoozeMs: number }
  | { readonly aborted: string }
  | "dequeued"
  | { readonly thrown: Packed };

/** Anything a handler throws or logs. An error crosses with what is kept of it; its class and further fields do not. */
export type Packed = { readonly error: PackedError } | { readonly value: unknown };

interface PackedError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: string | undefined;
}

export function packThrown(thrown: unknown): Packed {
  try {
    if (isError(thrown)) return { error: packError(thrown) };
    return { value: structuredClone(thrown) };
  } catch {
    return { value: textOf(thrown) };
  }
}

function packError(error: Error & { code?: unknown }): PackedError {
  const { name, message, stack, code } = error;
  return {
    name: String(name),
    message: String(message),
    stack: typeof stack === "string" ? stack : undefined,
    code: typeof code === "string" ? code : undefined,
  };
}

function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return "Something that cannot be read.";
  }
}

/** Also one from another realm. */
function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
}

export function unpackThrown(packed: Packed): unknown {
  if (!("error" in packed)) return packed.value;
  const { name, message, stack, code } = packed.error;
  const error = new Error(message);
  // As an error's own fields are: they do not show when it is listed.
  const fields = { name, stack, ...(code !== undefined && { code }) };
  for (const [key, value] of Object.entries(fields))
    Object.defineProperty(error, key, { value, writable: true, configurable: true });
  return error;
}

/** What a handler says of its progress, checked where it says so. @throws InvalidInputError. */
export const packProgress = (value: unknown): FromHost => ({ progress: encodeProgress(value) });
