/** What operators do to jobs. The fence first, then the place: a job on the move is met in its direction of travel. */
import { idBytes, idText } from "../../core/ids.js";
import {
  afterCancel,
  afterPurge,
  afterRequeue,
  afterReschedule,
  type Counters,
  type Decision,
} from "../../core/outcome.js";
import { isRetryable, isTerminal, jobState, runStateOf } from "../../core/states.js";
import type {
  CancelOutcome,
  PurgeOutcome,
  Reschedule,
  RescheduleOutcome,
  RetryOutcome,
} from "../driver.js";
import { NOBODY } from "../sql/lease.js";
import { movedTo, type Moved } from "../sql/places.js";
import type { Connection } from "./connection.js";
import { locate, record, write, type Engine, type Place } from "./engine.js";
import { findLast, whereabouts } from "./look.js";
import { SQL } from "./statements.js";

export function cancel(engine: Engine, ids: readonly string[]): Promise<CancelOutcome[]> {
  return write(engine, (now) =>
    ids.map((id) => {
      const outcome = end(engine, idBytes(id), afterCancel, now);
      return typeof outcome === "string" ? outcome : "cancelled";
    }),
  );
}

export function purge(engine: Engine, ids: readonly string[]): Promise<PurgeOutcome[]> {
  return write(engine, (now) =>
    ids.map((id) => {
      const outcome = end(engine, idBytes(id), afterPurge, now);
      if (typeof outcome === "string") return outcome;
      return outcome.state === "abandoned" ? "abandoned" : "cancelled";
    }),
  );
}

/** What was decided of a living job, by where it was met. */
function end(
  engine: Engine,
  id: Buffer,
  decide: (run: Counters, running: boolean) => Decision,
  now: number,
): "absent" | "already" | Decision {
  const { db } = engine;
  const last = findLast(db, id);
  const run = (last?.run ?? 0) + 1;
  const old = locate(db, id, run);
  if (old === undefined) return "absent";
  if (last !== undefined && isTerminal(runStateOf(last.state))) return "already";
  const counters = last ?? { fails: 0, crashes: 0 };
  const decision = decide(counters, db.get(SQL.running, id, run) !== undefined);
  operatorEvent(engine, id, run, decision, now);
  // A leased run keeps its key until its worker, who learns by heartbeat, gives it up.
  if (takeAway(db, id, old)) db.run(SQL.freeUniqueKey, id);
  return decision;
}

/** From where it waits. False when it does not. */
function takeAway(db: Connection, id: Buffer, at: Place): boolean {
  const taken =
    db.run(SQL.deleteDelayed, at.run_at, id) +
    db.run(SQL.deleteReady, at.lane, at.prio, at.run_at, id);
  return taken > 0;
}

export function reschedule(
  engine: Engine,
  changes: readonly Reschedule[],
): Promise<RescheduleOutcome[]> {
  return write(engine, (now) => changes.map((change) => rescheduleOne(engine, change, now)));
}

function rescheduleOne(engine: Engine, change: Reschedule, now: number): RescheduleOutcome {
  const { db } = engine;
  const id = idBytes(change.id);
  const last = findLast(db, id);
  const run = (last?.run ?? 0) + 1;
  const old = locate(db, id, run);
  if (old === undefined) return { status: "absent" };
  const found = whereabouts(db, id, last);
  if (!found.waiting) return { status: "refused", state: jobState(found) };
  const place = { prio: old.prio, runAt: old.run_at, nextPrio: old.next_prio };
  const to = movedTo(place, change, now);
  if (to === null) return { status: "rescheduled" };
  takeAway(db, id, old);
  const counters = last ?? { fails: 0, crashes: 0 };
  operatorEvent(engine, id, run, afterReschedule(counters), now, to);
  return { status: "rescheduled" };
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
  to?: Moved,
): void {
  const event = { id, run, decision, writer: NOBODY, worker: null, startedAt: null, to };
  record(engine, { ...event, result: null, error: null }, now);
}
