/** Adding jobs. Plain ones of a call share one transaction; those with unique keys wait for nobody else's, and nobody for them. */
import { DatabaseError } from "../../core/errors.js";
import { uniqueHash } from "../../core/ids.js";
import type { InsertOutcome, NewJob } from "../driver.js";
import { write, type Engine, type Work } from "./engine.js";
import { hashText, takeKeys } from "./keys.js";
import { perhaps } from "./errors.js";
import { keyOf } from "./lanes.js";
import { optsText } from "./options.js";
import { pieces } from "./pieces.js";
import { place } from "./record.js";
import type { RowOf, Shape } from "./rows.js";
import { sql } from "./query.js";

export const JOB = {
  id: "id",
  lane: "int",
  prio: "int",
  run_at: "int",
  created_at: "int",
  max_attempts: "int",
  timeout_ms: "int?",
  expires_at: "int?",
  keep_ms: "int?",
  keep_other_ms: "int?",
  payload_text: "text?",
  payload_bin: "bytes?",
  codec: "int",
  payload_version: "int",
  unique_text: "text?",
  unique_hash: "bytes?",
  opts: "text?",
} as const satisfies Shape;

const ID = { id: "id" } as const satisfies Shape;
const INSERTED: InsertOutcome = { status: "inserted" };
const DUPLICATE: InsertOutcome = { status: "duplicate" };

export type LaneIds = ReadonlyMap<string, number>;

export async function insertJobs(
  engine: Engine,
  jobs: readonly NewJob[],
): Promise<InsertOutcome[]> {
  const lanes = await engine.lanes.ids(jobs);
  const first = new Map<string, NewJob>();
  for (const job of jobs) if (!first.has(job.id)) first.set(job.id, job);
  const outcomes = new Map<NewJob, InsertOutcome>();
  for (const { some, insert } of partsOf(engine, [...first.values()])) {
    const answers = await afterOthers(
      outcomes.size > 0,
      write(engine, (work) => insert(work, some, lanes)),
    );
    for (const [i, job] of some.entries()) outcomes.set(job, answers[i]!);
  }
  return again(engine, jobs, first, outcomes);
}

/** Where others of the call have been committed, its failure is not that of all. */
async function afterOthers<T>(committed: boolean, doing: Promise<T>): Promise<T> {
  try {
    return await doing;
  } catch (error) {
    throw committed && error instanceof DatabaseError ? perhaps(error) : error;
  }
}

interface Part {
  readonly some: readonly NewJob[];
  readonly insert: typeof insertPlain;
}

/** A transaction each. */
function partsOf({ dialect }: Engine, jobs: readonly NewJob[]): Part[] {
  const plain = jobs.filter(({ uniqueKey }) => uniqueKey === null);
  const unique = jobs.filter(({ uniqueKey }) => uniqueKey !== null);
  const sets = dialect.uniqueKeysInSets ? pieces(inHashOrder(unique)) : unique.map((job) => [job]);
  return [
    ...(plain.length === 0 ? [] : [{ some: plain, insert: insertPlain }]),
    ...sets.map((some) => ({ some, insert: insertUnique })),
  ];
}

/** The same id more than once in one call: as if its turn came after the first one's commit. */
async function again(
  engine: Engine,
  jobs: readonly NewJob[],
  first: ReadonlyMap<string, NewJob>,
  outcomes: ReadonlyMap<NewJob, InsertOutcome>,
): Promise<InsertOutcome[]> {
  const seen = new Set<string>();
  const open: number[] = [];
  const answers = jobs.map(({ id }, i) => {
    const outcome = outcomes.get(first.get(id)!)!;
    if (!seen.has(id)) {
      seen.add(id);
      return outcome;
    }
    if (outcome.status === "unique") open.push(i);
    return DUPLICATE;
  });
  if (open.length === 0) return answers;
  const rest = await afterOthers(
    true,
    insertJobs(
      engine,
      open.map((i) => jobs[i]!),
    ),
  );
  for (const [n, i] of open.entries()) answers[i] = rest[n]!;
  return answers;
}

/** Called inside a write, as what follows. Each job's id is another one. */
async function insertPlain(
  work: Work,
  jobs: readonly NewJob[],
  lanes: LaneIds,
): Promise<InsertOutcome[]> {
  const known = await knownOf(work, jobs);
  const fresh = jobs.filter(({ id }) => !known.has(id));
  await insertRows(work, fresh, lanes);
  return jobs.map(({ id }) => (known.has(id) ? DUPLICATE : INSERTED));
}

/** The keys first. A job that is known, and has perhaps ended, takes none. */
async function insertUnique(
  work: Work,
  jobs: readonly NewJob[],
  lanes: LaneIds,
): Promise<InsertOutcome[]> {
  const known = await knownOf(work, jobs);
  const fresh = jobs.filter(({ id }) => !known.has(id));
  const keys = fresh.map((job) => ({ hash: hashOf(job), job_id: job.id }));
  const holders = await takeKeys(work, keys);
  const holderOf = (job: NewJob): string | undefined => holders.get(hashText(hashOf(job)));
  // One that somebody else is inserting under the same id meets that at its primary key, and the transaction begins again.
  const ours = fresh.filter((job) => holderOf(job) === job.id);
  await insertRows(work, ours, lanes);
  return jobs.map((job) => {
    if (known.has(job.id)) return DUPLICATE;
    const holder = holderOf(job)!;
    return holder === job.id ? INSERTED : { status: "unique", holder };
  });
}

/** Of either sort in one transaction, each under an id of its own. */
export async function insertAll(
  work: Work,
  jobs: readonly NewJob[],
  lanes: LaneIds,
): Promise<InsertOutcome[]> {
  const unique = inHashOrder(jobs.filter(({ uniqueKey }) => uniqueKey !== null));
  const plain = jobs.filter(({ uniqueKey }) => uniqueKey === null);
  const outcomes = new Map<NewJob, InsertOutcome>();
  for (const { some, insert } of [
    { some: unique, insert: insertUnique },
    { some: plain, insert: insertPlain },
  ])
    if (some.length > 0)
      for (const [i, outcome] of (await insert(work, some, lanes)).entries())
        outcomes.set(some[i]!, outcome);
  return jobs.map((job) => outcomes.get(job)!);
}

export async function knownOf(
  work: Work,
  jobs: readonly Pick<NewJob, "id">[],
): Promise<ReadonlySet<string>> {
  const { t, dialect } = work;
  const ids = jobs.map(({ id }) => id);
  const find = (some: readonly string[]) =>
    sql`select id from ${t.job} where ${dialect.among("id", "id", some)}`;
  return new Set((await work.allOf(ids, find, ID)).map(({ id }) => id));
}

export function hashOf(job: NewJob): Buffer {
  return uniqueHash(job.kind, job.uniqueKey!);
}

/** Two calls that want the same keys meet at the first of them, so that none waits in a circle. */
function inHashOrder(jobs: readonly NewJob[]): NewJob[] {
  return jobs
    .map((job) => ({ job, hash: hashOf(job) }))
    .toSorted((a, b) => Buffer.compare(a.hash, b.hash))
    .map(({ job }) => job);
}

/** Jobs that are not there, with the rows in which they wait. */
async function insertRows(work: Work, jobs: readonly NewJob[], lanes: LaneIds): Promise<void> {
  const rows = jobs.map((job) => jobRow(job, lanes.get(keyOf(job))!, work.now));
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
  await Promise.all([work.insert(work.t.job, JOB, rows), place(work, waiting)]);
}

export function jobRow(job: NewJob, lane: number, now: number): RowOf<typeof JOB> {
  return {
    id: job.id,
    lane,
    prio: 0 - job.priority,
    run_at: job.runAt === null ? now + job.delayMs : Math.max(job.runAt, now),
    created_at: now,
    max_attempts: job.maxAttempts,
    timeout_ms: job.timeoutMs,
    expires_at: job.expiresAt,
    keep_ms: job.keepDoneMs,
    keep_other_ms: job.keepOtherMs,
    payload_text: job.payload.text,
    payload_bin: job.payload.bin,
    codec: job.payload.codec,
    payload_version: 1,
    unique_text: job.uniqueKey,
    unique_hash: job.uniqueKey === null ? null : hashOf(job),
    opts: optsText(job),
  };
}
