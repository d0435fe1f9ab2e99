/** What errors of servers have in common, whatever they are called there. */
import { DatabaseError } from "../../core/errors.js";

/** It met others, or a node that waits for others, and nothing happened: the same again may succeed at once. */
export class ConflictError extends DatabaseError {}

/** The connection is gone. Nothing has happened, unless a commit was on its way. */
export class LostError extends DatabaseError {}

/** The same error, where some of what was asked for may have happened all the same. */
export function perhaps(error: DatabaseError): DatabaseError {
  const { code, message, transient, cause } = error;
  const Class = error.constructor as typeof DatabaseError;
  return new Class(code, message, transient, { cause, happened: "perhaps" });
}
