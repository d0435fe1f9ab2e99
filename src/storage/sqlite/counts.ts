/** Counting: how many jobs stand where, and what happened per minute. */
import { ENQUEUED, RUN_STATES, runStateOf } from "../../core/states.js";
import type { LaneCounts, TallyRow } from "../driver.js";
import { decodeLease } from "../sql/lease.js";
import type { Connection } from "./connection.js";
import { locate, read, type Engine, type LaneRow } from "./engine.js";
import { ENDED_SHOWN } from "./hidden.js";
import { SQL } from "./statements.js";
import { startOfMinute } from "./tally.js";

interface Waiting {
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
  return read(engine, (now) => {
    const byLane = new Map<number, { -readonly [K in keyof LaneCounts]: LaneCounts[K] }>();
    for (const lane of db.all<LaneRow>(SQL.lanes))
      if ((filter.queue ?? lane.queue) === lane.queue && (filter.kind ?? lane.kind) === lane.kind)
        byLane.set(lane.id, emptyCounts(lane));
    for (const table of ["qudo_ready", "qudo_delayed"] as const)
      for (const { lane, n, failed } of db.all<Waiting>(waitingIn(table))) {
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
    for (const { lane, state, n } of finishedRuns(db, now)) {
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
function finishedRuns(db: Connection, now: number): { lane: number; state: number; n: number }[] {
  return db.all(
    `select o.lane, o.state, count(*) as n from qudo_outcome o
     where o.state in (${RUN_STATES.done}, ${RUN_STATES.abandoned}, ${RUN_STATES.cancelled})
       and (o.state = ${RUN_STATES.done}
         or not exists (select 1 from qudo_outcome n where n.job_id = o.job_id and n.run = o.run + 1))
       and ${ENDED_SHOWN}
     group by o.lane, o.state`,
    now,
  );
}

interface TallyColumns {
  minute: number;
  queue: string;
  kind: string;
  event: number;
  n: number;
}

/** The minute that `since` lies in comes whole: it cannot be told apart. */
export function tally(engine: Engine, since: number): Promise<TallyRow[]> {
  return read(engine, () =>
    engine.db.all<TallyColumns>(SQL.tally, startOfMinute(since)).map((row) => ({
      ...row,
      event: row.event === ENQUEUED ? "enqueued" : runStateOf(row.event),
    })),
  );
}
