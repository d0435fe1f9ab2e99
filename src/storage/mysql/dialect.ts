/**
 * What MySQL and MariaDB say in their own way: no arrays and no RETURNING, so that sets are lists of rows in the text, and
 * what is to be moved is locked by one statement and deleted by the next.
 */
import { idBytes, idText } from "../../core/ids.js";
import type { Tx } from "../sql/database.js";
import {
  TABLES,
  WAITING,
  type Dialect,
  type LeaseRow,
  type Lock,
  type Tables,
  type Take,
  type WaitingRow,
} from "../sql/dialect.js";
import { decodeLease, encodeLease } from "../sql/lease.js";
import { id, join, NOTHING, raw, sql, type Query, type Value } from "../sql/query.js";
import { afterPlace, inClaimOrder } from "../sql/order.js";
import { columnsOf, typeOf, type ColumnType, type RowOf, type Shape } from "../sql/rows.js";

/**
 * `clock`: milliseconds UTC instead of the server's clock; only tests give it. `database`: named before each table, for
 * connections that may be on another one of the same server. `certifies`: the server is a node of a cluster (Galera), where two
 * transactions on different nodes meet at commit, and only in the rows that both have written.
 */
export function mysqlDialect(
  prefix: string,
  clock?: () => number,
  database?: string,
  certifies = false,
): Dialect {
  const within = database === undefined ? "" : `\`${database.replaceAll("`", "``")}\`.`;
  const tables = Object.fromEntries(
    TABLES.map((name) => [name, raw(`${within}\`${prefix}${name}\``)]),
  ) as Tables;
  const { ready, delayed, lease } = tables;
  return {
    tables,
    uniqueKeysInSets: false,
    get now() {
      return clock === undefined ? CLOCK : sql`${clock()}`;
    },
    among: (column, type, values) =>
      values.length === 0 ? FALSE : sql`${raw(column)} in (${listed(type, values)})`,
    amongKeys: (_table, key, rows, alias) => amongKeys(key, rows, alias),
    beyond,
    insert(table, shape, rows, whenThere) {
      const insert = sql`insert into ${table} (${columnsOf(shape)}) values ${tuples(shape, rows)}`;
      return whenThere === "fail" ? insert : sql`${insert} ${leave(shape)}`;
    },
    addToTally: (rows) => sql`insert into ${tables.tally} (minute, lane, event, session, n)
      values ${tuples(COUNTED, rows)} on duplicate key update n = n + values(n)`,
    byKey,
    lock: (lock) => LOCKS[lock],
    insertLease: (row, claimedAt) => insertLease(lease, row, claimedAt),
    leases: (tx, where, lock, limit) => leases(tx, lease, where, lock, limit),
    markLeases: certifies ? (ids) => markLeases(lease, ids) : null,
    takeReady: (tx, takes) => takeReady(tx, ready, takes),
    takeDue: (tx, due, limit) => takeDue(tx, delayed, due, limit),
  };
}

/**
 * The time at which the statement began. Both halves come from the same moment, and neither goes through local time, in
 * which an hour of autumn comes twice.
 */
const CLOCK = raw("(unix_timestamp() * 1000 + microsecond(now(3)) div 1000)");

const FALSE = raw("false");

const LOCKS: Readonly<Record<Lock, Query>> = {
  none: NOTHING,
  share: raw("lock in share mode"),
  update: raw("for update"),
  nowait: raw("for update nowait"),
  skip: raw("for update skip locked"),
};

const COUNTED = { minute: "int", lane: "int", event: "int", session: "id", n: "int" } as const;

function valueOf(type: ColumnType, value: unknown): Query {
  return sql`${value !== null && type === "id" ? id(value as string) : (value as Value)}`;
}

function listed(type: ColumnType, values: readonly unknown[]): Query {
  return join(values.map((value) => valueOf(type, value)));
}

/** Rows as "(…), (…)". */
function tuples<S extends Shape>(shape: S, rows: readonly RowOf<S>[]): Query {
  const columns = Object.entries(shape).map(([name, type]) => [name, typeOf(type)] as const);
  return join(
    rows.map(
      (row) => sql`(${join(columns.map(([name, type]) => valueOf(type, row[name as keyof S])))})`,
    ),
  );
}

/** Not "insert ignore": that would also let pass values that do not fit, and references to nothing. */
function leave(shape: Shape): Query {
  const column = raw(Object.keys(shape)[0]!);
  return sql`on duplicate key update ${column} = ${column}`;
}

/**
 * A list of rows is followed with the index however long it is. A list of one is not: MariaDB makes an equality of rows
 * of it, and then a DELETE reads the whole table.
 */
function amongKeys<S extends Shape>(key: S, rows: readonly RowOf<S>[], alias?: string): Query {
  if (rows.length === 0) return FALSE;
  const columns = columnsOf(key, alias);
  if (rows.length > 1) return sql`(${columns}) in (${tuples(key, rows)})`;
  const prefix = alias === undefined ? "" : `${alias}.`;
  const same = Object.entries(key).map(
    ([name, type]) =>
      sql`${raw(prefix + name)} = ${valueOf(typeOf(type), rows[0]![name as keyof S])}`,
  );
  return sql`(${join(same, " and ")})`;
}

/** Written out column by column: an index is not followed by a comparison of rows. */
function beyond(
  direction: "after" | "before",
  columns: readonly string[],
  key: readonly Value[],
): Query {
  const sign = raw(direction === "after" ? ">" : "<");
  const ways = columns.map((column, i) => {
    const same = columns.slice(0, i).map((before, j) => sql`${raw(before)} = ${key[j]!}`);
    return sql`(${join([...same, sql`${raw(column)} ${sign} ${key[i]!}`], " and ")})`;
  });
  return sql`(${join(ways, " or ")})`;
}

/**
 * Left to itself, a server reads all of a table so small that it seems cheaper, and locks what it reads. Where the key holds all
 * that is selected MariaDB does so even then, along the key.
 */
const byKey = (table: Query): Query => sql`${table} force index (primary)`;

// — the moves

const READY_KEY = { lane: "int", prio: "int", run_at: "int", id: "id" } as const satisfies Shape;
const DELAYED_KEY = { run_at: "int", id: "id" } as const satisfies Shape;

/**
 * Each lane in the order of the primary key, which is the claim's: a sort would lock every candidate before it knows which
 * are wanted. The subqueries lock what they return, and pass by what others have locked.
 */
async function takeReady(tx: Tx, ready: Query, takes: readonly Take[]): Promise<WaitingRow[]> {
  const wanted = takes.filter(({ limit }) => limit > 0);
  if (wanted.length === 0) return [];
  const ofLanes = wanted.map(
    ({ lane, limit, after }) =>
      sql`(select ${columnsOf(WAITING)} from ${byKey(ready)} where lane = ${lane}
        ${after === undefined ? NOTHING : sql`and ${afterPlace({ beyond }, after)}`}
        order by prio, run_at, id limit ${limit} for update skip locked)`,
  );
  const rows = await tx.all(join(ofLanes, " union all "), WAITING);
  if (rows.length > 0) await tx.run(sql`delete from ${ready} where ${amongKeys(READY_KEY, rows)}`);
  return wanted.length === 1 ? rows : rows.toSorted(inClaimOrder);
}

async function takeDue(tx: Tx, delayed: Query, due: number, limit: number): Promise<WaitingRow[]> {
  const rows = await tx.all(
    sql`select ${columnsOf(WAITING)} from ${byKey(delayed)} where run_at <= ${due}
      order by run_at, id limit ${limit} for update skip locked`,
    WAITING,
  );
  if (rows.length > 0)
    await tx.run(sql`delete from ${delayed} where ${amongKeys(DELAYED_KEY, rows)}`);
  return rows;
}

// — leases: one blob

function insertLease(
  lease: Query,
  { id: key, worker, entries }: LeaseRow,
  claimedAt: number,
): Query {
  const jobs = encodeLease(entries.map((entry) => ({ id: idBytes(entry.id), run: entry.run })));
  return sql`insert into ${lease} (id, worker, claimed_at, jobs)
    values (${id(key)}, ${id(worker)}, ${claimedAt}, ${jobs})`;
}

/** It must change something: a row that stays as it is is not written. */
function markLeases(lease: Query, ids: readonly string[]): Query {
  return sql`update ${lease} set marks = marks + 1 where id in (${listed("id", ids)})`;
}

const LEASE = { id: "id", worker: "id", jobs: "bytes" } as const satisfies Shape;

async function leases(
  tx: Tx,
  lease: Query,
  where: Query,
  lock: Lock,
  limit?: number,
): Promise<LeaseRow[]> {
  const along = lock === "none" ? NOTHING : raw("force index (primary, lease_worker)");
  const cut = limit === undefined ? NOTHING : sql`limit ${limit}`;
  const rows = await tx.all(
    sql`select l.id, l.worker, l.jobs from ${lease} l ${along}
      where ${where} order by l.id ${cut} ${LOCKS[lock]}`,
    LEASE,
  );
  return rows.map(({ id: key, worker, jobs }) => ({
    id: key,
    worker,
    entries: decodeLease(jobs).map((entry) => ({ id: idText(entry.id), run: entry.run })),
  }));
}
