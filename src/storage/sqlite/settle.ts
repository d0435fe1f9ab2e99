/** Settling: the fence. A run ends here once, and only for the worker that still holds its lease. */
import { idBytes, idText } from "../../core/ids.js";
import { afterRelease } from "../../core/outcome.js";
import { isTerminal } from "../../core/states.js";
import type {
  ChildOutcome,
  HeldRun,
  NewJob,
  Replacement,
  SettleGroup,
  Settlement,
  SettleOutcome,
  Trip,
  TripOutcome,
} from "../driver.js";
import { answerTo, startOf } from "../sql/fence.js";
import { decodeLease } from "../sql/lease.js";
import { findChild } from "./children.js";
import { claim, idling } from "./claim.js";
import type { ListedRun } from "./claimed.js";
import { concludeLease } from "./conclude.js";
import type { Connection } from "./connection.js";
import { read, record, write, type Engine } from "./engine.js";
import { insertJob } from "./enqueue.js";
import { freeSlots } from "./limits.js";
import { keepLines } from "./report.js";
import { SQL } from "./statements.js";

const NOTHING = { more: false };

/** Settlements first, then the claim: what they free can be claimed at once. */
export async function trip(engine: Engine, trip: Trip): Promise<TripOutcome> {
  const { settle, claim: request } = trip;
  if (settle.length === 0) {
    const idle =
      request === null ? NOTHING : await read(engine, (now) => idling(engine, request, now));
    if (idle !== null) return { settled: [], claimed: [], ...idle };
  }
  return write(engine, (now) => {
    const replaced: Replacement[] = [];
    const settled = settle.map((group) => settleGroup(engine, group, replaced, now));
    const { jobs: claimed, ...rest } =
      request === null ? { jobs: [], ...NOTHING } : claim(engine, request, now);
    const outcome = { settled, claimed, ...rest };
    return replaced.length === 0 ? outcome : { ...outcome, replaced };
  });
}

function settleGroup(
  engine: Engine,
  group: SettleGroup,
  replaced: Replacement[],
  now: number,
): SettleOutcome[] {
  const { db } = engine;
  const lease = idBytes(group.lease);
  const session = idBytes(group.session);
  const open = openRuns(engine, group.lease, lease, session);
  const settling: Settling = {
    engine,
    db,
    session,
    now,
    keys: db.get(SQL.anyUniqueKey) !== undefined,
    running: db.get(SQL.anyRunning) !== undefined,
    slots: db.get(SQL.anySlot) !== undefined,
    replaced,
  };
  const outcomes = group.settlements.map((settlement) => {
    const listed = open?.get(settlement.job);
    if (listed?.run !== settlement.run)
      return settleRun(settling, settlement, idBytes(settlement.job), null);
    open!.delete(settlement.job);
    return settleRun(settling, settlement, listed.id, listed);
  });
  if (group.close && open !== null && !hasUndecided(engine, open)) {
    for (const { id, run } of open.values()) clearAway(db, id, run);
    db.run(SQL.deleteLease, lease);
    engine.claimed.forget(group.lease);
  }
  return outcomes;
}

/** A run of the lease that others decided and its worker never settled: with the lease goes what was kept for it. */
function clearAway(db: Connection, id: Uint8Array, run: number): void {
  db.run(SQL.deleteRunning, id, run);
  freeSlots(db, id, run);
  db.run(SQL.freeUniqueKey, id);
}

interface Settling {
  readonly engine: Engine;
  readonly db: Connection;
  readonly session: Buffer;
  readonly now: number;
  /** There are unique keys, runs shown as running, or slots at all: mostly not, and one look per group spares deletes per job. */
  readonly keys: boolean;
  readonly running: boolean;
  readonly slots: boolean;
  /** Of accepted settlements with children. */
  readonly replaced: Replacement[];
}

/** What the lease lists; null when it is not this session's (any more). A run it does not list cannot be settled through it. */
function openRuns(
  { db, claimed }: Engine,
  name: string,
  lease: Buffer,
  session: Buffer,
): Map<string, ListedRun> | null {
  const known = claimed.of(name);
  if (known !== undefined) {
    const row = db.get<{ worker: Uint8Array }>(SQL.leaseHolder, lease);
    return row !== undefined && session.equals(row.worker) ? new Map(known) : null;
  }
  const row = db.get<{ worker: Uint8Array; jobs: Uint8Array }>(SQL.lease, lease);
  if (row === undefined || !session.equals(row.worker)) return null;
  return new Map(decodeLease(row.jobs).map((entry) => [idText(entry.id), entry]));
}

/** A lease with something undecided in it stays, whatever its worker says: that job would stand nowhere. */
function hasUndecided({ db }: Engine, open: ReadonlyMap<string, ListedRun>): boolean {
  for (const { id, run } of open.values())
    if (db.get(SQL.outcome, id, run) === undefined) return true;
  return false;
}

function holds({ db }: Engine, lease: Buffer, session: Buffer): boolean {
  const row = db.get<{ worker: Uint8Array }>(SQL.leaseHolder, lease);
  return row !== undefined && session.equals(row.worker);
}

function settleRun(
  settling: Settling,
  settlement: Settlement,
  id: Uint8Array,
  held: ListedRun | null,
): SettleOutcome {
  const { engine, db, session, now } = settling;
  const { run, result, error } = settlement;
  const event = {
    id,
    run,
    decision: settlement,
    writer: session,
    worker: session,
    startedAt: startOf(settlement, now),
    result,
    error,
    lane: held?.lane,
    plain: held?.plain,
  };
  if (settlement.lines !== undefined) keepLines(db, id, run, settlement.lines, now);
  const inserted = held !== null && record(engine, event, now);
  if (held !== null && settling.running) db.run(SQL.deleteRunning, id, run);
  if (held !== null && settling.slots) freeSlots(db, id, run);
  if (inserted) {
    if (settling.keys && isTerminal(settlement.state)) db.run(SQL.freeUniqueKey, id);
    // Its key is free by now, and nobody comes between: a child may take it over.
    replace(settling, settlement, (child) => insertJob(engine, child, now));
    return "accepted";
  }
  return readBack(settling, settlement, id);
}

function replace(
  { replaced }: Settling,
  { job, run, children }: Settlement,
  outcomeOf: (child: NewJob) => ChildOutcome,
): void {
  if (children !== undefined) replaced.push({ job, run, children: children.map(outcomeOf) });
}

/** Not inserted. A key still held for this run is free now. */
function readBack(settling: Settling, settlement: Settlement, id: Uint8Array): SettleOutcome {
  const { engine, db, session } = settling;
  const row = db.get<{ state: number; writer: Uint8Array }>(SQL.outcome, id, settlement.run);
  const found = row && { state: row.state, own: session.equals(row.writer) };
  const { outcome, freesKey } = answerTo(settlement, found);
  if (freesKey) db.run(SQL.freeUniqueKey, id);
  if (outcome === "accepted") replace(settling, settlement, (child) => findChild(engine, child));
  return outcome;
}

export function markStarted(engine: Engine, runs: readonly HeldRun[]): Promise<boolean[]> {
  return write(engine, (now) =>
    runs.map(({ job, run, lease, session }) => {
      const { db } = engine;
      const id = idBytes(job);
      const worker = idBytes(session);
      if (!holds(engine, idBytes(lease), worker)) return false;
      if (db.get(SQL.outcome, id, run) !== undefined) return false;
      db.run(SQL.insertRunning, id, run, worker, now);
      return true;
    }),
  );
}

export function release(
  engine: Engine,
  session: string,
  leases: readonly string[],
): Promise<number> {
  return write(engine, (now) => {
    const worker = idBytes(session);
    let released = 0;
    for (const lease of leases) {
      const id = idBytes(lease);
      if (!holds(engine, id, worker)) continue;
      const { decided } = concludeLease(engine, id, worker, afterRelease, now);
      released += decided.released ?? 0;
    }
    return released;
  });
}
