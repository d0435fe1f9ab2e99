/** Reading outcomes: the log of what runs came to. */
import { idBytes, idText } from "../../core/ids.js";
import { reasonOf, RUN_STATES, runStateOf, type RunState } from "../../core/states.js";
import type { AttemptPage, AttemptQuery, AttemptRow } from "../driver.js";
import type { Connection, Value } from "./connection.js";
import { cursorOf, keyOf } from "./cursor.js";
import { read, type Engine } from "./engine.js";
import { SHOWN } from "./hidden.js";

interface AttemptColumns {
  job_id: Uint8Array;
  run: number;
  queue: string;
  kind: string;
  state: number;
  reason: number | null;
  worker: Uint8Array | null;
  started_at: number | null;
  ended_at: number;
  fails: number;
  crashes: number;
  next_at: number | null;
  result: string | null;
  error: string | null;
}

const ATTEMPT = `select a.job_id, a.run, l.queue, l.kind, a.state, a.reason, a.worker, a.started_at, a.ended_at, a.fails,
  a.crashes, a.next_at, a.result, a.error from qudo_outcome a join qudo_lane l on l.id = a.lane`;

export function attemptOf(db: Connection, id: Uint8Array, run: number): AttemptRow {
  return attemptRow(
    db.get<AttemptColumns>(`${ATTEMPT} where a.job_id = ? and a.run = ?`, id, run)!,
  );
}

function attemptRow(row: AttemptColumns): AttemptRow {
  return {
    job: idText(row.job_id),
    run: row.run,
    queue: row.queue,
    kind: row.kind,
    state: runStateOf(row.state),
    reason: reasonOf(row.reason),
    session: row.worker === null ? null : idText(row.worker),
    startedAt: row.started_at,
    endedAt: row.ended_at,
    fails: row.fails,
    crashes: row.crashes,
    nextAt: row.next_at,
    result: row.result,
    error: row.error,
  };
}

const KEY = ["number", "id", "number"] as const;

export async function listAttempts(engine: Engine, query: AttemptQuery): Promise<AttemptPage> {
  const where: string[] = [];
  const values: Value[] = [];
  if (query.after !== undefined) {
    where.push("(a.ended_at, a.job_id, a.run) > (?, ?, ?)");
    values.push(...keyOf(query.after, KEY));
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
  const sql = `${ATTEMPT} where ${where.join(" and ")} order by a.ended_at, a.job_id, a.run limit ?`;
  return read(engine, (now) => {
    const rows = engine.db.all<AttemptColumns>(sql, ...values, now, query.limit).map(attemptRow);
    const last = rows.length === query.limit ? rows.at(-1) : undefined;
    return { rows, next: last ? cursorOf([last.endedAt, idBytes(last.job), last.run]) : null };
  });
}
