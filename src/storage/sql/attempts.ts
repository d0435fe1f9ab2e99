/** Reading outcomes: the log of what runs came to. */
import { RUN_STATES } from "../../core/states.js";
import type { AttemptPage, AttemptQuery, AttemptRow } from "../driver.js";
import { cursorOf, keyOf, valuesOf, type Key, type KeyShape } from "./cursor.js";
import type { RunOfLease } from "./dialect.js";
import { read, type Engine, type Work } from "./engine.js";
import { shown } from "./hidden.js";
import { lanesOf } from "./lane-list.js";
import { id, join, NOTHING, raw, sql, type Query } from "./query.js";
import { runKey } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { attemptRow } from "./views.js";

const SAID = {
  job_id: "id",
  run: "int",
  state: "int",
  reason: "int?",
  worker: "id?",
  started_at: "int?",
  ended_at: "int",
  fails: "int",
  crashes: "int",
  next_at: "int?",
  next_prio: "int?",
  result: "text?",
  error: "text?",
} as const satisfies Shape;

const NAMES = { queue: "text", kind: "text" } as const satisfies Shape;
const ATTEMPT = { ...SAID, ...NAMES } as const satisfies Shape;
/** Line 0 of its log is none that a handler wrote: it names the job that was made of this run. */
const LISTED = { ...ATTEMPT, retried_by: "text?" } as const satisfies Shape;
const RUN = { job_id: "id", run: "int" } as const satisfies Shape;

export type AttemptColumns = RowOf<typeof ATTEMPT>;

/** Outcomes `a` with the names of their lanes. */
function attempts({ t }: Work, more = NOTHING): Query {
  return sql`select ${columnsOf(SAID, "a")}, ${columnsOf(NAMES, "l")}${more} from ${t.outcome} a
    join ${t.lane} l on l.id = a.lane`;
}

/** Outcomes of these runs, by {@link runKey}. `states`: only these. */
export async function attemptsOf(
  work: Work,
  runs: readonly RunOfLease[],
  states?: readonly number[],
): Promise<ReadonlyMap<string, AttemptColumns>> {
  const { t, dialect } = work;
  const keys = runs.map(({ id: job_id, run }) => ({ job_id, run }));
  const only = states === undefined ? NOTHING : sql`and ${dialect.among("a.state", "int", states)}`;
  const find = (some: readonly RowOf<typeof RUN>[]) =>
    sql`${attempts(work)} where ${dialect.amongKeys(t.outcome, RUN, some, "a")} ${only}`;
  const rows = await work.allOf(keys, find, ATTEMPT);
  return new Map(rows.map((row) => [runKey(row.job_id, row.run), row]));
}

const COLUMNS = ["a.ended_at", "a.job_id", "a.run"];
const KEY = ["number", "id", "number"] as const satisfies KeyShape;

export async function listAttempts(engine: Engine, query: AttemptQuery): Promise<AttemptPage> {
  const after = query.after === undefined ? null : keyOf(query.after, KEY);
  return read(engine, (work) => page(work, query, after), { patient: true });
}

async function page(work: Work, query: AttemptQuery, after: Key | null): Promise<AttemptPage> {
  const { limit } = query;
  const where = join([...(await conditions(work, query, after)), shown(work)], " and ");
  // Of one job there are few, and its own index finds them: the order must not send the server through the log of all.
  const time = query.job === undefined ? "a.ended_at" : "a.ended_at + 0";
  const order = raw([time, ...COLUMNS.slice(1)].join(", "));
  const mark = sql`, (select line from ${work.t.job_log} g
    where g.job_id = a.job_id and g.run = a.run and g.seq = 0) as retried_by`;
  const rows = await work.all(
    sql`${attempts(work, mark)} where ${where} order by ${order} limit ${limit}`,
    LISTED,
  );
  const found = rows.map(attemptRow);
  return attemptPage(found, limit);
}

/** The page that these rows are, where so many were asked for. */
export function attemptPage(rows: readonly AttemptRow[], limit: number): AttemptPage {
  const cursors = rows.map((row) => cursorOf(keyOfRow(row)));
  return { rows, cursors, next: rows.length === limit ? (cursors.at(-1) ?? null) : null };
}

function keyOfRow({ endedAt, job, run }: AttemptRow): Key {
  return [endedAt, job, run];
}

async function conditions(
  work: Work,
  query: AttemptQuery,
  after: Key | null,
): Promise<readonly Query[]> {
  const { dialect } = work;
  const { job, states } = query;
  const all: Query[] = [];
  if (after !== null) all.push(dialect.beyond("after", COLUMNS, valuesOf(after)));
  if (job !== undefined) all.push(sql`a.job_id = ${id(job)}`);
  if (query.queue !== undefined || query.kind !== undefined)
    all.push(
      dialect.among(
        "a.lane",
        "int",
        (await lanesOf(work, query)).map((lane) => lane.id),
      ),
    );
  if (states !== undefined) {
    const codes = states.map((state) => RUN_STATES[state]);
    all.push(dialect.among("a.state", "int", codes));
  }
  return all;
}
