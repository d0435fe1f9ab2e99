/** Counting: how many jobs stand where, and what happened per minute. */
import { ENQUEUED, RUN_STATES, runStateOf } from "../../core/states.js";
import type { CountQuery, LaneCounts, TallyRow } from "../driver.js";
import { decodeLease } from "../sql/lease.js";
import { startOfMinute } from "../sql/tally.js";
import { Totals } from "../sql/views.js";
import type { Connection } from "./connection.js";
import { locate, read, type Engine, type LaneRow } from "./engine.js";
import { ENDED_SHOWN } from "./hidden.js";
import { SQL } from "./statements.js";

interface Waiting {
  lane: number;
  n: number;
  failed: number;
  first: number;
  later: number;
}

const waitingIn = (
  table: "qudo_ready" | "qudo_held" | "qudo_delayed",
) => `select w.lane, count(*) as n, min(w.run_at) as first, sum(w.run_at > ?) as later,
  coalesce(sum(w.run > 1 and exists (
    select 1 from qudo_outcome o where o.job_id = w.id and o.run = w.run - 1
    and o.state in (${RUN_STATES.failed}, ${RUN_STATES.crashed}))), 0) as failed
  from ${table} w group by w.lane`;

export function counts(engine: Engine, query: CountQuery): Promise<LaneCounts[]> {
  const { db } = engine;
  return read(engine, (now) => {
    const lanes = db.all<LaneRow>(SQL.lanes);
    const totals = new Totals(
      lanes.map((lane) => ({ ...lane, paused: lane.paused !== 0 })),
      query,
    );
    for (const table of ["qudo_ready", "qudo_held", "qudo_delayed"] as const)
      for (const { lane, n, failed, first, later } of db.all<Waiting>(waitingIn(table), now)) {
        totals.add(lane, "pending", n - failed);
        totals.add(lane, "failed", failed);
        totals.add(lane, "delayed", later);
        if (first <= now) totals.waits(lane, first);
      }
    for (const { lane, running } of leasedRuns(db))
      totals.add(lane, running ? "running" : "reserved", 1);
    for (const { lane, state, n } of query.ended === false ? [] : finishedRuns(db, now))
      totals.add(lane, runStateOf(state) as "done" | "abandoned" | "cancelled", n);
    return totals.rows;
  });
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
