/** What PostgreSQL says in its own way: arrays for sets, `ctid` for one plan at every size and whatever the statistics. */
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
import { id, join, List, NOTHING, raw, sql, type Query } from "../sql/query.js";
import { inClaimOrder } from "../sql/order.js";
import type { Names } from "./schema.js";
import { columnsOf, typeOf, type ColumnType, type RowOf, type Shape } from "../sql/rows.js";

const ARRAY_OF: Readonly<Record<ColumnType, string>> = {
  id: "uuid",
  int: "bigint",
  text: "text",
  bytes: "bytea",
  flag: "boolean",
};

const FALSE = raw("false");

const LOCKS: Readonly<Record<Lock, Query>> = {
  none: NOTHING,
  share: raw("for key share"),
  update: raw("for update"),
  nowait: raw("for update nowait"),
  skip: raw("for update skip locked"),
};

/** `clock`: milliseconds UTC instead of the server's, for tests. */
export function postgresDialect({ schema, prefix }: Names, clock?: () => number): Dialect {
  const tables = Object.fromEntries(
    TABLES.map((name) => [name, raw(`"${schema}"."${prefix}${name}"`)]),
  ) as Tables;
  const { ready, delayed, lease } = tables;
  return {
    tables,
    uniqueKeysInSets: true,
    get now() {
      return clock === undefined ? CLOCK : sql`${clock()}::bigint`;
    },
    among: (column, type, values) =>
      values.length === 0 ? FALSE : sql`${raw(column)} = any(${new List(ARRAY_OF[type], values)})`,
    amongKeys,
    beyond(direction, columns, key) {
      const sign = raw(direction === "after" ? ">" : "<");
      return sql`(${join(columns.map(raw))}) ${sign} (${join(key.map((value) => sql`${value}`))})`;
    },
    insert(table, shape, rows, whenThere) {
      const there = whenThere === "leave" ? raw("on conflict do nothing") : NOTHING;
      return sql`insert into ${table} (${columnsOf(shape)}) select * from ${unnest(shape, rows)} ${there}`;
    },
    addToTally: (rows) => sql`insert into ${tables.tally} as t (minute, lane, event, session, n)
      select * from ${unnest(COUNTED, rows)}
      on conflict (minute, lane, event, session) do update set n = t.n + excluded.n`,
    byKey: (table) => table,
    lock: (lock) => LOCKS[lock],
    insertLease: (row, claimedAt) => insertLease(lease, row, claimedAt),
    leases: (tx, where, lock, limit) => leases(tx, lease, where, LOCKS[lock], limit),
    markLeases: null,
    takeReady: (tx, takes) => takeReady(tx, ready, takes),
    takeDue: (tx, due, limit) =>
      take(
        tx,
        delayed,
        sql`select ctid from ${delayed} where run_at <= ${due} order by run_at, id limit ${limit} for update skip locked`,
      ),
  };
}

const CLOCK = raw("(extract(epoch from clock_timestamp()) * 1000)::bigint");

const COUNTED = { minute: "int", lane: "int", event: "int", session: "id", n: "int" } as const;

/** Rows as a table: one array per column, so that the statement's text is the same for any number. */
function unnest<S extends Shape>(shape: S, rows: readonly RowOf<S>[]): Query {
  const arrays = Object.entries(shape).map(
    ([name, type]) =>
      sql`${new List(
        ARRAY_OF[typeOf(type)],
        rows.map((row) => row[name as keyof typeof row]),
      )}`,
  );
  return sql`unnest(${join(arrays)})`;
}

/** Each key is looked up by itself, in the index: no statistics make a join over the whole table of it. */
function amongKeys<S extends Shape>(
  table: Query,
  key: S,
  rows: readonly RowOf<S>[],
  alias?: string,
): Query {
  if (rows.length === 0) return FALSE;
  const names = Object.keys(key);
  const same = join(
    names.map((name) => raw(`t.${name} = k.${name}`)),
    " and ",
  );
  return sql`${raw(alias === undefined ? "" : `${alias}.`)}ctid = any(array(select f.ctid
    from ${unnest(key, rows)} as k(${join(names.map(raw))})
    cross join lateral (select t.ctid from ${table} t where ${same} limit 1) f))`;
}

const FROM_BEGINNING = { lane: "int", n: "int" } as const satisfies Shape;
const FROM_MARK = { ...FROM_BEGINNING, prio: "int", run_at: "int", id: "id" } as const;

/** Before every row there is. */
const BEGINNING = { prio: -32_769, run_at: 0, id: "00000000-0000-0000-0000-000000000000" };

async function takeReady(tx: Tx, ready: Query, takes: readonly Take[]): Promise<WaitingRow[]> {
  if (takes.length === 0) return [];
  const wanted = takes.map(({ lane, limit: n, after }) => ({ lane, n, ...(after ?? BEGINNING) }));
  // Without marks nothing is said of them: then it is one plan, and one fewer condition.
  const marked = takes.some(({ after }) => after !== undefined);
  const behind = raw(marked ? "and (prio, run_at, id) > (w.prio, w.run_at, w.id)" : "");
  const shape = marked ? FROM_MARK : FROM_BEGINNING;
  const rows = await take(
    tx,
    ready,
    sql`select r.ctid from ${unnest(shape, wanted)} as w(${columnsOf(shape)})
      cross join lateral (select ctid from ${ready} where lane = w.lane ${behind}
        order by prio, run_at, id limit w.n for update skip locked) r`,
  );
  return rows.toSorted(inClaimOrder);
}

/** Locked and deleted in one statement: what others are moving is passed by. */
function take(tx: Tx, table: Query, ctids: Query): Promise<WaitingRow[]> {
  return tx.all(
    sql`delete from ${table} where ctid = any(array(${ctids})) returning ${columnsOf(WAITING)}`,
    WAITING,
  );
}

// — leases: two arrays

function insertLease(
  lease: Query,
  { id: key, worker, entries }: LeaseRow,
  claimedAt: number,
): Query {
  const ids = new List(
    "uuid",
    entries.map((entry) => entry.id),
  );
  const runs = new List(
    "int",
    entries.map((entry) => entry.run),
  );
  return sql`insert into ${lease} (id, worker, claimed_at, ids, runs)
    values (${id(key)}, ${id(worker)}, ${claimedAt}, ${ids}, ${runs})`;
}

const LEASE = { id: "id", worker: "id", ids: "text", runs: "text" } as const satisfies Shape;

async function leases(
  tx: Tx,
  lease: Query,
  where: Query,
  lock: Query,
  limit?: number,
): Promise<LeaseRow[]> {
  const cut = limit === undefined ? NOTHING : sql`limit ${limit}`;
  // As text: how arrays are read is up to the client's settings.
  const rows = await tx.all(
    sql`select l.id, l.worker, array_to_string(l.ids, ',') as ids, array_to_string(l.runs, ',') as runs
      from ${lease} l where ${where} order by l.id ${cut} ${lock}`,
    LEASE,
  );
  return rows.map(({ id: key, worker, ids, runs }) => {
    const numbers = listOf(runs);
    const entries = listOf(ids).map((entry, i) => ({ id: entry, run: Number(numbers[i]) }));
    return { id: key, worker, entries };
  });
}

const listOf = (text: string): string[] => (text === "" ? [] : text.split(","));
