/** What errors of servers have in common, whatever they are called there. */
import { DatabaseError } from "../../core/errors.js";

/** It met others, or a node that waits for others, and nothing happened: the same again may succeed at once. */
export class ConflictError extends DatabaseError {}

/** The connection is gone. What was on its way may have happened. */
export class LostError extends DatabaseError {}
