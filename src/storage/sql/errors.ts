/** What errors of servers have in common, whatever they are called there. */
import { DatabaseError } from "../../core/errors.js";

/** An error of ours about a connection, told apart from those of the server and of the socket by its class. */
export class ConnectionLost extends Error {}

/** Nothing was heard on it for as long as was waited: others that were idle meanwhile are no better. */
export class Silence extends ConnectionLost {
  constructor(waitedMs: number | null) {
    super(`no answer for ${waitedMs} ms`);
  }
}

/** It met others, or a node that waits for others, and nothing happened: the same again may succeed at once. */
export class ConflictError extends DatabaseError {}

/** Between two looks of one transaction others claimed what it is about: it begins again, and finds it so. */
export function claimedMeanwhile(): ConflictError {
  return new ConflictError(
    "QUDO_DATABASE_BUSY",
    "Workers were claiming at this moment what this is about, again and again. Ask again.",
    true,
  );
}

/** The connection is gone. Nothing has happened, unless a commit was on its way. */
export class LostError extends DatabaseError {}

/** Whether the connection was given up because nobody answered. */
export function isSilent({ cause }: LostError): boolean {
  return cause instanceof Silence;
}

/** The same error, where some of what was asked for may have happened all the same. */
export function perhaps(error: DatabaseError): DatabaseError {
  const { code, message, transient, cause } = error;
  const Class = error.constructor as typeof DatabaseError;
  return new Class(code, message, transient, { cause, happened: "perhaps" });
}
