/** What operators do to jobs. The fence first, then the place: a job on the move is met in its direction of travel. */
import { idBytes, idText } from "../../core/ids.js";
import { afterCancel, afterRequeue, type Decision } from "../../core/outcome.js";
import { isRetryable, isTerminal, jobState, runStateOf } from "../../core/states.js";
import type { CancelOutcome, RetryOutcome } from "../driver.js";
import { NOBODY } from "../sql/lease.js";
import { locate, record, write, type Engine } from "./engine.js";
import { findLast, whereabouts } from "./look.js";
import { SQL } from "./statements.js";

export function cancel(engine: Engine, ids: readonly string[]): Promise<CancelOutcome[]> {
  return write(engine, (now) => ids.map((id) => cancelOne(engine, idBytes(id), now)));
}

function cancelOne(engine: Engine, id: Buffer, now: number): CancelOutcome {
  const { db } = engine;
  const last = findLast(db, id);
  const run = (last?.run ?? 0) + 1;
  const old = locate(db, id, run);
  if (old === undefined) return "absent";
  if (last !== undefined && isTerminal(runStateOf(last.state))) return "already";
  const counters = last ?? { fails: 0, crashes: 0 };
  operatorEvent(engine, id, run, afterCancel(counters), now);
  const waited =
    db.run(SQL.deleteDelayed, old.run_at, id) +
    (old.limit_hash === null
      ? 0
      : db.run(SQL.deleteHeld, old.lane, old.limit_hash, old.prio, old.run_at, id)) +
    db.run(SQL.deleteReady, old.lane, old.prio, old.run_at, id);
  // A leased run keeps its key until its worker, who learns by heartbeat, gives it up.
  if (waited > 0) db.run(SQL.freeUniqueKey, id);
  return "cancelled";
}

export function retry(engine: Engine, ids: readonly string[]): Promise<RetryOutcome[]> {
  return write(engine, (now) => ids.map((id) => retryOne(engine, idBytes(id), now)));
}

function retryOne(engine: Engine, id: Buffer, now: number): RetryOutcome {
  const { db } = engine;
  const job = db.get<{ unique_hash: Uint8Array | null }>(
    "select unique_hash from qudo_job where id = ?",
    id,
  );
  if (job === undefined) return { status: "absent" };
  const last = findLast(db, id);
  const state = jobState(whereabouts(db, id, last));
  if (last === undefined || !isRetryable(runStateOf(last.state)))
    return { status: "refused", state };
  if (job.unique_hash !== null) {
    db.run(SQL.takeUniqueKey, job.unique_hash, id);
    const { job_id: holder } = db.get<{ job_id: Uint8Array }>(SQL.uniqueHolder, job.unique_hash)!;
    if (!id.equals(holder)) return { status: "unique", holder: idText(holder) };
  }
  operatorEvent(engine, id, last.run + 1, afterRequeue(), now);
  return { status: "requeued" };
}

function operatorEvent(
  engine: Engine,
  id: Buffer,
  run: number,
  decision: Decision,
  now: number,
): void {
  const event = { id, run, decision, writer: NOBODY, worker: null, startedAt: null };
  record(engine, { ...event, result: null, error: null }, now);
}
