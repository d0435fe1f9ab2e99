/** Upkeep that any worker may do at any time. */
import { RUN_STATES } from "../../core/states.js";
import type { Promotion, PruneOutcome, PruneStep } from "../driver.js";
import { decodeLease } from "../sql/lease.js";
import { place, read, write, type Engine } from "./engine.js";
import { SQL } from "./statements.js";

interface DelayedRow {
  run_at: number;
  id: Uint8Array;
  lane: number;
  prio: number;
  run: number;
  fails: number;
  crashes: number;
}

/** Looks first without the write lock: mostly nothing is due. */
export async function promote(engine: Engine, limit: number): Promise<Promotion> {
  const { db } = engine;
  const idle = await read(engine, (now) => untilNext(engine, now));
  if (idle === null || idle > 0) return { moved: 0, nextDueMs: idle };
  return write(engine, (now) => {
    const due = db.all<DelayedRow>(SQL.due, now, limit);
    for (const { run_at: runAt, ...row } of due) {
      db.run(SQL.deleteDelayed, runAt, row.id);
      place(db, { ...row, runAt }, now);
    }
    return { moved: due.length, nextDueMs: untilNext(engine, now) };
  });
}

function untilNext({ db }: Engine, now: number): number | null {
  const runAt = db.get<{ run_at: number | null }>(SQL.nextDue)?.run_at ?? null;
  return runAt === null ? null : Math.max(0, runAt - now);
}

/** A resend must still find its job, and a late worker its outcome: nothing goes before this. */
const KEEP_AT_LEAST_MS = 600_000;

const PRUNABLE = `select o.job_id from qudo_outcome o join qudo_job j on j.id = o.job_id
  where o.ended_at <= ? and (o.state = ${RUN_STATES.done}) = ?
    and o.state in (${RUN_STATES.done}, ${RUN_STATES.abandoned}, ${RUN_STATES.cancelled}, ${RUN_STATES.moved})
    and o.ended_at <= ? - max(coalesce(j.keep_ms, ?), ${KEEP_AT_LEAST_MS})
    and not exists (select 1 from qudo_outcome n where n.job_id = o.job_id and n.run > o.run)
  order by o.ended_at, o.job_id limit ?`;

export function prune(_engine: Engine, _step: PruneStep): Promise<PruneOutcome> {
  throw new Error(`not yet ${PRUNABLE} ${leasedJobs.name} ${deleteJob.name}`);
}

function leasedJobs({ db }: Engine): Set<string> {
  const leased = new Set<string>();
  for (const { jobs } of db.all<{ jobs: Uint8Array }>("select jobs from qudo_lease"))
    for (const { id } of decodeLease(jobs)) leased.add(Buffer.from(id).toString("hex"));
  return leased;
}

function deleteJob({ db }: Engine, id: Uint8Array): void {
  db.run(SQL.freeUniqueKey, id);
  db.run("delete from qudo_outcome where job_id = ?", id);
  db.run("delete from qudo_job where id = ?", id);
}
