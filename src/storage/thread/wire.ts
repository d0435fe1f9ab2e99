/** What is said between a driver's caller and the thread that it works in. */
import {
  DatabaseError,
  InvalidInputError,
  JobError,
  QudoError,
  RunLostError,
  SessionLostError,
} from "../../core/errors.js";
import type { Capabilities, Driver } from "../driver.js";

/** Called in one thread, done in the other. */
export type Operation = Exclude<keyof Driver, "label" | "capabilities" | "listens">;

/** Those that not every driver has. */
export const OPTIONAL = ["backup", "compact", "subscribe"] as const;

/** What a thread is born with. */
export interface Birth {
  /** The database, as `openDatabase` takes it, without anything live. */
  readonly database: Readonly<Record<string, unknown>>;
  readonly clock: SharedArrayBuffer | null;
  readonly pulse: SharedArrayBuffer;
  readonly exit: SharedArrayBuffer;
}

export interface Request {
  readonly id: number;
  readonly operation: Operation;
  readonly values: readonly unknown[];
}

/** The first message of a thread. */
export interface Opened {
  readonly label: string;
  readonly capabilities: Capabilities;
  readonly optional: readonly (typeof OPTIONAL)[number][];
}

/** Answers carry the number of their request; 0 is the opening. "changed" is for those who subscribed. */
export type Message =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: PackedError }
  | "changed";

export const OPENING = 0;

export interface PackedError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: unknown;
  readonly transient: unknown;
  readonly happened: unknown;
  readonly cause: string | undefined;
}

const CLASSES: readonly { readonly name: string; readonly prototype: Error }[] = [
  QudoError,
  InvalidInputError,
  DatabaseError,
  SessionLostError,
  RunLostError,
  JobError,
];

/** An error as it can cross: its cause goes as text. */
export function packError(thrown: unknown): PackedError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const { name, message, stack, cause, code, transient, happened } = error as Error &
    Partial<DatabaseError>;
  const because = cause === undefined ? undefined : String(cause);
  return { name, message, stack, code, transient, happened, cause: because };
}

/** The same class, code and message on this side; errors that are not of the product become plain ones. */
export function unpackError(packed: PackedError): Error {
  const { name, message, stack, cause, code, transient, happened } = packed;
  const error = new Error(message, cause === undefined ? undefined : { cause });
  const known = CLASSES.find((one) => one.name === name);
  if (known !== undefined) Object.setPrototypeOf(error, known.prototype);
  const more = {
    name,
    ...(code !== undefined && { code }),
    ...(transient !== undefined && { transient }),
    ...(happened !== undefined && { happened }),
  };
  // Where it went wrong is told by the other thread's stack.
  return Object.assign(error, more, stack !== undefined && { stack });
}
