/** What our statements stand on, whatever a server's defaults are, and how it is taken back from a session that is not ours. */
import type { Flavour } from "./flavour.js";

/** A process that stands still inside a transaction keeps others waiting for so long, and no longer. */
const IDLE_IN_TRANSACTION_S = 10;
/** Longer than a pool of ours keeps a connection that nobody uses. On MySQL it also bounds the above. */
const SILENT_S = 60;

type Variables = Readonly<Record<string, number | string>>;

/**
 * Any session in which our statements run.
 * - Without autocommit a statement that comes after a deadlock, which ends the transaction, begins another one that will be
 *   rolled back. With it that statement would be committed by itself.
 * - With safe updates a DELETE by key follows the key on MariaDB however small the table is, and anywhere one that follows
 *   none is an error.
 */
function needed({ name }: Flavour, statementTimeoutMs: number): Variables {
  return {
    autocommit: 0,
    completion_type: "NO_CHAIN",
    [name === "MySQL" ? "transaction_isolation" : "tx_isolation"]: "READ-COMMITTED",
    sql_mode: "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION",
    time_zone: "+00:00",
    foreign_key_checks: 1,
    sql_safe_updates: 1,
    // Shorter, or the time-out of the whole statement would always come first; to wait for a lock is no failure yet.
    innodb_lock_wait_timeout: Math.max(1, Math.floor(statementTimeoutMs / 2_000)),
    // Long lists of keys are looked up in the index, not made into a table first.
    ...(name === "MariaDB" && { in_predicate_conversion_threshold: 0 }),
  };
}

/** Of connections of ours, beyond that. A server may be told not to ask clients for their character set. */
function own({ name }: Flavour, statementTimeoutMs: number): Variables {
  return {
    character_set_client: "utf8mb4",
    character_set_results: "utf8mb4",
    collation_connection: "utf8mb4_bin",
    wait_timeout: SILENT_S,
    ...(name === "MySQL"
      ? { max_execution_time: statementTimeoutMs }
      : {
          max_statement_time: statementTimeoutMs / 1_000,
          idle_transaction_timeout: IDLE_IN_TRANSACTION_S,
        }),
  };
}

const written = (value: number | string): string =>
  typeof value === "number" ? String(value) : `'${value}'`;

/** Sets up a session of ours, for good. */
export function settle(flavour: Flavour, statementTimeoutMs: number): string {
  const all = { ...needed(flavour, statementTimeoutMs), ...own(flavour, statementTimeoutMs) };
  const set = Object.entries(all).map(([name, value]) => `session ${name} = ${written(value)}`);
  return `set ${set.join(", ")}`;
}

/** Lets one of ours take as long as it needs, and commit by itself. */
export function unhurried({ name }: Flavour): string {
  const limit = name === "MySQL" ? "max_execution_time" : "max_statement_time";
  return `set session autocommit = 1, session ${limit} = 0`;
}

/** Sets up somebody else's session, and notes in it how it was. */
export function borrow(flavour: Flavour, statementTimeoutMs: number): string {
  const all = Object.entries(needed(flavour, statementTimeoutMs));
  const noted = all.map(([name]) => `@qudo_${name} = @@session.${name}`);
  const set = all.map(([name, value]) => `session ${name} = ${written(value)}`);
  return `set ${[...noted, ...set].join(", ")}`;
}

/** Puts it back as it was. */
export function restore(flavour: Flavour): string {
  const set = Object.keys(needed(flavour, 0)).map((name) => `session ${name} = @qudo_${name}`);
  return `set ${set.join(", ")}`;
}
