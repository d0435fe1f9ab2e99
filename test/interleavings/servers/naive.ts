/**
 * Server engines as one writes them first, made from ours at the seam between operations and database: by another dialect, by
 * another database, or by rewriting what is sent. The systematic test must catch those that lack a rule.
 */
import { QudoError } from "../../../src/core/errors.js";
import type { Body, Database, Tx } from "../../../src/storage/sql/database.js";
import type { Dialect } from "../../../src/storage/sql/dialect.js";
import { NOTHING, Query, raw, sql } from "../../../src/storage/sql/query.js";

/** What takes the place of ours. */
export interface Variant {
  dialect?(ours: Dialect): Dialect;
  database?(ours: Database, dialect: Dialect): Database;
}

export const NONE: Variant = {};

/** No row is locked by looking at it; those that a claim or a promotion takes are. */
export const WITHOUT_LOCKS: Variant = {
  dialect: (ours) =>
    but(ours, {
      lock: () => NOTHING,
      leases: (tx, where, _lock, limit) => ours.leases(tx, where, "none", limit),
    }),
};

/** Whoever finds a key taken goes on as if it were its own: nothing begins again. */
export const IGNORES_TAKEN_KEYS: Variant = {
  dialect: (ours) =>
    but(ours, { insert: (table, shape, rows) => ours.insert(table, shape, rows, "leave") }),
};

/** Every statement for itself: what a driver does that forgets the transaction. */
export const AUTOCOMMIT: Variant = {
  database: (ours, dialect) => ({
    label: ours.label,
    look: (body) => ours.look(body),
    snapshot: (body, options) => ours.snapshot(body, options),
    close: () => ours.close(),
    transaction: (body) => again(() => ours.look((tx) => oneByOne(tx, dialect, body))),
  }),
};

/** Claims and promotions wait for those who are taking the same rows. */
export const WITHOUT_SKIP: Variant = {
  database: (ours) => ({
    label: ours.label,
    look: (body) => ours.look(body),
    snapshot: (body, options) => ours.snapshot(body, options),
    close: () => ours.close(),
    transaction: (body) => ours.transaction((tx, now) => body(neverPassing(tx), now)),
  }),
};

/** What is left out is answered by ours: its clock goes on. */
function but(ours: Dialect, other: Partial<Dialect>): Dialect {
  return Object.assign(Object.create(ours) as Dialect, other);
}

function neverPassing(tx: Tx): Tx {
  return {
    all: (query, shape) => tx.all(withoutSkip(query), shape),
    run: (query) => tx.run(query),
    announce: () => tx.announce(),
  };
}

async function oneByOne<T>(tx: Tx, dialect: Dialect, body: Body<T>): Promise<T> {
  const committed = async <V>(value: Promise<V>): Promise<V> => {
    const done = await value;
    await tx.run(raw("commit"));
    return done;
  };
  const [row] = await tx.all(sql`select ${dialect.now} as now`, { now: "int" });
  const naive: Tx = {
    all: (query, shape) => committed(tx.all(query, shape)),
    run: (query) => committed(tx.run(query)),
    announce: () => tx.announce(),
  };
  return body(naive, row!.now);
}

/** As ours does after it met others, though not for so long. */
async function again<T>(doing: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++)
    try {
      return await doing();
    } catch (error) {
      if (tries === 5 || !(error instanceof QudoError) || error.code !== "QUDO_DATABASE_BUSY")
        throw error;
    }
}

function withoutSkip({ texts, parts }: Query): Query {
  return new Query(
    texts.map((text) => text.replace("skip locked", "")),
    parts.map((part) => (part instanceof Query ? withoutSkip(part) : part)),
  );
}
