/** Ending a run inside the user's transaction. Its worker settles it afterwards, and closes the lease. */
import { RunLostError } from "../../../core/errors.js";
import { afterSuccess } from "../../../core/outcome.js";
import type { HeldRun, Settlement } from "../../driver.js";
import { id, sql, type Query } from "../query.js";
import { OUTCOME, outcomeRow, type Spot } from "../record.js";
import { columnsOf, type RowOf, type Shape } from "../rows.js";
import type { Inside } from "./inside.js";

const JOB = {
  lane: "int",
  prio: "int",
  run_at: "int",
  keep_ms: "int?",
  keep_other_ms: "int?",
} as const satisfies Shape;

const BEFORE = {
  fails: "int",
  crashes: "int",
  next_at: "int?",
  next_prio: "int?",
} as const satisfies Shape;

/** @throws RunLostError when the run is not this session's any more, or has been decided. */
export async function complete(
  inside: Inside,
  { job, run, lease, session }: HeldRun,
  { elapsedMs, result }: Pick<Settlement, "elapsedMs" | "result">,
): Promise<void> {
  const { speech, work } = inside;
  const [held] = await work.dialect.leases(work.tx, sql`l.id = ${id(lease)}`, "share");
  const listed = held?.entries.some((entry) => entry.id === job && entry.run === run);
  if (held?.worker !== session || !listed) throw new RunLostError(job, run);
  const place = await placeOf(inside, job, run);
  if (place === null) throw new RunLostError(job, run);
  const event = {
    id: job,
    run,
    decision: afterSuccess(place.counters),
    writer: session,
    worker: session,
    startedAt: elapsedMs === null ? null : work.now - Math.round(elapsedMs),
    result,
    error: null,
  };
  const into = { table: work.t.outcome, shape: OUTCOME, key: "job_id" } as const;
  const [recorded] = await speech.insertNew(work, into, [outcomeRow(work, event, place)]);
  if (!recorded) throw new RunLostError(job, run);
  // Not in its session's row, which every other settlement of that worker would then wait for.
  work.tally.ended(place.lane, "done", null);
  await work.tally.write(work);
}

async function placeOf(inside: Inside, job: string, run: number): Promise<Spot | null> {
  const { t } = inside.work;
  const found = await seen(
    inside,
    sql`select ${columnsOf(JOB)} from ${t.job} where id = ${id(job)}`,
    JOB,
  );
  if (found === undefined) return null;
  const outcome = sql`select ${columnsOf(BEFORE)} from ${t.outcome} where job_id = ${id(job)} and run = ${run - 1}`;
  const before = run === 1 ? undefined : await seen(inside, outcome, BEFORE);
  return {
    lane: found.lane,
    prio: before?.next_prio ?? found.prio,
    runAt: before?.next_at ?? found.run_at,
    nextPrio: before?.next_prio ?? null,
    counters: { fails: before?.fails ?? 0, crashes: before?.crashes ?? 0 },
    keepMs: found.keep_ms,
    keepOtherMs: found.keep_other_ms,
  };
}

/** A row that was there before the claim. A look that locks it is the last resort: its worker may have to write lines for it. */
async function seen<S extends Shape>(
  { speech, work }: Inside,
  query: Query,
  shape: S,
): Promise<RowOf<S> | undefined> {
  return (await work.first(query, shape)) ?? work.first(sql`${query} ${speech.current}`, shape);
}
