/** Adding jobs. Plain ones of a call share one transaction; those with unique keys wait for nobody else's, and nobody for them. */
import { uniqueHash } from "../../core/ids.js";
import type { InsertOutcome, NewJob } from "../driver.js";
import { write, type Engine, type Work } from "./engine.js";
import { keyOf } from "./lanes.js";
import { place } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
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

export async function insertJobs(
  engine: Engine,
  jobs: readonly NewJob[],
): Promise<InsertOutcome[]> {
  const lanes = await engine.lanes.ids(jobs);
  const plain = jobs.filter(({ uniqueKey }) => uniqueKey === null);
  if (plain.length === 0) return [];
  const outcomes = await write(engine, (work) => insertPlain(work, plain, lanes));
  let next = 0;
  return jobs.map(() => outcomes[next++]!);
}

type LaneIds = ReadonlyMap<string, number>;

async function insertPlain(
  work: Work,
  jobs: readonly NewJob[],
  lanes: LaneIds,
): Promise<InsertOutcome[]> {
  const { t, dialect } = work;
  const ids = jobs.map((job) => job.id);
  const among = dialect.among("id", "id", ids);
  const there = await work.all(sql`select ${columnsOf(ID)} from ${t.job} where ${among}`, ID);
  const known = new Set(there.map((row) => row.id));
  const fresh: NewJob[] = [];
  const outcomes = jobs.map((job) => {
    if (known.has(job.id)) return DUPLICATE;
    known.add(job.id);
    fresh.push(job);
    return INSERTED;
  });
  await insertRows(work, fresh, lanes);
  return outcomes;
}

/** Jobs that are not there, with the rows in which they wait. */
export async function insertRows(
  work: Work,
  jobs: readonly NewJob[],
  lanes: LaneIds,
): Promise<void> {
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
    unique_hash: job.uniqueKey === null ? null : uniqueHash(job.kind, job.uniqueKey),
    opts: optsText(job),
  };
}

/** What has no column of its own, as JSON; null for nothing. */
function optsText({ redact }: NewJob): string | null {
  return redact === null ? null : JSON.stringify({ redact });
}
