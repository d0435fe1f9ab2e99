/** What stands where: runs that are shown as running, jobs that wait although they are due, and how things are with one job. */
import { LIMITS } from "../../core/defaults.js";
import { idBytes, idText } from "../../core/ids.js";
import { isTerminal, runStateOf } from "../../core/states.js";
import type {
  DuePage,
  DueQuery,
  DueRow,
  RunningPage,
  RunningQuery,
  RunningRow,
  Situation,
} from "../driver.js";
import { keyOf } from "../sql/cursor.js";
import { isHidden } from "../sql/hidden.js";
import { decodeLease, keyOf as bytesKey } from "../sql/lease.js";
import { duePage, runningPage } from "../sql/listed.js";
import { Merge } from "../sql/merge.js";
import { isOf, type JobColumns } from "../sql/views.js";
import { Conditions } from "./conditions.js";
import type { Connection } from "./connection.js";
import { toBytes, type Key } from "./cursor.js";
import { locate, read, type Engine, type LaneRow, type Place } from "./engine.js";
import { findLast, isKeyed } from "./look.js";
import { usesOf } from "./limits.js";
import { SQL } from "./statements.js";

interface RunningColumns {
  job_id: Uint8Array;
  run: number;
  worker: Uint8Array;
  started_at: number;
  progress: string | null;
  queue: string;
  kind: string;
}

export async function listRunning(engine: Engine, query: RunningQuery): Promise<RunningPage> {
  const { after, since, until, limit } = query;
  const where = new Conditions();
  if (after !== undefined)
    where.add(
      "(r.started_at, r.job_id, r.run) > (?, ?, ?)",
      ...toBytes(keyOf(after, ["number", "id", "number"])),
    );
  if (since !== undefined) where.add("r.started_at >= ?", since);
  if (until !== undefined) where.add("r.started_at < ?", until);
  where.lane(query);
  const sql = `${SQL.listRunning} and ${where.text} order by r.started_at, r.job_id, r.run limit ?`;
  return read(engine, () => {
    const rows = engine.db.all<RunningColumns>(sql, ...where.values, limit).map(runningRow);
    return runningPage(rows, limit);
  });
}

function runningRow({ job_id, worker, started_at, ...row }: RunningColumns): RunningRow {
  const [job, session] = [idText(job_id), idText(worker)];
  const { run, queue, kind, progress } = row;
  return { job, run, queue, kind, session, startedAt: started_at, progress };
}

interface DueColumns {
  id: Uint8Array;
  run: number;
  run_at: number;
  prio: number;
  lane: number;
  fails: number;
  crashes: number;
}

/**
 * Ready jobs stand by lane and priority, within each by the time they are due: so each of these is asked for its first ones, and
 * the first ones of all are the answer, however many wait behind them.
 */
export async function listDue(engine: Engine, query: DueQuery): Promise<DuePage> {
  const after = query.after === undefined ? null : toBytes(keyOf(query.after, ["number", "id"]));
  return read(engine, (now) => {
    const { db } = engine;
    const { since = Number.MIN_SAFE_INTEGER, until = now + 1, limit } = query;
    const lanes = lanesOf(db, query);
    const due = Math.min(until, now + 1);
    const late: List = (key, n) => db.all(dueDelayed(lanes), ...key, since, due, n);
    const keyed: List = (key, n) => db.all(dueKeyed(lanes), ...key, since, until, n);
    const lists = [late, keyed];
    for (const lane of lanes.keys())
      for (const prio of priosOf(db, lane))
        lists.push((key, n) => db.all(SQL.dueReady, lane, prio, ...key, since, until, n));
    const rows = firstOf(lists, after ?? [since, NO_ID], limit);
    return duePage(
      rows.map((row) => dueRow(row, lanes.get(row.lane)!)),
      limit,
    );
  });
}

/** So many rows of a list after a key. */
type List = (after: Key, n: number) => DueColumns[];

function firstOf(lists: readonly List[], from: Key, limit: number): readonly DueColumns[] {
  const merge = new Merge(lists.length, limit, inDueOrder);
  for (let { wanted } = merge; wanted.length > 0; { wanted } = merge) {
    for (const { list, last } of wanted) {
      const after = last === undefined ? from : [last.run_at, last.id];
      merge.put(list, lists[list]!(after, merge.piece));
    }
    merge.fill();
  }
  return merge.rows;
}

/** Before every id there is. */
const NO_ID = new Uint8Array(0);

function lanesOf(db: Connection, query: DueQuery): ReadonlyMap<number, LaneRow> {
  const lanes = db.all<LaneRow>(SQL.lanes).filter((lane) => isOf(lane, query));
  return new Map(lanes.map((lane) => [lane.id, lane]));
}

/** The priorities that a lane has ready jobs of: one look into the index for each. */
function priosOf(db: Connection, lane: number): number[] {
  const prios: number[] = [];
  for (let prio = Number.MIN_SAFE_INTEGER; ;) {
    const next = db.get<{ prio: number }>(SQL.nextPrio, lane, prio);
    if (next === undefined) return prios;
    prios.push((prio = next.prio));
  }
}

/** The lanes are our own numbers. */
const inLanes = (lanes: ReadonlyMap<number, LaneRow>): string =>
  `and lane in (${[...lanes.keys()].join(", ")}) order by run_at, id limit ?`;
const dueDelayed = (lanes: ReadonlyMap<number, LaneRow>): string =>
  `${SQL.dueDelayed} ${inLanes(lanes)}`;
const dueKeyed = (lanes: ReadonlyMap<number, LaneRow>): string =>
  `${SQL.dueKeyed} ${inLanes(lanes)}`;

function inDueOrder(a: DueColumns, b: DueColumns): number {
  return a.run_at - b.run_at || Buffer.compare(a.id, b.id);
}

function dueRow(
  { id, prio, run_at: dueAt, run, fails, crashes }: DueColumns,
  lane: LaneRow,
): DueRow {
  const { queue, kind } = lane;
  return { job: idText(id), run, queue, kind, priority: 0 - prio, dueAt, fails, crashes };
}

export function situation(engine: Engine, job: string): Promise<Situation | null> {
  const id = idBytes(job);
  return read(engine, (now) => situationOf(engine.db, id, now));
}

interface Pauses {
  queue: string;
  queue_paused: number | null;
  kind_paused: number | null;
}

function situationOf(db: Connection, id: Uint8Array, now: number): Situation | null {
  const job = db.get<JobColumns>(SQL.job, id);
  const last = job && findLast(db, id);
  if (job === undefined || isHidden(job, last, now)) return null;
  const run = (last?.run ?? 0) + 1;
  const at = locate(db, id, run)!;
  const pauses = db.get<Pauses>(SQL.pauses, at.lane)!;
  const found = {
    now,
    queuePausedAt: pauses.queue_paused,
    kindPausedAt: pauses.kind_paused,
    ahead: 0,
    claimedAt: null,
    limits: [],
  };
  if (last !== undefined && isTerminal(runStateOf(last.state))) return { ...found, place: "ended" };
  if (db.get(SQL.isReady, at.lane, at.prio, at.run_at, id) !== undefined)
    return {
      ...found,
      place: "ready",
      ahead: aheadOf(db, pauses.queue, at, id),
      limits: usesOf(db, at.lane, id, now),
    };
  if (isKeyed(db, at, id))
    return {
      ...found,
      place: "keyed",
      ahead: aheadInKey(db, at, id),
      limits: usesOf(db, at.lane, id, now),
    };
  if (db.get(SQL.isDelayed, at.run_at, id) !== undefined) return { ...found, place: "delayed" };
  const claimedAt = claimedAtOf(db, id, run);
  return { ...found, place: claimedAt === null ? "nowhere" : "held", claimedAt };
}

/** Jobs of the same queue that are claimed before this one. */
function aheadOf(db: Connection, queue: string, { prio, run_at }: Place, id: Uint8Array): number {
  let ahead = 0;
  for (const lane of db.all<{ id: number }>(SQL.openLanesOf, queue)) {
    const left = LIMITS.countedAhead - ahead;
    if (left === 0) break;
    ahead += db.get<{ n: number }>(SQL.ahead, lane.id, prio, run_at, id, left)!.n;
  }
  return ahead;
}

/** Jobs of the same key that come before this one. */
function aheadInKey(db: Connection, at: Place, id: Uint8Array): number {
  const { lane, limit_hash: hash, prio, run_at } = at;
  return db.get<{ n: number }>(SQL.aheadInKey, lane, hash, prio, run_at, id, LIMITS.countedAhead)!
    .n;
}

function claimedAtOf(db: Connection, id: Uint8Array, run: number): number | null {
  const key = bytesKey(id);
  const leases = db.all<{ claimed_at: number; jobs: Uint8Array }>(SQL.claims);
  const lease = leases.find(({ jobs }) =>
    decodeLease(jobs).some((entry) => entry.run === run && bytesKey(entry.id) === key),
  );
  return lease?.claimed_at ?? null;
}
