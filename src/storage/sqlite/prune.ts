/**
 * Pruning: scans over what has ended, oldest first, each from where it stopped before. A scan looks at a row once, so that a
 * round costs what has come of age since the last one, not what is kept.
 */
import { idBytes, idText } from "../../core/ids.js";
import type { PruneOutcome, PruneStep } from "../driver.js";
import { decodeLease, keyOf } from "../sql/lease.js";
import {
  cursorText,
  dropUpTo,
  dueUpTo,
  endsJob,
  parseCursor,
  type EndOfRun,
  type Position,
} from "../sql/scan.js";
import type { Connection } from "./connection.js";
import { read, write, type Engine } from "./engine.js";
import { SQL } from "./statements.js";

export function prune(engine: Engine, step: PruneStep): Promise<PruneOutcome> {
  return step.scan === "counts"
    ? sweep(engine, step, countScan)
    : sweep(engine, step, jobScan(step.scan));
}

/** Mostly nothing is due: a look without the write lock finds that out. */
async function sweep<R extends { at: Position }>(
  engine: Engine,
  step: PruneStep,
  scan: Scan<R>,
): Promise<PruneOutcome> {
  const cursor = parseCursor(step.after);
  if (cursor.waiting.length === 0) {
    const due = await read(engine, (now) => scan.rows(engine.db, cursor.at, step, now, 1));
    if (due.length === 0) return { pruned: 0, after: step.after, more: false };
  }
  const transact = step.dryRun === true ? read : write;
  return transact(engine, (now) => {
    const rows = scan.rows(engine.db, cursor.at, step, now, step.limit);
    const { pruned, waiting } = scan.take(engine.db, rows, cursor.waiting, step);
    const at = rows.at(-1)?.at ?? cursor.at;
    return { pruned, after: cursorText({ at, waiting }), more: rows.length >= step.limit };
  });
}

interface Scan<R extends { at: Position }> {
  /** What is old enough, after a position. */
  rows(db: Connection, at: Position | null, step: PruneStep, now: number, limit: number): R[];
  take(
    db: Connection,
    rows: readonly R[],
    waiting: readonly Position[],
    step: PruneStep,
  ): { pruned: number; waiting: Position[] };
}

interface EndRow extends EndOfRun {
  at: Position;
  job_id: Uint8Array;
}

const END = `select o.job_id, o.run, o.state, o.ended_at, o.prune_at,
  (select max(n.run) from qudo_outcome n where n.job_id = o.job_id) as last from qudo_outcome o`;

/** By which time rows are in order, and up to which one they are due. */
const BY_END = `${END} where (o.ended_at, o.job_id, o.run) > (?, ?, ?) and o.ended_at <= ?
  order by o.ended_at, o.job_id, o.run limit ?`;
const BY_OWN_TIME = `${END} where (o.prune_at, o.job_id, o.run) > (?, ?, ?) and o.prune_at <= ?
  order by o.prune_at, o.job_id, o.run limit ?`;

const START: Position = [Number.MIN_SAFE_INTEGER, "", 0];

function jobScan(name: "done" | "other" | "own"): Scan<EndRow> {
  return {
    rows(db, at, step, now, limit) {
      const [time, job, run] = at ?? START;
      const due = dueUpTo(step, now);
      const sql = name === "own" ? BY_OWN_TIME : BY_END;
      const values = [time!, bytes(String(job)), run!, due, limit];
      return db
        .all<EndRow & { ended_at: number }>(sql, ...values)
        .map((row) => ({ ...row, at: positionOf(row, name) }));
    },
    take(db, rows, waiting, { dryRun = false }) {
      const leased = leasedRuns(db);
      const again = waiting.flatMap((at) => findAgain(db, at));
      const held: Position[] = [];
      let pruned = 0;
      for (const row of [...again, ...rows]) {
        if (name === "done" && !dryRun) dropOldRuns(db, row, leased);
        if (!endsJob(row, name)) continue;
        if (leased.has(keyOf(row.job_id))) {
          held.push(row.at);
          continue;
        }
        if (!dryRun) deleteJob(db, row.job_id);
        pruned++;
      }
      return { pruned, waiting: held };
    },
  };
}

function positionOf(row: EndRow & { ended_at: number }, name: string): Position {
  const time = name === "own" ? row.prune_at! : row.ended_at;
  return [time, idText(row.job_id), row.run];
}

function findAgain(db: Connection, at: Position): EndRow[] {
  const row = db.get<EndRow>(
    `${END} where o.job_id = ? and o.run = ?`,
    bytes(String(at[1])),
    at[2]!,
  );
  return row === undefined ? [] : [{ ...row, at }];
}

function dropOldRuns(db: Connection, row: EndRow, leased: ReadonlyMap<string, number>): void {
  const upTo = dropUpTo(row, leased.get(keyOf(row.job_id)));
  if (upTo < 1) return;
  db.run("delete from qudo_outcome where job_id = ? and run <= ?", row.job_id, upTo);
  db.run("delete from qudo_job_log where job_id = ? and run <= ?", row.job_id, upTo);
}

/** The first run of each job that any lease lists: it and what follows it stays (I5). */
function leasedRuns(db: Connection): Map<string, number> {
  const leased = new Map<string, number>();
  for (const { jobs } of db.all<{ jobs: Uint8Array }>("select jobs from qudo_lease"))
    for (const { id, run } of decodeLease(jobs))
      leased.set(keyOf(id), Math.min(run, leased.get(keyOf(id)) ?? run));
  return leased;
}

function deleteJob(db: Connection, id: Uint8Array): void {
  db.run(SQL.freeUniqueKey, id);
  db.run("delete from qudo_outcome where job_id = ?", id);
  db.run("delete from qudo_job_log where job_id = ?", id);
  db.run("delete from qudo_job where id = ?", id);
}

interface CountRow {
  at: Position;
  minute: number;
  lane: number;
  event: number;
  session: Uint8Array;
}

/** Minutes of the tally. What is deleted is gone, but a dry run has to get on, too. */
const countScan: Scan<CountRow> = {
  rows(db, at, step, now, limit) {
    const [minute, lane, event, session] = at ?? [Number.MIN_SAFE_INTEGER, 0, 0, ""];
    const due = dueUpTo(step, now);
    return db
      .all<CountRow>(
        `select minute, lane, event, session from qudo_tally where (minute, lane, event, session) > (?, ?, ?, ?)
          and minute <= ? order by minute, lane, event, session limit ?`,
        minute!,
        lane!,
        event!,
        bytes(String(session)),
        due,
        limit,
      )
      .map((row) => ({ ...row, at: [row.minute, row.lane, row.event, idText(row.session)] }));
  },
  take(db, rows, _, { dryRun }) {
    if (dryRun !== true)
      for (const { minute, lane, event, session } of rows)
        db.run(
          "delete from qudo_tally where minute = ? and lane = ? and event = ? and session = ?",
          minute,
          lane,
          event,
          session,
        );
    return { pruned: rows.length, waiting: [] };
  },
};

/** Empty before the first id. */
function bytes(id: string): Buffer {
  return id === "" ? Buffer.alloc(0) : idBytes(id);
}
