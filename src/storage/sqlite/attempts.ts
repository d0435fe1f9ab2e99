/** Reading outcomes: the log of what runs came to. */
import { idBytes, idText } from "../../core/ids.js";
import { RUN_STATES, type RunState } from "../../core/states.js";
import type { AttemptPage, AttemptQuery, AttemptRow } from "../driver.js";
import { attemptPage } from "../sql/attempts.js";
import { keyOf } from "../sql/cursor.js";
import { attemptRow, type AttemptColumns } from "../sql/views.js";
import type { Connection, Value } from "./connection.js";
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
  const where: string[] = [];
  const values: Value[] = [];
  if (query.after !== undefined) {
    where.push("(a.ended_at, a.job_id, a.run) > (?, ?, ?)");
    values.push(...toBytes(keyOf(query.after, KEY)));
  }
  if (query.job !== undefined) {
    where.push("a.job_id = ?");
    values.push(idBytes(query.job));
  }
  for (const field of ["queue", "kind"] as const)
    if (query[field] !== undefined) {
      where.push(`l.${field} = ?`);
      values.push(query[field]);
    }
  if (query.states !== undefined)
    where.push(`a.state in (${query.states.map((s: RunState) => RUN_STATES[s]).join(", ")})`);
  where.push(SHOWN);
  const sql = `${LISTED} where ${where.join(" and ")} order by a.ended_at, a.job_id, a.run limit ?`;
  return read(engine, (now) => {
    const rows = engine.db.all<Row>(sql, ...values, now, query.limit).map(shownRow);
    return attemptPage(rows, query.limit);
  });
}
