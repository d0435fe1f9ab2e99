/** Reading: jobs, attempts, counts. Nothing here writes. */
import { idBytes, idText } from "../../core/ids.js";
import {
  jobState,
  reasonOf,
  RUN_STATES,
  runStateOf,
  type RunState,
  type Whereabouts,
} from "../../core/states.js";
import type {
  AttemptPage,
  AttemptQuery,
  AttemptRow,
  JobRow,
  LaneCounts,
  StoredPayload,
} from "../driver.js";
import { decodeLease } from "../sql/lease.js";
import type { Connection, Value } from "./connection.js";
import { locate, read, redactedPaths, type Engine, type LaneRow } from "./engine.js";
import { SQL } from "./statements.js";

export interface LastOutcome {
  run: number;
  state: number;
  fails: number;
  crashes: number;
}

export function findLast(db: Connection, id: Uint8Array): LastOutcome | undefined {
  return db.get<LastOutcome>(SQL.lastOutcome, id);
}

export function whereabouts(
  db: Connection,
  id: Uint8Array,
  last: LastOutcome | undefined,
): Whereabouts {
  const run = (last?.run ?? 0) + 1;
  const at = locate(db, id, run);
  const waiting =
    at !== undefined &&
    (db.get(
      "select 1 from qudo_ready where lane = ? and prio = ? and run_at = ? and id = ?",
      at.lane,
      at.prio,
      at.run_at,
      id,
    ) !== undefined ||
      db.get("select 1 from qudo_delayed where run_at = ? and id = ?", at.run_at, id) !==
        undefined);
  return {
    lastOutcome: last === undefined ? null : runStateOf(last.state),
    waiting,
    running: db.get(SQL.running, id, run) !== undefined,
  };
}

interface JobColumns {
  queue: string;
  kind: string;
  prio: number;
  run_at: number;
  created_at: number;
  max_attempts: number;
  timeout_ms: number | null;
  expires_at: number | null;
  opts: string | null;
  unique_text: string | null;
  codec: number;
  payload_text: string | null;
  payload_bin: Uint8Array | null;
}

export function getJobs(engine: Engine, ids: readonly string[]): Promise<(JobRow | null)[]> {
  return read(engine, () => ids.map((id) => getJob(engine.db, id)));
}

function getJob(db: Connection, text: string): JobRow | null {
  const id = idBytes(text);
  const job = db.get<JobColumns>(
    `select l.queue, l.kind, j.prio, j.run_at, j.created_at, j.max_attempts, j.timeout_ms, j.expires_at, j.opts, j.unique_text,
      j.codec,
      j.payload_text, j.payload_bin from qudo_job j join qudo_lane l on l.id = j.lane where j.id = ?`,
    id,
  );
  if (job === undefined) return null;
  const last = findLast(db, id);
  const state = jobState(whereabouts(db, id, last));
  const ended = last !== undefined && ["done", "abandoned", "cancelled", "moved"].includes(state);
  const run = last === undefined ? 1 : ended ? last.run : last.run + 1;
  const at = locate(db, id, run);
  return {
    id: text,
    queue: job.queue,
    kind: job.kind,
    state,
    priority: 0 - (at?.prio ?? job.prio),
    createdAt: job.created_at,
    runAt: at?.run_at ?? job.run_at,
    run,
    fails: last?.fails ?? 0,
    crashes: last?.crashes ?? 0,
    maxAttempts: job.max_attempts,
    timeoutMs: job.timeout_ms,
    expiresAt: job.expires_at,
    uniqueKey: job.unique_text,
    redact: redactedPaths(job.opts),
    payload: { codec: job.codec, text: job.payload_text, bin: job.payload_bin },
    last: last === undefined ? null : attemptOf(db, id, last.run),
    session: null,
    startedAt: null,
    progress: null,
  };
}

export function payloads(
  engine: Engine,
  ids: readonly string[],
): Promise<(StoredPayload | null)[]> {
  return read(engine, () =>
    ids.map((id) => {
      const row = engine.db.get<Pick<JobColumns, "codec" | "payload_text" | "payload_bin">>(
        "select codec, payload_text, payload_bin from qudo_job where id = ?",
        idBytes(id),
      );
      return row === undefined
        ? null
        : { codec: row.codec, text: row.payload_text, bin: row.payload_bin };
    }),
  );
}

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

const ATTEMPT = `select o.job_id, o.run, l.queue, l.kind, o.state, o.reason, o.worker, o.started_at, o.ended_at, o.fails,
  o.crashes, o.next_at, o.result, o.error from qudo_outcome o join qudo_lane l on l.id = o.lane`;

function attemptOf(db: Connection, id: Uint8Array, run: number): AttemptRow {
  return attemptRow(
    db.get<AttemptColumns>(`${ATTEMPT} where o.job_id = ? and o.run = ?`, id, run)!,
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

export function listAttempts(engine: Engine, query: AttemptQuery): Promise<AttemptPage> {
  const where: string[] = [];
  const values: Value[] = [];
  if (query.after !== undefined) {
    const [endedAt, job, run] = query.after.split("/");
    where.push("(o.ended_at, o.job_id, o.run) > (?, ?, ?)");
    values.push(Number(endedAt), idBytes(job ?? ""), Number(run));
  }
  for (const field of ["queue", "kind"] as const)
    if (query[field] !== undefined) {
      where.push(`l.${field} = ?`);
      values.push(query[field]);
    }
  if (query.states !== undefined)
    where.push(`o.state in (${query.states.map((s: RunState) => RUN_STATES[s]).join(", ")})`);
  const filter = where.length === 0 ? "" : ` where ${where.join(" and ")}`;
  const sql = `${ATTEMPT}${filter} order by o.ended_at, o.job_id, o.run limit ?`;
  return read(engine, () => {
    const rows = engine.db.all<AttemptColumns>(sql, ...values, query.limit).map(attemptRow);
    const last = rows.length === query.limit ? rows.at(-1) : undefined;
    return { rows, next: last ? `${last.endedAt}/${last.job}/${last.run}` : null };
  });
}

interface Tally {
  lane: number;
  n: number;
  failed: number;
}

const waitingIn = (
  table: "qudo_ready" | "qudo_delayed",
) => `select w.lane, count(*) as n, coalesce(sum(w.run > 1 and exists (
    select 1 from qudo_outcome o where o.job_id = w.id and o.run = w.run - 1
    and o.state in (${RUN_STATES.failed}, ${RUN_STATES.crashed}))), 0) as failed
  from ${table} w group by w.lane`;

export function counts(
  engine: Engine,
  filter: { queue?: string; kind?: string },
): Promise<LaneCounts[]> {
  const { db } = engine;
  return read(engine, () => {
    const byLane = new Map<number, { -readonly [K in keyof LaneCounts]: LaneCounts[K] }>();
    for (const lane of db.all<LaneRow>(SQL.lanes))
      if ((filter.queue ?? lane.queue) === lane.queue && (filter.kind ?? lane.kind) === lane.kind)
        byLane.set(lane.id, emptyCounts(lane));
    for (const table of ["qudo_ready", "qudo_delayed"] as const)
      for (const { lane, n, failed } of db.all<Tally>(waitingIn(table))) {
        const row = byLane.get(lane);
        if (row === undefined) continue;
        row.pending += n - failed;
        row.failed += failed;
        if (table === "qudo_delayed") row.delayed += n;
      }
    for (const { lane, running } of leasedRuns(db)) {
      const row = byLane.get(lane);
      if (row !== undefined) row[running ? "running" : "reserved"]++;
    }
    for (const { lane, state, n } of finishedRuns(db)) {
      const row = byLane.get(lane);
      if (row !== undefined) row[runStateOf(state) as "done" | "abandoned" | "cancelled"] += n;
    }
    return [...byLane.values()].toSorted((a, b) =>
      a.queue === b.queue ? compare(a.kind, b.kind) : compare(a.queue, b.queue),
    );
  });
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function emptyCounts({ queue, kind, paused }: LaneRow): LaneCounts {
  return {
    queue,
    kind,
    paused: paused !== 0,
    pending: 0,
    failed: 0,
    delayed: 0,
    reserved: 0,
    running: 0,
    done: 0,
    abandoned: 0,
    cancelled: 0,
  };
}

function* leasedRuns(db: Connection): Generator<{ lane: number; running: boolean }> {
  for (const { jobs } of db.all<{ jobs: Uint8Array }>("select jobs from qudo_lease"))
    for (const { id, run } of decodeLease(jobs)) {
      if (db.get(SQL.outcome, id, run) !== undefined) continue;
      const place = locate(db, id, run);
      if (place !== undefined)
        yield { lane: place.lane, running: db.get(SQL.running, id, run) !== undefined };
    }
}

/** A terminal outcome counts unless the job was requeued after it. */
function finishedRuns(db: Connection): { lane: number; state: number; n: number }[] {
  return db.all(
    `select o.lane, o.state, count(*) as n from qudo_outcome o
     where o.state in (${RUN_STATES.done}, ${RUN_STATES.abandoned}, ${RUN_STATES.cancelled})
       and (o.state = ${RUN_STATES.done}
         or not exists (select 1 from qudo_outcome n where n.job_id = o.job_id and n.run = o.run + 1))
     group by o.lane, o.state`,
  );
}
