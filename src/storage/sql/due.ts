/**
 * What waits although it is due, in the order of time. Ready jobs stand by lane and priority, within each by the time they are due: so
 * each of these is asked for its first ones, and the first ones of all are the answer, however many wait behind them.
 */
import type { DuePage, DueQuery, DueRow } from "../driver.js";
import { keyOf, valuesOf, type Key, type KeyShape } from "./cursor.js";
import { WAITING } from "./dialect.js";
import { read, type Engine, type Work } from "./engine.js";
import { lanesOf } from "./lane-list.js";
import { duePage } from "./listed.js";
import { Merge } from "./merge.js";
import { pieces } from "./pieces.js";
import { join, raw, sql, type Query } from "./query.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";

const KEY = ["number", "id"] as const satisfies KeyShape;

export async function listDue(engine: Engine, query: DueQuery): Promise<DuePage> {
  const after = query.after === undefined ? null : keyOf(query.after, KEY);
  return duePage(await read(engine, (work) => rowsAfter(work, query, after)), query.limit);
}

type Lanes = ReadonlyMap<number, { readonly queue: string; readonly kind: string }>;

async function rowsAfter(work: Work, query: DueQuery, after: Key | null): Promise<DueRow[]> {
  const lanes: Lanes = new Map((await lanesOf(work, query)).map((lane) => [lane.id, lane]));
  const ids = [...lanes.keys()];
  const lists = [
    delayedRows(work, ids),
    keyedRows(work, ids),
    ...(await levelsOf(work, ids)).map(readyRows(work)),
  ];
  const merge = new Merge(lists.length, query.limit, inDueOrder);
  for (let { wanted } = merge; wanted.length > 0; { wanted } = merge) {
    for (const some of pieces(wanted, TOGETHER)) {
      const each = some.map(({ list, last }) => {
        const key: Key | null = last === undefined ? after : [last.run_at, last.id];
        const rows = lists[list]!;
        return sql`(select ${raw(String(list))} as list, ${columnsOf(WAITING)} ${rows} and ${within(work, query, key)}
          order by run_at, id limit ${merge.piece})`;
      });
      const found = await work.all(join(each, " union all "), LISTED);
      for (const { list } of some)
        merge.put(list, found.filter((row) => row.list === list).toSorted(inDueOrder));
    }
    merge.fill();
  }
  return merge.rows.map((row) => dueRow(row, lanes));
}

/** Which of the lists a row is of: those of one union come mixed. */
const LISTED = { list: "int", ...WAITING } as const satisfies Shape;

type ListedRow = RowOf<typeof LISTED>;

/** Lanes, or priorities of lanes, that one statement looks into. */
const TOGETHER = 20;

const readyRows =
  ({ t }: Work) =>
  ({ lane, prio }: Level): Query =>
    sql`from ${t.ready} where lane = ${lane} and prio = ${prio}`;

function delayedRows({ t, dialect, now }: Work, lanes: readonly number[]): Query {
  return sql`from ${t.delayed} where run_at <= ${now} and ${dialect.among("lane", "int", lanes)}`;
}

/** Jobs of keys stand by their keys: all of them are read. */
function keyedRows({ t, dialect }: Work, lanes: readonly number[]): Query {
  return sql`from ${t.held} where ${dialect.among("lane", "int", lanes)}`;
}

const LEVEL = { lane: "int", prio: "int" } as const satisfies Shape;

/** Ready jobs of one lane and priority, which stand in the order of time. */
type Level = RowOf<typeof LEVEL>;

/**
 * The priorities that lanes have ready jobs of: one look into the index for each, and for all lanes together. What is looked
 * for is said by values: of a comparison with another row some servers make a scan.
 */
async function levelsOf(work: Work, lanes: readonly number[]): Promise<Level[]> {
  const { ready } = work.t;
  const levels: Level[] = [];
  for (const some of pieces(lanes, TOGETHER))
    for (
      let last: readonly Level[] = some.map((lane) => ({ lane, prio: BEFORE_ALL }));
      last.length > 0;
    ) {
      const each = last.map(
        ({ lane, prio }) => sql`(select lane, prio from ${ready}
          where lane = ${lane} and prio > ${prio} order by prio, run_at, id limit 1)`,
      );
      last = await work.all(join(each, " union all "), LEVEL);
      levels.push(...last);
    }
  return levels;
}

const BEFORE_ALL = -32_768;

function within({ dialect }: Work, { since, until }: DueQuery, after: Key | null): Query {
  const all = [sql`1 = 1`];
  if (after !== null) all.push(dialect.beyond("after", ["run_at", "id"], valuesOf(after)));
  if (since !== undefined) all.push(sql`run_at >= ${since}`);
  if (until !== undefined) all.push(sql`run_at < ${until}`);
  return join(all, " and ");
}

function inDueOrder(a: ListedRow, b: ListedRow): number {
  return a.run_at - b.run_at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

function dueRow(
  { id: job, lane, prio, run_at: dueAt, run, fails, crashes }: ListedRow,
  lanes: Lanes,
): DueRow {
  const { queue, kind } = lanes.get(lane)!;
  return { job, run, queue, kind, priority: 0 - prio, dueAt, fails, crashes };
}
