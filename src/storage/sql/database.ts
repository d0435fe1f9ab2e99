/** One database behind a pool of connections, as the operations see it. Each engine's connection.ts makes one. */
import type { Query } from "./query.js";
import type { RowOf, Shape } from "./rows.js";

/** One connection for as long as a body lasts. Queries that are not waited for go out together where the client can do that. */
export interface Tx {
  all<S extends Shape>(query: Query, shape: S): Promise<RowOf<S>[]>;
  /** Rows changed. */
  run(query: Query): Promise<number>;
  /** What this transaction writes can be worked on at once: after its commit others are told, where the engine can do that. */
  announce(): void;
}

export interface SnapshotOptions {
  /** Its statements may take as long as they need. Default false. */
  readonly patient?: boolean;
}

/** What a body is given inside a transaction: `now` is the database's time, in milliseconds UTC. */
export type Body<T> = (tx: Tx, now: number) => Promise<T>;

export interface Database {
  /** For people: engine and place, never a password. */
  readonly label: string;
  /**
   * One transaction, READ COMMITTED. Where it met others (deadlock, serialization, a lock or key that somebody else had
   * first, a row that names one which has just gone) it is rolled back and the body runs again: it must take nothing with it
   * from one run to the next.
   */
  transaction<T>(body: Body<T>): Promise<T>;
  /** One consistent look: what others commit meanwhile is not seen. Writes nothing. */
  snapshot<T>(body: Body<T>, options?: SnapshotOptions): Promise<T>;
  /** Statements by themselves, each seeing what is committed when it begins. */
  look<T>(body: (tx: Tx) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
