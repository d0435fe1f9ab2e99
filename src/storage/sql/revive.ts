/**
 * New jobs of failed runs. A line 0 in the log of such a run, which nobody is shown, names the job: it stays as long as the run does,
 * also when the job that was made of it has been pruned.
 */
import { hasFailed } from "../../core/outcome.js";
import { LOG_LEVELS, runStateOf } from "../../core/states.js";
import type { Revival, RevivalOutcome } from "../driver.js";
import { write, type Engine, type Work } from "./engine.js";
import { JOB, knownOf } from "./enqueue.js";
import { hashText, takeKeys } from "./keys.js";
import { LINE } from "./lines.js";
import { sql } from "./query.js";
import { outcomesOf, place, runKey } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";

const REVIVED = { ...JOB, origin_id: "id", origin_run: "int" } as const satisfies Shape;
const KEY = { job_id: "id", run: "int", seq: "int" } as const satisfies Shape;
const MARK = { job_id: "id", run: "int", line: "text" } as const satisfies Shape;

type JobRow = RowOf<typeof JOB>;

/** One that may go on, with the job that it is made like. */
interface Candidate {
  readonly revival: Revival;
  readonly origin: JobRow;
}

export async function enqueueFromFailed(
  engine: Engine,
  revivals: readonly Revival[],
): Promise<RevivalOutcome[]> {
  if (revivals.length === 0) return [];
  return write(engine, (work) => reviveAll(work, revivals));
}

async function reviveAll(work: Work, revivals: readonly Revival[]): Promise<RevivalOutcome[]> {
  const answers = new Map<Revival, RevivalOutcome>();
  const open = await judge(work, revivals, answers);
  const holders = await takeKeys(work, keysOf(open));
  const winners = open.filter(({ revival, origin }) => {
    const holder =
      origin.unique_hash === null ? revival.id : holders.get(hashText(origin.unique_hash))!;
    if (holder === revival.id) answers.set(revival, { status: "inserted" });
    else answers.set(revival, { status: "unique", holder });
    return holder === revival.id;
  });
  await insert(work, winners);
  return revivals.map((revival) => answers.get(revival)!);
}

/** Answers what is decided already; the others may go on. */
async function judge(
  work: Work,
  revivals: readonly Revival[],
  answers: Map<Revival, RevivalOutcome>,
): Promise<Candidate[]> {
  const origins = await lockOrigins(work, revivals);
  const runs = revivals.map(({ job, run }) => ({ id: job, run }));
  const [known, outcomes, marks] = await Promise.all([
    knownOf(work, revivals),
    outcomesOf(work, runs),
    marksOf(work, revivals),
  ]);
  const ids = new Set(known);
  const open: Candidate[] = [];
  for (const revival of revivals) {
    const key = runKey(revival.job, revival.run);
    const origin = origins.get(revival.job);
    const found = outcomes.get(key);
    const by = marks.get(key);
    if (ids.has(revival.id) || by === revival.id) answers.set(revival, { status: "duplicate" });
    else if (origin === undefined || found === undefined)
      answers.set(revival, { status: "absent" });
    else if (!hasFailed(runStateOf(found.state)))
      answers.set(revival, { status: "refused", state: runStateOf(found.state) });
    else if (by !== undefined) answers.set(revival, { status: "already", by });
    else {
      open.push({ revival, origin });
      // What comes later in this call meets it.
      ids.add(revival.id);
      marks.set(key, revival.id);
    }
  }
  return open;
}

/** Until the end of this transaction nobody prunes them, and nobody else makes jobs of their runs. */
async function lockOrigins(
  work: Work,
  revivals: readonly Revival[],
): Promise<ReadonlyMap<string, JobRow>> {
  const { t, dialect } = work;
  const ids = [...new Set(revivals.map(({ job }) => job))].toSorted();
  const lock = (some: readonly string[]) =>
    sql`select ${columnsOf(JOB)} from ${dialect.byKey(t.job)} where ${dialect.among("id", "id", some)}
      order by id ${dialect.lock("update")}`;
  const rows = await work.allOf(ids, lock, JOB);
  return new Map(rows.map((row) => [row.id, row]));
}

/** The jobs that were made of these runs, by {@link runKey}. */
async function marksOf(work: Work, revivals: readonly Revival[]): Promise<Map<string, string>> {
  const { t, dialect } = work;
  const keys = revivals.map(({ job: job_id, run }) => ({ job_id, run, seq: 0 }));
  const find = (some: readonly RowOf<typeof KEY>[]) =>
    sql`select ${columnsOf(MARK)} from ${t.job_log} where ${dialect.amongKeys(t.job_log, KEY, some)}`;
  const rows = await work.allOf(keys, find, MARK);
  return new Map(rows.map(({ job_id, run, line }) => [runKey(job_id, run), line]));
}

/** In the order of the hashes, so that two who want the same ones meet at the first. */
function keysOf(candidates: readonly Candidate[]) {
  return candidates
    .flatMap(({ revival, origin }) =>
      origin.unique_hash === null ? [] : [{ hash: origin.unique_hash, job_id: revival.id }],
    )
    .toSorted((a, b) => Buffer.compare(a.hash, b.hash));
}

async function insert(work: Work, candidates: readonly Candidate[]): Promise<void> {
  const { t, now } = work;
  const rows = candidates.map(({ revival, origin }) => ({
    ...origin,
    id: revival.id,
    run_at: now,
    created_at: now,
    expires_at: null,
    origin_id: revival.job,
    origin_run: revival.run,
  }));
  const marks = candidates.map(({ revival: { job: job_id, run, id: line } }) => ({
    job_id,
    run,
    seq: 0,
    at: now,
    level: LOG_LEVELS.info,
    line,
  }));
  for (const { lane } of rows) work.tally.enqueued(lane);
  const waiting = rows.map(({ id, lane, prio, run_at }) => ({
    lane,
    prio,
    run_at,
    id,
    run: 1,
    fails: 0,
    crashes: 0,
  }));
  await Promise.all([
    work.insert(t.job_log, LINE, marks),
    work.insert(t.job, REVIVED, rows),
    place(work, waiting),
  ]);
}
