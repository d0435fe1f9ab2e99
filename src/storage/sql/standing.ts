/** Where jobs stand: in ready, among those of their key, in delayed, shown as running, in somebody's lease. */
import type { RunOfLease } from "./dialect.js";
import type { Work } from "./engine.js";
import { sql, type Query } from "./query.js";
import { outcomesOf, runKey } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { runningOf, type RunningRow } from "./running.js";

export const READY_KEY = {
  lane: "int",
  prio: "int",
  run_at: "int",
  id: "id",
} as const satisfies Shape;

export const HELD_KEY = {
  lane: "int",
  limit_hash: "id",
  prio: "int",
  run_at: "int",
  id: "id",
} as const satisfies Shape;

export const DELAYED_KEY = { run_at: "int", id: "id" } as const satisfies Shape;

const ID = { id: "id" } as const satisfies Shape;

/** A run that is to come, with the place at which it would wait. */
export interface Locator extends RunOfLease, RowOf<typeof READY_KEY> {
  readonly id: string;
  /** Null for a job without a key that is limited. */
  readonly limit_hash: string | null;
}

export interface KeyedLocator extends Locator {
  readonly limit_hash: string;
}

const isKeyed = (run: Locator): run is KeyedLocator => run.limit_hash !== null;

/** Where a living job stands; one that neither waits nor runs is held. */
export interface Standing {
  readonly waiting: boolean;
  readonly running: RunningRow | null;
}

export const NOWHERE: Standing = { waiting: false, running: null };

/** Of each of these runs, by the job's id. */
export async function standingOf(
  work: Work,
  runs: readonly Locator[],
): Promise<ReadonlyMap<string, Standing>> {
  const { t } = work;
  // In the direction of travel: a job on the move is not missed where the statements see different moments.
  const keyed = runs.filter(isKeyed);
  const [delayed, held, ready, running] = await Promise.all([
    waitingIn(work, t.delayed, DELAYED_KEY, runs),
    waitingIn(work, t.held, HELD_KEY, keyed),
    waitingIn(work, t.ready, READY_KEY, runs),
    runningOf(work, runs),
  ]);
  const waiting = new Set([...delayed, ...held, ...ready].map((row) => row.id));
  return new Map(
    runs.map(({ id, run }) => [
      id,
      { waiting: waiting.has(id), running: running.get(runKey(id, run)) ?? null },
    ]),
  );
}

/** Where this run waits; null for one that does not. */
export async function placeOf(
  work: Work,
  run: Locator,
): Promise<"ready" | "keyed" | "delayed" | null> {
  const { t } = work;
  const keyed = isKeyed(run) ? [run] : [];
  const [delayed, held, ready] = await Promise.all([
    waitingIn(work, t.delayed, DELAYED_KEY, [run]),
    waitingIn(work, t.held, HELD_KEY, keyed),
    waitingIn(work, t.ready, READY_KEY, [run]),
  ]);
  if (ready.length > 0) return "ready";
  if (held.length > 0) return "keyed";
  return delayed.length > 0 ? "delayed" : null;
}

function waitingIn<S extends Shape>(
  work: Work,
  table: Query,
  key: S,
  runs: readonly RowOf<S>[],
): Promise<RowOf<typeof ID>[]> {
  const find = (some: readonly RowOf<S>[]) =>
    sql`select id from ${table} where ${work.dialect.amongKeys(table, key, some)}`;
  return work.allOf(runs, find, ID);
}

/** A run that a lease lists, decided or not. */
export interface LeasedRun extends RunOfLease {
  readonly lease: string;
  readonly worker: string;
}

/** Every run that any lease lists. */
export async function leasedRuns({ dialect, tx }: Work): Promise<LeasedRun[]> {
  const leases = await dialect.leases(tx, sql`1 = 1`, "none");
  return leases.flatMap(({ id: lease, worker, entries }) =>
    entries.map((entry) => ({ ...entry, lease, worker })),
  );
}

const JOB = { id: "id", lane: "int", created_at: "int" } as const satisfies Shape;

export type JobOfRun = RowOf<typeof JOB>;

/** What is needed to list jobs, by id; nothing for those that are gone. */
export async function jobsOf(
  work: Work,
  ids: readonly string[],
): Promise<ReadonlyMap<string, JobOfRun>> {
  const { t, dialect } = work;
  const find = (some: readonly string[]) =>
    sql`select ${columnsOf(JOB)} from ${t.job} where ${dialect.among("id", "id", some)}`;
  const rows = await work.allOf([...new Set(ids)], find, JOB);
  return new Map(rows.map((row) => [row.id, row]));
}

/** A run in a lease that nobody has decided yet. */
export interface HeldRun extends LeasedRun {
  readonly lane: number;
  readonly createdAt: number;
  /** It is shown as running. */
  readonly running: boolean;
}

/** Those of these runs that are undecided, in their order. */
export async function heldRuns(work: Work, runs: readonly LeasedRun[]): Promise<HeldRun[]> {
  const [jobs, outcomes, running] = await Promise.all([
    jobsOf(
      work,
      runs.map(({ id }) => id),
    ),
    outcomesOf(work, runs),
    runningOf(work, runs),
  ]);
  return runs.flatMap((run) => {
    const key = runKey(run.id, run.run);
    const job = jobs.get(run.id);
    if (job === undefined || outcomes.has(key)) return [];
    return [{ ...run, lane: job.lane, createdAt: job.created_at, running: running.has(key) }];
  });
}
