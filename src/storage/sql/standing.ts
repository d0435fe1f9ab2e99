/** Where jobs stand: in ready, in delayed, shown as running, in somebody's lease. */
import type { RunOfLease } from "./dialect.js";
import type { Work } from "./engine.js";
import { sql, type Query } from "./query.js";
import { runKey } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";

export const READY_KEY = {
  lane: "int",
  prio: "int",
  run_at: "int",
  id: "id",
} as const satisfies Shape;

export const DELAYED_KEY = { run_at: "int", id: "id" } as const satisfies Shape;

const RUN = { job_id: "id", run: "int" } as const satisfies Shape;

const RUNNING = {
  ...RUN,
  worker: "id",
  started_at: "int",
  progress: "text?",
} as const satisfies Shape;

const ID = { id: "id" } as const satisfies Shape;

export type RunningRow = RowOf<typeof RUNNING>;

/** A run that is to come, with the place at which it would wait. */
export interface Locator extends RunOfLease, RowOf<typeof READY_KEY> {
  readonly id: string;
}

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
  const [delayed, ready, running] = await Promise.all([
    waitingIn(work, t.delayed, DELAYED_KEY, runs),
    waitingIn(work, t.ready, READY_KEY, runs),
    runningOf(work, runs),
  ]);
  const waiting = new Set([...delayed, ...ready].map((row) => row.id));
  return new Map(
    runs.map(({ id, run }) => [
      id,
      { waiting: waiting.has(id), running: running.get(runKey(id, run)) ?? null },
    ]),
  );
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

/** Those of these runs that are shown as running, by {@link runKey}. */
export async function runningOf(
  work: Work,
  runs: readonly RunOfLease[],
): Promise<ReadonlyMap<string, RunningRow>> {
  const { t, dialect } = work;
  const find = (some: readonly RowOf<typeof RUN>[]) =>
    sql`select ${columnsOf(RUNNING)} from ${t.running} where ${dialect.amongKeys(t.running, RUN, some)}`;
  const keys = runs.map(({ id: job_id, run }) => ({ job_id, run }));
  const rows = await work.allOf(keys, find, RUNNING);
  return new Map(rows.map((row) => [runKey(row.job_id, row.run), row]));
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
