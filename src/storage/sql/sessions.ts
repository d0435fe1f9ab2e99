/** Workers' sessions: one row, renewed by one tiny update; its end is the end of all it held. */
import {
  afterDismissal,
  afterWorkerDeath,
  type Counters,
  type Decision,
} from "../../core/outcome.js";
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
import { conclude, dropLeases, type Decided } from "./conclude.js";
import type { LeaseRow, RunOfLease } from "./dialect.js";
import { glance, write, type Engine, type Work } from "./engine.js";
import { claimedMeanwhile } from "./errors.js";
import { isAlive } from "./fence.js";
import { endedBy, freeKeys } from "./keys.js";
import { outcomesOf, runKey } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { deleteRunning, leasesById } from "./running.js";
import { id, sql, type Query } from "./query.js";

const WORKER = {
  id: "id",
  name: "text",
  host: "text",
  pid: "int",
  process: "text?",
  lease_ms: "int",
  beat: "int",
  seen_at: "int",
  started_at: "int",
  kinds: "text",
  version: "text",
} as const satisfies Shape;

const LISTED = { ...WORKER, leases: "int" } as const satisfies Shape;
const SEEN = { beat: "int", seen_at: "int" } as const satisfies Shape;
const ID = { id: "id" } as const satisfies Shape;

/** Opened again, because the answer was lost, it stays as it is. */
export function openSession(engine: Engine, session: NewSession): Promise<void> {
  const { id: key, name, host, pid, process, leaseMs, kinds, version } = session;
  return write(engine, (work) =>
    work.insertNew(work.t.worker, WORKER, [
      {
        id: key,
        name,
        host,
        pid,
        process,
        version,
        lease_ms: leaseMs,
        kinds: JSON.stringify(kinds),
        beat: 0,
        seen_at: work.now,
        started_at: work.now,
      },
    ]),
  );
}

interface Beaten extends HeartbeatOutcome {
  /** Leases whose runs this session has all settled itself. */
  readonly finished: readonly string[];
}

/** What is finished goes in a transaction of its own: the row of the session is held for as short as can be. */
export async function heartbeat(engine: Engine, beat: Heartbeat): Promise<HeartbeatOutcome> {
  const { finished, ...answer } = await write(engine, (work) => renew(work, beat));
  if (finished.length > 0)
    await write(engine, (work) => dropFinished(work, beat.session, finished));
  return answer;
}

async function renew(work: Work, { session, running }: Heartbeat): Promise<Beaten> {
  const { t, dialect, now } = work;
  const own = sql`id = ${id(session)}`;
  const renewed = await work.run(
    sql`update ${t.worker} set beat = beat + 1, seen_at = ${now} where ${own}`,
  );
  if (renewed === 0) return { alive: false, leases: [], fenced: [], finished: [] };
  const leases = await dialect.leases(work.tx, sql`l.worker = ${id(session)}`, "none");
  const listed = leases.flatMap(({ entries }) => entries);
  const believed = running.map((run) => ({ id: run.job, run: run.run }));
  const outcomes = await outcomesOf(work, [...listed, ...believed]);
  const writerOf = (run: RunOfLease) => outcomes.get(runKey(run.id, run.run))?.writer;
  // A run decided by others keeps its lease open: its worker has not given it up yet, and a reaper frees its key through it.
  const isFinished = (entries: readonly RunOfLease[]): boolean =>
    entries.every((run) => writerOf(run) === session);
  const fenced = running.filter(({ job, run }) => {
    const writer = writerOf({ id: job, run });
    return writer !== undefined && writer !== session;
  });
  const open = leases.filter(({ entries }) => !isFinished(entries));
  const finished = leases.filter(({ entries }) => isFinished(entries));
  const ids = (rows: typeof leases): string[] => rows.map((lease) => lease.id);
  return { alive: true, leases: ids(open), fenced, finished: ids(finished) };
}

/**
 * Left by a lost close. One that is locked is being closed, or reaped, at this moment. What was completed in a user's
 * transaction has left its key and running row to a settle, which finds no lease any more.
 */
async function dropFinished(
  work: Work,
  session: string,
  finished: readonly string[],
): Promise<void> {
  const rows = await leasesById(work, finished, "skip");
  const leases = rows.filter(({ worker }) => worker === session);
  const runs = leases.flatMap(({ entries }) => entries);
  const freed = await endedBy(work, runs);
  await Promise.all([deleteRunning(work, runs), freeKeys(work, freed), dropLeases(work, leases)]);
}

/** A lease that is being made at this moment refuses the end of its session; it is seen when this begins again. */
export function closeSession(engine: Engine, session: string): Promise<boolean> {
  return write(engine, async (work) => {
    const { worker, lease } = work.t;
    const key = id(session);
    const closed = await work.run(
      sql`delete from ${worker} where id = ${key} and not exists (select 1 from ${lease} where worker = ${key})`,
    );
    return closed > 0;
  });
}

export function sessions(engine: Engine): Promise<SessionRow[]> {
  return glance(engine, async (work) => {
    const { worker, lease } = work.t;
    const rows = await work.all(
      sql`select ${columnsOf(WORKER, "w")}, (select count(*) from ${lease} l where l.worker = w.id) as leases
        from ${worker} w order by w.started_at, w.id`,
      LISTED,
    );
    return rows.map(sessionRow);
  });
}

function sessionRow({
  lease_ms: leaseMs,
  seen_at: seenAt,
  started_at: startedAt,
  kinds,
  ...row
}: RowOf<typeof LISTED>): SessionRow {
  return { ...row, leaseMs, seenAt, startedAt, kinds: JSON.parse(kinds) as string[] };
}

/** One transaction per session: a big dead one keeps nobody waiting for long. */
export async function reap(engine: Engine, dead: readonly DeadSession[]): Promise<ReapOutcome[]> {
  const outcomes: ReapOutcome[] = [];
  for (const one of dead) outcomes.push(await write(engine, (work) => reapOne(work, one)));
  return outcomes;
}

async function reapOne(work: Work, dead: DeadSession): Promise<ReapOutcome> {
  // First its row: from here on it can neither beat nor claim.
  const row = await lockSession(work, dead.id);
  if (row === undefined) return { status: "absent" };
  if (isAlive(row, dead, work.now)) return { status: "alive" };
  const [leases, all] = await Promise.all([
    work.dialect.leases(work.tx, heldBy(dead.id), "skip"),
    leasesOf(work, dead.id),
  ]);
  // Whoever holds one of them is settling at this moment: no sign of death.
  if (all.length > leases.length) return { status: "alive" };
  return { status: "reaped", decided: await endSession(work, dead.id, leases, afterWorkerDeath) };
}

/** What an operator asks for: the same, whether it lives or not. One transaction per session. */
export async function dismiss(
  engine: Engine,
  ids: readonly string[],
  how: Dismissal,
): Promise<DismissOutcome[]> {
  const outcomes: DismissOutcome[] = [];
  for (const one of ids) outcomes.push(await write(engine, (work) => dismissOne(work, one, how)));
  return outcomes;
}

/** Its leases first, as whoever settles through one and claims has them first: it waits for those, and nobody waits in a circle. */
async function dismissOne(work: Work, key: string, how: Dismissal): Promise<DismissOutcome> {
  const leases = await work.dialect.leases(work.tx, heldBy(key), "update");
  if ((await lockSession(work, key)) === undefined) return { status: "absent" };
  if ((await leasesOf(work, key)).length > leases.length) throw claimedMeanwhile();
  const decided = await endSession(work, key, leases, (run) => afterDismissal(run, how));
  return { status: "dismissed", runs: decided[how] ?? 0 };
}

function lockSession(work: Work, key: string): Promise<RowOf<typeof SEEN> | undefined> {
  const { t, dialect } = work;
  return work.first(
    sql`select ${columnsOf(SEEN)} from ${t.worker} where id = ${id(key)} ${dialect.lock("update")}`,
    SEEN,
  );
}

const heldBy = (key: string): Query => sql`l.worker = ${id(key)}`;

/** All of them, locked or not. */
function leasesOf(work: Work, key: string): Promise<RowOf<typeof ID>[]> {
  return work.all(sql`select l.id from ${work.t.lease} l where ${heldBy(key)}`, ID);
}

/** These are all its leases, and locked. Says how many runs were decided, by their new state. */
async function endSession(
  work: Work,
  key: string,
  leases: readonly LeaseRow[],
  decide: (run: Counters, wasRunning: boolean) => Decision,
): Promise<Decided> {
  const decided = await conclude(work, leases, decide);
  await work.run(sql`delete from ${work.t.worker} where id = ${id(key)}`);
  return decided;
}
