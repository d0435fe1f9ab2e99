/** Reading outcomes: the log of what runs came to. */
import { idBytes, idText } from "../../core/ids.js";
import { RUN_STATES, type RunState } from "../../core/states.js";
import type { AttemptPage, AttemptQuery, AttemptRow } from "../driver.js";
import { attemptPage } from "../sql/listed.js";
import { keyOf } from "../sql/cursor.js";
import { attemptRow, type AttemptColumns } from "../sql/views.js";
import { Conditions } from "./conditions.js";
import type { Connection } from "./connection.js";
import { toBytes } from "./cursor.js";
import { read, type Engine } from "./engine.js";
import { SHOWN } from "./hidden.js";

type Row = Omit<AttemptColumns, "job_id" | "worker"> & {
  job_id: Uint8Array;
  worker: Uint8Array | null;
};

const COLUMNS = `a.job_id, a.run, l.queue, l.kind, a.state, a.reason, a.worker, a.started_at, a.ended_at, a.fails,
  a.crashes, a.next_at, a.result, a.error`;
const FROM = "from qudo_outcome a join qudo_lane l on l.id = a.lane";
const ATTEMPT = `select ${COLUMNS} ${FROM}`;
const LISTED = `select ${COLUMNS},
  (select line from qudo_job_log g where g.job_id = a.job_id and g.run = a.run and g.seq = 0) as retried_by ${FROM}`;

export function attemptOf(db: Connection, id: Uint8Array, run: number): AttemptRow {
  return shownRow(db.get<Row>(`${ATTEMPT} where a.job_id = ? and a.run = ?`, id, run)!);
}

function shownRow(row: Row): AttemptRow {
  const worker = row.worker === null ? null : idText(row.worker);
  return attemptRow({ ...row, job_id: idText(row.job_id), worker });
}

const KEY = ["number", "id", "number"] as const;

export async function listAttempts(engine: Engine, query: AttemptQuery): Promise<AttemptPage> {
  const { after, job, since, until, states, newestFirst = false, offset = 0, limit } = query;
  const where = new Conditions();
  if (after !== undefined)
    where.add(
      `(a.ended_at, a.job_id, a.run) ${newestFirst ? "<" : ">"} (?, ?, ?)`,
      ...toBytes(keyOf(after, KEY)),
    );
  if (job !== undefined) where.add("a.job_id = ?", idBytes(job));
  if (since !== undefined) where.add("a.ended_at >= ?", since);
  if (until !== undefined) where.add("a.ended_at < ?", until);
  where.lane(query);
  if (states !== undefined)
    where.add(`a.state in (${states.map((s: RunState) => RUN_STATES[s]).join(", ")})`);
  const way = newestFirst ? " desc" : "";
  return read(engine, (now) => {
    const sql = `${LISTED} where ${where.text} and ${SHOWN}
      order by a.ended_at${way}, a.job_id${way}, a.run${way} limit ? offset ?`;
    const rows = engine.db.all<Row>(sql, ...where.values, now, limit, offset).map(shownRow);
    return attemptPage(rows, limit);
  });
}
