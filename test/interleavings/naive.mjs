/**
 * Engines as one writes them first, made from ours by rewriting its statements. The systematic test must catch them:
 * a net that lets these through would let anything through.
 */

/** @type {(from: string, to: string) => (sql: string) => string} */
const swap = (from, to) => (sql) => sql.replace(from, to);

/** @type {Readonly<Record<string, (sql: string) => string>>} */
export const VARIANTS = {
  none: (sql) => sql,

  /** Every statement for itself: what a driver does that forgets the transaction. */
  autocommit: (sql) => (/^(begin|commit|rollback)/.test(sql) ? "select 1" : sql),

  /** Looks first, takes the lock when it comes to writing. */
  deferred: swap("begin immediate", "begin"),

  /** The last outcome of a run counts, not the first. */
  lastOutcomeWins: swap(
    "insert or ignore into qudo_outcome",
    "insert or replace into qudo_outcome",
  ),

  /** Interleaving 4: a heartbeat that makes its session when it finds none. */
  upsertedHeartbeat: swap(
    "update qudo_worker set beat = beat + 1, seen_at = ? where id = ?",
    `insert into qudo_worker (seen_at, id, name, host, pid, lease_ms, beat, started_at, kinds, version)
       values (?, ?, 'upserted', '', 0, 1000, 0, 0, '[]', '')
       on conflict (id) do update set beat = beat + 1, seen_at = excluded.seen_at`,
  ),

  /** Prunes what a lease still lists. */
  blindPrune: swap("select jobs from qudo_lease", "select jobs from qudo_lease where false"),

  /** Whoever gives an old run up frees the key, though the job lives again. */
  keyOfNextLife: (sql) => sql.replace(/^(delete from qudo_unique_key where job_id = \?).*/s, "$1"),

  /** The newest job with a unique key has it. */
  stolenKey: swap(
    "insert or ignore into qudo_unique_key",
    "insert or replace into qudo_unique_key",
  ),
};
