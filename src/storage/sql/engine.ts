/** What the operations of a server's engine share: the database, its dialect, the lanes seen so far, and one piece of work. */
import type { Dialect, Tables } from "./dialect.js";
import type { Body, Database, SnapshotOptions, Tx } from "./database.js";
import { Lanes } from "./lanes.js";
import type { Query } from "./query.js";
import type { RowOf, Shape } from "./rows.js";
import { Tally } from "./tally.js";

/** A resend must still find its job, and a late worker its outcome: nothing is pruned before this age. */
export const KEEP_AT_LEAST_MS = 600_000;

export interface Engine {
  readonly db: Database;
  readonly dialect: Dialect;
  readonly lanes: Lanes;
  /** Who counts what no worker's session does: a row of its own in the tally, so that no two processes wait for one another. */
  readonly self: string;
}

/** An engine that has seen nothing yet. */
export function newEngine(db: Database, dialect: Dialect, self: string): Engine {
  return { db, dialect, lanes: new Lanes(db, dialect), self };
}

/** One transaction, or one look, of an operation: where its statements go. */
export class Work {
  readonly t: Tables;
  readonly dialect: Dialect;
  readonly tally: Tally;

  constructor(
    readonly engine: Pick<Engine, "dialect" | "self">,
    readonly tx: Tx,
    /** The database's time. */
    readonly now: number,
  ) {
    this.dialect = engine.dialect;
    this.t = engine.dialect.tables;
    this.tally = new Tally(engine.self);
  }

  all<S extends Shape>(query: Query, shape: S): Promise<RowOf<S>[]> {
    return this.tx.all(query, shape);
  }

  async first<S extends Shape>(query: Query, shape: S): Promise<RowOf<S> | undefined> {
    return (await this.tx.all(query, shape))[0];
  }

  run(query: Query): Promise<number> {
    return this.tx.run(query);
  }

  /** Rows into a table; nothing is sent for none. A key that is there makes the transaction begin again. */
  async insert<S extends Shape>(table: Query, shape: S, rows: readonly RowOf<S>[]): Promise<void> {
    if (rows.length > 0) await this.run(this.dialect.insert(table, shape, rows, "fail"));
  }

  /** The same, but rows whose key is there are left as they are. */
  async insertNew<S extends Shape>(
    table: Query,
    shape: S,
    rows: readonly RowOf<S>[],
  ): Promise<void> {
    if (rows.length > 0) await this.run(this.dialect.insert(table, shape, rows, "leave"));
  }
}

type Doing<T> = (work: Work) => Promise<T>;

/** One transaction of an operation. It may run more than once: whatever it keeps, it keeps in what it returns. */
export function write<T>(engine: Engine, doing: Doing<T>): Promise<T> {
  return engine.db.transaction(async (tx, now) => {
    const work = new Work(engine, tx, now);
    const value = await doing(work);
    await work.tally.write(work);
    return value;
  });
}

/** One consistent look. */
export function read<T>(engine: Engine, doing: Doing<T>, options?: SnapshotOptions): Promise<T> {
  const body: Body<T> = (tx, now) => doing(new Work(engine, tx, now));
  return engine.db.snapshot(body, options);
}
