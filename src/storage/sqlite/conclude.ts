/** Ending a lease from outside: whatever in it is undecided is decided, keys and running rows go, the lease goes. */
import type { Counters, Decision } from "../../core/outcome.js";
import { isTerminal, runStateOf, type RunState } from "../../core/states.js";
import { decodeLease, NOBODY } from "../sql/lease.js";
import { countersOf, record, type Engine } from "./engine.js";
import { freeSlots } from "./limits.js";
import { SQL } from "./statements.js";

export interface Concluded {
  decided: Partial<Record<RunState, number>>;
}

export function concludeLease(
  engine: Engine,
  lease: Uint8Array,
  worker: Uint8Array,
  decide: (run: Counters, wasRunning: boolean) => Decision,
  now: number,
): Concluded {
  const { db } = engine;
  const decided: Partial<Record<RunState, number>> = {};
  const row = db.get<{ jobs: Uint8Array }>(SQL.lease, lease);
  for (const { id, run } of row === undefined ? [] : decodeLease(row.jobs)) {
    const found = db.get<{ state: number }>(SQL.outcome, id, run);
    let state = found && runStateOf(found.state);
    if (state === undefined) {
      const started = db.get<{ started_at: number }>(SQL.running, id, run);
      const decision = decide(countersOf(db, id, run), started !== undefined);
      const startedAt = started?.started_at ?? null;
      const event = { id, run, decision, worker, startedAt, writer: NOBODY, result: null };
      if (!record(engine, { ...event, error: null }, now)) continue;
      state = decision.state;
      decided[state] = (decided[state] ?? 0) + 1;
    }
    db.run(SQL.deleteRunning, id, run);
    freeSlots(db, id, run);
    if (isTerminal(state)) db.run(SQL.freeUniqueKey, id);
  }
  db.run(SQL.deleteLease, lease);
  return { decided };
}
