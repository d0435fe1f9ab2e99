/** What the operations of this engine share: the connection, the clock, the lanes seen so far, and the two moves of every event. */
import type { Counters, Decision } from "../../core/outcome.js";
import { RUN_STATES, REASONS } from "../../core/states.js";
import type { Moved } from "../sql/places.js";
import { KEEP_AT_LEAST_MS } from "../sql/scan.js";
import type { Connection } from "./connection.js";
import { SQL } from "./statements.js";
import { ClaimedLeases } from "./claimed.js";
import { Tally } from "./tally.js";

export interface Engine {
  readonly db: Connection;
  /** Milliseconds UTC. A SQLite file's clock is its host's; tests give their own. */
  readonly clock: () => number;
  readonly lanes: Lanes;
  readonly tally: Tally;
  readonly claimed: ClaimedLeases;
}

export interface LaneRow {
  id: number;
  queue: string;
  kind: string;
  paused: number;
  /** What is declared of its kind and of its queue, as it is stored; null where nothing was. */
  of_kind: string | null;
  of_queue: string | null;
  /** Which key had the last turn. */
  turn: Uint8Array | null;
  /** 1 where jobs wait for their key's turn. */
  keyed: number;
}

/** Ids of lanes, by name. Those of a transaction are remembered only after its commit: a rollback takes them back. */
export class Lanes {
  private readonly known = new Map<string, number>();
  private readonly fresh = new Map<string, number>();

  constructor(private readonly db: Connection) {}

  /** Called inside a write. */
  id(queue: string, kind: string): number {
    const key = `${queue}\0${kind}`;
    const known = this.known.get(key) ?? this.fresh.get(key);
    if (known !== undefined) return known;
    this.db.run(SQL.insertLane, queue, kind);
    const { id } = this.db.get<{ id: number }>(SQL.laneId, queue, kind)!;
    this.fresh.set(key, id);
    return id;
  }

  /** A transaction begins: what an earlier one left behind was rolled back with it. */
  begun(): void {
    this.fresh.clear();
  }

  /** Called in the same turn as the commit, before another transaction can begin. */
  committed(): void {
    for (const [key, id] of this.fresh) this.known.set(key, id);
    this.fresh.clear();
  }
}

/** An engine that has seen nothing yet. */
export function newEngine(db: Connection, clock: () => number): Engine {
  return { db, clock, lanes: new Lanes(db), tally: new Tally(), claimed: new ClaimedLeases() };
}

/** One write transaction of an operation: the body is given the database's time. */
export function write<T>(
  engine: Engine,
  body: (now: number) => T,
  { urgent = false } = {},
): Promise<T> {
  const committed = (): void => engine.lanes.committed();
  return engine.db.write(() => within(engine, body), { committed, urgent });
}

/** The same inside a write transaction that is open already; whoever opened it commits it. */
export function within<T>(engine: Engine, body: (now: number) => T): T {
  engine.lanes.begun();
  engine.tally.begun();
  const now = engine.clock();
  const value = body(now);
  engine.tally.write(engine.db, now);
  return value;
}

export function read<T>(engine: Engine, body: (now: number) => T): Promise<T> {
  return engine.db.read(() => body(engine.clock()));
}

/** A waiting row: what ready and delayed have in common. */
export interface Waiting extends Counters {
  readonly id: Uint8Array;
  readonly lane: number;
  readonly prio: number;
  readonly runAt: number;
  readonly run: number;
  /** Under which it waits for its key's turn; null for a job without a key. */
  readonly limitHash: Uint8Array | null;
}

/** Puts a job where it waits: when it is due among the ready ones, or those of its key, else among the delayed. */
export function place(db: Connection, job: Waiting, now: number): void {
  const { id, lane, prio, runAt, run, fails, crashes, limitHash } = job;
  if (runAt > now) {
    db.run(SQL.insertDelayed, runAt, id, lane, prio, run, fails, crashes);
    return;
  }
  if (limitHash === null) db.run(SQL.insertReady, lane, prio, runAt, id, run, fails, crashes);
  else db.run(SQL.insertHeld, lane, limitHash, prio, runAt, id, run, fails, crashes);
  db.announce();
}

export interface Place {
  readonly lane: number;
  readonly prio: number;
  readonly run_at: number;
  readonly next_prio: number | null;
  readonly limit_hash: Uint8Array | null;
}

/** Where the waiting row of (job, run) stands. Undefined when the job is gone. */
export function locate(db: Connection, id: Uint8Array, run: number): Place | undefined {
  return db.get<Place>(SQL.place, run, id);
}

/** Counters a run starts with: those of the outcome before it. */
export function countersOf(db: Connection, id: Uint8Array, run: number): Counters {
  return (
    (run > 1 ? db.get<Counters>(SQL.counters, id, run - 1) : undefined) ?? { fails: 0, crashes: 0 }
  );
}

export interface Event {
  readonly id: Uint8Array;
  readonly run: number;
  readonly decision: Decision;
  readonly writer: Uint8Array;
  readonly worker: Uint8Array | null;
  readonly startedAt: number | null;
  readonly result: string | null;
  readonly error: string | null;
  /** The job's, where it is known: spares a look. */
  readonly lane?: number | undefined;
  /** It is known to have no keep times of its own. */
  readonly plain?: boolean | undefined;
  /** Moved by an operator: the place where it stands from now on. */
  readonly to?: Moved | undefined;
}

/**
 * The one rule. Inserts the outcome (job, run); only if this very transaction inserted it, the job moves on to where
 * the decision says. False when the run was decided before.
 */
export function record({ db, tally }: Engine, event: Event, now: number): boolean {
  const { id, run, decision } = event;
  const looks = decision.next !== null || run > 1 || event.lane === undefined;
  const old = looks ? placeAfter(event, locate(db, id, run)) : undefined;
  const nextAt = nextMoment(decision, old, now);
  const what = [
    event.writer,
    event.worker,
    event.startedAt,
    now,
    decision.fails,
    decision.crashes,
    nextAt,
    old?.next_prio ?? null,
    event.result,
    event.error,
  ];
  const state = RUN_STATES[decision.state];
  const reason = decision.reason === null ? null : REASONS[decision.reason];
  const inserted =
    event.plain === true && event.lane !== undefined
      ? db.run(SQL.insertPlainOutcome, id, run, state, event.lane, reason, ...what)
      : db.run(SQL.insertOutcome, run, state, reason, ...what, now, state, KEEP_AT_LEAST_MS, id);
  if (inserted === 0) return false;
  tally.ended(event.lane ?? old!.lane, decision.state, event.writer);
  if (old !== undefined && nextAt !== null) {
    const { fails, crashes } = decision;
    const { lane, prio, limit_hash: limitHash } = old;
    place(db, { id, lane, prio, runAt: nextAt, run: run + 1, fails, crashes, limitHash }, now);
  }
  return true;
}

function placeAfter({ to }: Event, old: Place | undefined): Place | undefined {
  if (to === undefined || old === undefined) return old;
  return { ...old, prio: to.prio, run_at: to.runAt, next_prio: to.nextPrio };
}

function nextMoment({ next }: Decision, old: Place | undefined, now: number): number | null {
  if (next === null) return null;
  return next === "same-place" ? (old?.run_at ?? null) : now + next.delayMs;
}
