/** What errors of servers have in common, whatever they are called there. */
import { DatabaseError } from "../../core/errors.js";

/** It met others, or a node that waits for others, and nothing happened: the same again may succeed at once. */
export class ConflictError extends DatabaseError {}

/** The connection is gone. Nothing has happened, unless a commit was on its way. */
export class LostError extends DatabaseError {
  /** The same, where one was. */
  perhaps(): LostError {
    const { code, message, transient, cause } = this;
    return new LostError(code, message, transient, { cause, happened: "perhaps" });
  }
}
