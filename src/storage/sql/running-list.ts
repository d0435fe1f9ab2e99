/** Runs that are shown as running, by the time they started. There are as many as handlers run: few. */
import type { RunningPage, RunningQuery, RunningRow } from "../driver.js";
import { keyOf, valuesOf, type Key, type KeyShape } from "./cursor.js";
import { read, type Engine, type Work } from "./engine.js";
import { runningPage } from "./listed.js";
import { join, sql, type Query } from "./query.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";

const RUNNING = {
  job_id: "id",
  run: "int",
  worker: "id",
  started_at: "int",
  progress: "text?",
} as const satisfies Shape;

const NAMES = { queue: "text", kind: "text" } as const satisfies Shape;
const LISTED = { ...RUNNING, ...NAMES } as const satisfies Shape;

const COLUMNS = ["r.started_at", "r.job_id", "r.run"];
const KEY = ["number", "id", "number"] as const satisfies KeyShape;

export async function listRunning(engine: Engine, query: RunningQuery): Promise<RunningPage> {
  const after = query.after === undefined ? null : keyOf(query.after, KEY);
  const rows = await read(engine, (work) => rowsAfter(work, query, after));
  return runningPage(rows.map(runningRow), query.limit);
}

function rowsAfter(
  work: Work,
  query: RunningQuery,
  after: Key | null,
): Promise<RowOf<typeof LISTED>[]> {
  const { t } = work;
  return work.all(
    sql`select ${columnsOf(RUNNING, "r")}, ${columnsOf(NAMES, "l")} from ${t.running} r
      join ${t.job} j on j.id = r.job_id join ${t.lane} l on l.id = j.lane
      where not exists (select 1 from ${t.outcome} o where o.job_id = r.job_id and o.run = r.run)
        and ${join(conditions(work, query, after), " and ")}
      order by r.started_at, r.job_id, r.run limit ${query.limit}`,
    LISTED,
  );
}

function conditions({ dialect }: Work, query: RunningQuery, after: Key | null): readonly Query[] {
  const { queue, kinds, since, until } = query;
  const all = [sql`1 = 1`];
  if (after !== null) all.push(dialect.beyond("after", COLUMNS, valuesOf(after)));
  if (since !== undefined) all.push(sql`r.started_at >= ${since}`);
  if (until !== undefined) all.push(sql`r.started_at < ${until}`);
  if (queue !== undefined) all.push(sql`l.queue = ${queue}`);
  if (kinds !== undefined) all.push(dialect.among("l.kind", "text", kinds));
  return all;
}

function runningRow(row: RowOf<typeof LISTED>): RunningRow {
  const { job_id: job, run, queue, kind, worker: session, started_at: startedAt, progress } = row;
  return { job, run, queue, kind, session, startedAt, progress };
}
