/** Workers' sessions: one row, renewed by one tiny update; its end is the end of all it held. */
import { idBytes, idText } from "../../core/ids.js";
import {
  afterDismissal,
  afterWorkerDeath,
  type Counters,
  type Decision,
} from "../../core/outcome.js";
import type { RunState } from "../../core/states.js";
import type {
  DeadSession,
  Dismissal,
  DismissOutcome,
  Heartbeat,
  HeartbeatOutcome,
  NewSession,
  ReapOutcome,
  SessionRow,
} from "../driver.js";
import { isAlive } from "../sql/fence.js";
import { decodeLease } from "../sql/lease.js";
import { concludeLease } from "./conclude.js";
import { read, write, type Engine } from "./engine.js";
import { SQL } from "./statements.js";

export function openSession(engine: Engine, session: NewSession): Promise<void> {
  return write(engine, (now) => {
    const { id, name, host, pid, process, leaseMs, kinds, version } = session;
    engine.db.run(
      SQL.insertSession,
      idBytes(id),
      name,
      host,
      pid,
      process,
      leaseMs,
      now,
      now,
      JSON.stringify(kinds),
      version,
    );
  });
}

export function heartbeat(engine: Engine, beat: Heartbeat): Promise<HeartbeatOutcome> {
  const { db } = engine;
  const session = idBytes(beat.session);
  const renew = (now: number): HeartbeatOutcome => {
    if (db.run(SQL.beat, now, session) === 0) return { alive: false, leases: [], fenced: [] };
    const leases = openLeases(engine, session);
    const fenced = beat.running.filter(({ job, run }) => {
      const found = db.get<{ writer: Uint8Array }>(SQL.outcome, idBytes(job), run);
      return found !== undefined && !session.equals(found.writer);
    });
    return { alive: true, leases, fenced };
  };
  return write(engine, renew, { urgent: true });
}

/**
 * Leases with something left in them. One whose runs this session has all settled itself was left by a lost close: it goes. A
 * run decided by others stays, because its worker has not given it up yet, and a reaper frees its key through the lease.
 */
function openLeases({ db }: Engine, session: Buffer): string[] {
  const open: string[] = [];
  for (const { id, jobs } of db.all<{ id: Uint8Array; jobs: Uint8Array }>(SQL.leasesOf, session)) {
    const runs = decodeLease(jobs);
    const finished = runs.every(({ id: job, run }) => {
      const found = db.get<{ writer: Uint8Array }>(SQL.outcome, job, run);
      return found !== undefined && session.equals(found.writer);
    });
    if (!finished) {
      open.push(idText(id));
      continue;
    }
    db.run(SQL.deleteLease, id);
    // What was completed in a user's transaction has left these to a settle, which finds no lease any more.
    for (const { id: job, run } of runs) {
      db.run(SQL.deleteRunning, job, run);
      db.run(SQL.freeUniqueKey, job);
    }
  }
  return open;
}

export function closeSession(engine: Engine, session: string): Promise<boolean> {
  return write(engine, () => engine.db.run(SQL.deleteIdleSession, idBytes(session)) > 0);
}

interface SessionColumns {
  id: Uint8Array;
  name: string;
  host: string;
  pid: number;
  process: string | null;
  lease_ms: number;
  beat: number;
  seen_at: number;
  started_at: number;
  kinds: string;
  version: string;
  leases: number;
}

export function sessions(engine: Engine): Promise<SessionRow[]> {
  return read(engine, () =>
    engine.db.all<SessionColumns>(SQL.sessions).map((row) => ({
      id: idText(row.id),
      name: row.name,
      host: row.host,
      pid: row.pid,
      process: row.process,
      leaseMs: row.lease_ms,
      kinds: JSON.parse(row.kinds) as string[],
      version: row.version,
      beat: row.beat,
      seenAt: row.seen_at,
      startedAt: row.started_at,
      leases: row.leases,
    })),
  );
}

/** One transaction per session: a big dead one keeps nobody waiting for long. */
export async function reap(engine: Engine, dead: readonly DeadSession[]): Promise<ReapOutcome[]> {
  const outcomes: ReapOutcome[] = [];
  for (const one of dead) outcomes.push(await write(engine, (now) => reapOne(engine, one, now)));
  return outcomes;
}

function reapOne(engine: Engine, dead: DeadSession, now: number): ReapOutcome {
  const row = engine.db.get<{ beat: number; seen_at: number }>(SQL.session, idBytes(dead.id));
  if (row === undefined) return { status: "absent" };
  if (isAlive(row, dead, now)) return { status: "alive" };
  return { status: "reaped", decided: endSession(engine, dead.id, afterWorkerDeath, now) };
}

/** What an operator asks for: the same, whether it lives or not. */
export async function dismiss(
  engine: Engine,
  ids: readonly string[],
  how: Dismissal,
): Promise<DismissOutcome[]> {
  const outcomes: DismissOutcome[] = [];
  for (const id of ids)
    outcomes.push(await write(engine, (now) => dismissOne(engine, id, how, now)));
  return outcomes;
}

function dismissOne(engine: Engine, id: string, how: Dismissal, now: number): DismissOutcome {
  if (engine.db.get(SQL.session, idBytes(id)) === undefined) return { status: "absent" };
  const decided = endSession(engine, id, (run) => afterDismissal(run, how), now);
  return { status: "dismissed", runs: decided[how] ?? 0 };
}

/** Says how many runs were decided, by their new state. */
function endSession(
  engine: Engine,
  id: string,
  decide: (run: Counters, wasRunning: boolean) => Decision,
  now: number,
): Partial<Record<RunState, number>> {
  const { db } = engine;
  const session = idBytes(id);
  const decided: Partial<Record<RunState, number>> = {};
  for (const { id: lease } of db.all<{ id: Uint8Array }>(SQL.leasesOf, session)) {
    const concluded = concludeLease(engine, lease, session, decide, now);
    for (const [state, n] of Object.entries(concluded.decided))
      decided[state as RunState] = (decided[state as RunState] ?? 0) + n;
  }
  db.run(SQL.deleteSession, session);
  return decided;
}
