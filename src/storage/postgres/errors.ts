/** PostgreSQL's SQLSTATEs in the words of the product. */
import { DatabaseError } from "../../core/errors.js";

const CONFLICTS: ReadonlySet<string> = new Set([
  "23505", // unique_violation: somebody else had the key first; a second look sees it
  "40001", // serialization_failure
  "40P01", // deadlock_detected
  "55P03", // lock_not_available
]);

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? "");

/** It met others: nothing happened, and the same again may succeed at once. */
export function isConflict(error: unknown): boolean {
  return error instanceof DatabaseError && CONFLICTS.has(codeOf(error.cause));
}

export function asDatabaseError(cause: unknown, label: string): DatabaseError {
  const because = cause instanceof Error ? cause.message : String(cause);
  return new DatabaseError(
    "QUDO_DATABASE_FAILED",
    `${label} refused a statement: ${because}.`,
    false,
    {
      cause,
    },
  );
}
