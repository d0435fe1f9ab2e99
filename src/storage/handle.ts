/** The shape that SQLite's clients for Node share (node:sqlite, @photostructure/sqlite, better-sqlite3), as much of it as is asked for. */

export type Value = null | number | bigint | string | Uint8Array;

/** What is asked of a prepared statement. */
export interface StatementLike {
  run(...values: Value[]): { changes: number | bigint };
  get(...values: Value[]): unknown;
  all(...values: Value[]): unknown[];
  /** Rows as lists from now on. Where it is missing they are made of objects. */
  setReturnArrays?(enabled: boolean): void;
}

/** What is asked of a handle. A user's own may be passed in. */
export interface HandleLike {
  exec(sql: string): unknown;
  prepare(sql: string): StatementLike;
  close(): unknown;
  /** True while a transaction is open: node:sqlite and better-sqlite3 name it differently. */
  readonly isTransaction?: boolean;
  readonly inTransaction?: boolean;
}
