/**
 * What waits although it is due, in the order of time. Ready jobs stand by lane and priority, within each by the time they are due: so
 * each of these is asked for its first ones, and the first ones of all are the answer, however many wait behind them.
 */
import type { DuePage, DueQuery, DueRow } from "../driver.js";
import { keyOf, valuesOf, type Key, type KeyShape } from "./cursor.js";
import { WAITING, type WaitingRow } from "./dialect.js";
import { read, type Engine, type Work } from "./engine.js";
import { lanesOf } from "./lane-list.js";
import { duePage } from "./listed.js";
import { pieces } from "./pieces.js";
import { join, sql, type Query } from "./query.js";
import { columnsOf, type Shape } from "./rows.js";

const KEY = ["number", "id"] as const satisfies KeyShape;

export async function listDue(engine: Engine, query: DueQuery): Promise<DuePage> {
  const after = query.after === undefined ? null : keyOf(query.after, KEY);
  return duePage(await read(engine, (work) => rowsAfter(work, query, after)), query.limit);
}

type Lanes = ReadonlyMap<number, { readonly queue: string; readonly kind: string }>;

async function rowsAfter(work: Work, query: DueQuery, after: Key | null): Promise<DueRow[]> {
  const lanes: Lanes = new Map((await lanesOf(work, query)).map((lane) => [lane.id, lane]));
  const found = [
    ...(await readyRows(work, [...lanes.keys()], query, after)),
    ...(await delayedRows(work, [...lanes.keys()], query, after)),
  ];
  return found
    .toSorted(inDueOrder)
    .slice(0, query.limit)
    .map((row) => dueRow(row, lanes));
}

/** Lanes, or priorities of lanes, that one statement looks into. */
const TOGETHER = 20;

async function readyRows(
  work: Work,
  lanes: readonly number[],
  query: DueQuery,
  after: Key | null,
): Promise<WaitingRow[]> {
  const { ready } = work.t;
  const found: WaitingRow[] = [];
  for (const some of pieces(await levelsOf(work, lanes), TOGETHER)) {
    const each = some.map(
      ({ lane, prio }) => sql`(select ${columnsOf(WAITING)} from ${ready}
        where lane = ${lane} and prio = ${prio} and ${within(work, query, after)}
        order by run_at, id limit ${query.limit})`,
    );
    found.push(...(await work.all(join(each, " union all "), WAITING)));
  }
  return found;
}

const LEVEL = { lane: "int", prio: "int" } as const satisfies Shape;

interface Level {
  readonly lane: number;
  readonly prio: number;
}

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

function delayedRows(
  work: Work,
  lanes: readonly number[],
  query: DueQuery,
  after: Key | null,
): Promise<WaitingRow[]> {
  const { t, dialect, now } = work;
  return work.all(
    sql`select ${columnsOf(WAITING)} from ${t.delayed}
      where run_at <= ${now} and ${within(work, query, after)} and ${dialect.among("lane", "int", lanes)}
      order by run_at, id limit ${query.limit}`,
    WAITING,
  );
}

function within({ dialect }: Work, { since, until }: DueQuery, after: Key | null): Query {
  const all = [sql`1 = 1`];
  if (after !== null) all.push(dialect.beyond("after", ["run_at", "id"], valuesOf(after)));
  if (since !== undefined) all.push(sql`run_at >= ${since}`);
  if (until !== undefined) all.push(sql`run_at < ${until}`);
  return join(all, " and ");
}

function inDueOrder(a: WaitingRow, b: WaitingRow): number {
  return a.run_at - b.run_at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

function dueRow(
  { id: job, lane, prio, run_at: dueAt, run, fails, crashes }: WaitingRow,
  lanes: Lanes,
): DueRow {
  const { queue, kind } = lanes.get(lane)!;
  return { job, run, queue, kind, priority: 0 - prio, dueAt, fails, crashes };
}
