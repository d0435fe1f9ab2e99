/** Runs that are shown as running. Whoever writes here has locked the lease that lists the run, so that no row outlives it. */
import type { HeldRun } from "../driver.js";
import type { LeaseRow, Lock, RunOfLease } from "./dialect.js";
import { write, type Engine, type Work } from "./engine.js";
import { outcomesOf, runKey } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { sql } from "./query.js";

const RUNNING = {
  job_id: "id",
  run: "int",
  worker: "id",
  started_at: "int",
  progress: "text?",
} as const satisfies Shape;

const RUN = { job_id: "id", run: "int" } as const satisfies Shape;

export type RunningRow = RowOf<typeof RUNNING>;

/** False where the lease is gone, is another session's, does not list the run, or the run was decided. */
export function markStarted(engine: Engine, runs: readonly HeldRun[]): Promise<boolean[]> {
  if (runs.length === 0) return Promise.resolve([]);
  return write(engine, async (work) => {
    const ours = await oursOf(work, runs, sharing(work));
    const mine = runs.filter((_, i) => ours[i]);
    await markLeases(work, mine);
    const rows = mine.map(({ job, run, session }) => ({
      job_id: job,
      run,
      worker: session,
      started_at: work.now,
      progress: null,
    }));
    await work.insertNew(work.t.running, RUNNING, rows);
    return ours;
  });
}

/** How a lease is locked by whoever writes beside it; who shares a row cannot write it as well without waiting in a circle. */
export function sharing({ dialect }: Work): "share" | "update" {
  return dialect.markLeases === null ? "share" : "update";
}

/** Called by whoever writes what has to go with the leases of these runs, and has locked them: on clusters a lock is not enough. */
export async function markLeases(work: Work, runs: readonly HeldRun[]): Promise<void> {
  const { markLeases: mark } = work.dialect;
  if (mark === null) return;
  const ids = [...new Set(runs.map(({ lease }) => lease))].toSorted();
  await work.runOf(ids, mark);
}

/** Which of these runs their session holds, undecided, through the lease it names. */
export async function oursOf(
  work: Work,
  runs: readonly HeldRun[],
  lock: "none" | "share" | "update",
): Promise<boolean[]> {
  const keys = runs.map(({ job: id, run }) => ({ id, run }));
  const [leases, outcomes] = await Promise.all([
    leasesById(
      work,
      runs.map(({ lease }) => lease),
      lock,
    ),
    outcomesOf(work, keys),
  ]);
  const held = new Set(
    leases.flatMap(({ id: lease, worker, entries }) =>
      entries.map(({ id, run }) => `${lease}/${worker}/${runKey(id, run)}`),
    ),
  );
  return runs.map(({ job, run, lease, session }) => {
    const key = runKey(job, run);
    return held.has(`${lease}/${session}/${key}`) && !outcomes.has(key);
  });
}

/** Those that are there, in the order of their ids. */
export async function leasesById(
  { tx, dialect }: Work,
  ids: readonly string[],
  lock: Lock,
): Promise<LeaseRow[]> {
  const known = [...new Set(ids)].toSorted();
  return known.length === 0 ? [] : dialect.leases(tx, dialect.among("l.id", "id", known), lock);
}

/** By {@link runKey}. */
export async function runningOf(
  work: Work,
  runs: readonly RunOfLease[],
): Promise<ReadonlyMap<string, RunningRow>> {
  const { t, dialect } = work;
  const find = (some: readonly RowOf<typeof RUN>[]) =>
    sql`select ${columnsOf(RUNNING)} from ${t.running} where ${dialect.amongKeys(t.running, RUN, some)}`;
  const rows = await work.allOf(runs.map(keyOf), find, RUNNING);
  return new Map(rows.map((row) => [runKey(row.job_id, row.run), row]));
}

/** In the place of what is there. */
export async function replaceRunning(work: Work, rows: readonly RunningRow[]): Promise<void> {
  const runs = rows.map(({ job_id: id, run }) => ({ id, run }));
  await Promise.all([deleteRunning(work, runs), work.insert(work.t.running, RUNNING, rows)]);
}

export function deleteRunning(work: Work, runs: readonly RunOfLease[]): Promise<void> {
  const { t, dialect } = work;
  return work.runOf(
    runs.map(keyOf),
    (some) => sql`delete from ${t.running} where ${dialect.amongKeys(t.running, RUN, some)}`,
  );
}

const keyOf = ({ id: job_id, run }: RunOfLease): RowOf<typeof RUN> => ({ job_id, run });
