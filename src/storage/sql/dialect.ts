/** Where the engines behind a server speak differently: what the shared operations leave to each of them. */
import type { Tx } from "./database.js";
import type { LeaseEntry } from "./lease.js";
import type { Query, Value } from "./query.js";
import type { RowOf, Shape, ColumnType } from "./rows.js";

/** Every table by its bare name, with schema and prefix, quoted. */
export const TABLES = [
  "meta",
  "lane",
  "queue",
  "job",
  "ready",
  "delayed",
  "worker",
  "lease",
  "running",
  "outcome",
  "unique_key",
  "job_log",
  "tally",
  "rule",
  "held",
  "slot",
  "bucket",
] as const;

export type Tables = Readonly<Record<(typeof TABLES)[number], Query>>;

/** A waiting row of ready, or of delayed. */
export const WAITING = {
  lane: "int",
  prio: "int",
  run_at: "int",
  id: "id",
  run: "int",
  fails: "int",
  crashes: "int",
} as const satisfies Shape;

export type WaitingRow = RowOf<typeof WAITING>;

/** A waiting row of a key. */
export const KEYED = { ...WAITING, limit_hash: "id" } as const satisfies Shape;

export type KeyedRow = RowOf<typeof KEYED>;

/** A row that is to be placed; without a hash, or with null, it has no key to wait its turn for. */
export type PlacedRow = WaitingRow & { readonly limit_hash?: string | null };

/** A row's key in ready, within its lane. */
export type Place = Pick<WaitingRow, "prio" | "run_at" | "id">;

/** A lease row. Ids here are text. */
export interface LeaseRow {
  readonly id: string;
  readonly worker: string;
  readonly entries: readonly RunOfLease[];
}

/** One run that a lease lists. */
export interface RunOfLease {
  readonly id: string;
  readonly run: number;
}

/** How many jobs of which lane a claim wants at most. */
export interface Take {
  readonly lane: number;
  readonly limit: number;
  /** Only what comes after this; left out: from the lane's beginning. */
  readonly after?: Place;
}

/**
 * "update": waits for whoever has it; "nowait": fails at once, and the transaction begins again or gives up. "share": others
 * may share the row, but not delete it.
 */
export type Lock = "none" | "share" | "update" | "nowait" | "skip";

/** What happened in one minute, lane, event and session. */
export const TALLY = {
  minute: "int",
  lane: "int",
  event: "int",
  session: "id",
  n: "int",
} as const satisfies Shape;

export interface Dialect {
  readonly tables: Tables;
  /**
   * Unique keys of one call are taken in one transaction, in the order of their hashes. False: each in a transaction of its
   * own, because there inserts of several rows into a much used unique index end in deadlocks (RELIABILITY, 12).
   */
  readonly uniqueKeysInSets: boolean;
  /** The database's clock at the statement, in milliseconds UTC. */
  readonly now: Query;
  /** `column` is one of these. Of no values: false. */
  among(column: string, type: ColumnType, values: readonly (string | number | Uint8Array)[]): Query;
  /** The columns, which are the table's whole primary key, are those of one of these rows. Of no rows: false. */
  amongKeys<S extends Shape>(
    table: Query,
    key: S,
    rows: readonly RowOf<S>[],
    alias?: string,
  ): Query;
  /** The columns come after (or before) this key in their order: a condition that an index on them follows. */
  beyond(direction: "after" | "before", columns: readonly string[], key: readonly Value[]): Query;
  /**
   * Rows to be inserted by one statement. "fail": a key that is there is an error that makes the transaction begin again.
   * "leave": rows whose key is there stay as they are.
   */
  insert<S extends Shape>(
    table: Query,
    shape: S,
    rows: readonly RowOf<S>[],
    whenThere: "fail" | "leave",
  ): Query;
  /** Adds to what is counted already. */
  addToTally(rows: readonly RowOf<typeof TALLY>[]): Query;
  /**
   * A table, after "from", whose rows are locked by their primary keys: no other row is read on the way, or whoever holds that
   * one would be waited for. The select must also name a column outside of the key.
   */
  byKey(table: Query): Query;
  /** "for update" and its kin, at the end of a select. */
  lock(lock: Lock): Query;

  // — leases
  insertLease(lease: LeaseRow, claimedAt: number): Query;
  /** Leases that meet a condition on the columns id and worker of `l`, in the order of their ids. */
  leases(tx: Tx, where: Query, lock: Lock, limit?: number): Promise<LeaseRow[]>;
  /**
   * Writes to these leases. For clusters whose nodes do not see one another's locks: whoever gives one of them up on another
   * node at this moment meets the write, and one of the two begins again. Null where a lock on the lease says it to all.
   */
  readonly markLeases: ((ids: readonly string[]) => Query) | null;

  // — the two moves that have to pass by rows which others are moving, never to wait for them
  /** Takes the first rows of each lane out of ready, in claim order within each. */
  takeReady(tx: Tx, takes: readonly Take[]): Promise<WaitingRow[]>;
  /** Takes the first rows that are due out of delayed. */
  takeDue(tx: Tx, now: number, limit: number): Promise<WaitingRow[]>;
}

/** Entries for engines that keep them as bytes. */
export type { LeaseEntry };
