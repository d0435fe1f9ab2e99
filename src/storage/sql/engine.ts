/** What the operations of a server's engine share: the database, its dialect, the lanes seen so far, and one piece of work. */
import type { Dialect, Tables } from "./dialect.js";
import type { Body, Database, SnapshotOptions, Tx } from "./database.js";
import { Lanes } from "./lanes.js";
import { LowWater } from "./low-water.js";
import { pieces, piecesOfRows } from "./pieces.js";
import type { Query } from "./query.js";
import type { RowOf, Shape } from "./rows.js";
import { Tally } from "./tally.js";

export interface Engine {
  readonly db: Database;
  readonly dialect: Dialect;
  readonly lanes: Lanes;
  readonly lowWater: LowWater;
  /** Who counts what no worker's session does: a row of its own in the tally, so that no two processes wait for one another. */
  readonly self: string;
}

/** An engine that has seen nothing yet. */
export function newEngine(
  db: Database,
  dialect: Dialect,
  self: string,
  lowWater = new LowWater(),
): Engine {
  return { db, dialect, lanes: new Lanes(db, dialect), lowWater, self };
}

/** One transaction, or one look, of an operation: where its statements go. */
export class Work {
  readonly t: Tables;
  readonly dialect: Dialect;
  readonly tally: Tally;

  constructor(
    readonly engine: Pick<Engine, "dialect" | "self">,
    readonly tx: Tx,
    /** The database's time; none in a glance. */
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

  /** Rows for a set of any size, in statements of at most 1,000 each; nothing is sent for none. */
  async allOf<T, S extends Shape>(
    items: readonly T[],
    query: (some: readonly T[]) => Query,
    shape: S,
  ): Promise<RowOf<S>[]> {
    const rows = await Promise.all(pieces(items).map((some) => this.all(query(some), shape)));
    return rows.length === 1 ? rows[0]! : rows.flat();
  }

  /** The same for statements without an answer. */
  async runOf<T>(items: readonly T[], query: (some: readonly T[]) => Query): Promise<void> {
    await Promise.all(pieces(items).map((some) => this.run(query(some))));
  }

  /** Rows into a table; nothing is sent for none. A key that is there makes the transaction begin again. */
  insert<S extends Shape>(table: Query, shape: S, rows: readonly RowOf<S>[]): Promise<void> {
    return this.put(table, shape, rows, "fail");
  }

  /** The same, but rows whose key is there are left as they are. */
  insertNew<S extends Shape>(table: Query, shape: S, rows: readonly RowOf<S>[]): Promise<void> {
    return this.put(table, shape, rows, "leave");
  }

  private async put<S extends Shape>(
    table: Query,
    shape: S,
    rows: readonly RowOf<S>[],
    whenThere: "fail" | "leave",
  ): Promise<void> {
    const inserts = piecesOfRows(shape, rows).map((some) =>
      this.run(this.dialect.insert(table, shape, some, whenThere)),
    );
    await Promise.all(inserts);
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

/** Statements by themselves, each seeing what is committed when it begins: there is no one time in them. */
export function glance<T>(engine: Engine, doing: Doing<T>): Promise<T> {
  return engine.db.look((tx) => doing(new Work(engine, tx, Number.NaN)));
}

/** One consistent look. */
export function read<T>(engine: Engine, doing: Doing<T>, options?: SnapshotOptions): Promise<T> {
  const body: Body<T> = (tx, now) => doing(new Work(engine, tx, now));
  return engine.db.snapshot(body, options);
}
