/** In a transaction of the user's, where there are several databases: the one that it is on, and no other. Nothing is failed over. */
import { InvalidInputError } from "../../core/errors.js";
import type { UserTransaction } from "../driver.js";

/** Databases of one kind, which look at what a user gave together. */
export interface Candidates {
  /** For people: "a (sqlite:a.db)". */
  readonly names: readonly string[];
  /** @throws InvalidInputError QUDO_WRONG_DATABASE when that is on none of them, or nothing of their kind. */
  enter(given: unknown): UserTransaction;
}

/**
 * The first that know what was given. Servers may tell only at the first statement that it is on none of theirs.
 * @throws InvalidInputError QUDO_WRONG_DATABASE when none of them does.
 */
export function transactionOnOneOf(
  given: unknown,
  candidates: readonly Candidates[],
): UserTransaction {
  let reason: unknown;
  for (const { enter } of candidates)
    try {
      return enter(given);
    } catch (error) {
      if (!(error instanceof InvalidInputError) || error.code !== "QUDO_WRONG_DATABASE")
        throw error;
      reason = error;
    }
  // What is wrong with it may be said by one alone.
  if (candidates.length === 1 && candidates[0]!.names.length === 1) throw reason;
  const names = candidates.flatMap((one) => one.names).join(", ");
  throw new InvalidInputError(
    "QUDO_WRONG_DATABASE",
    `That is no handle or transaction on one of the queue's databases: ${names}. A transaction can hold both only in one database. Give the open SQLite handle, or what your library gives inside its transaction on one of those servers.`,
    { cause: reason },
  );
}
