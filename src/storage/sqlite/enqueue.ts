import { idBytes, idText, uniqueHash } from "../../core/ids.js";
import { keyHash } from "../../core/limits/gate.js";
import type { InsertOutcome, NewJob } from "../driver.js";
import { NOBODY } from "../sql/lease.js";
import { optsText } from "../sql/options.js";
import { place, write, type Engine } from "./engine.js";
import { SQL } from "./statements.js";

const NO_BYTES = new Uint8Array();

export function insertJobs(engine: Engine, jobs: readonly NewJob[]): Promise<InsertOutcome[]> {
  return write(engine, (now) => jobs.map((job) => insertJob(engine, job, now)));
}

/** Called inside a write. */
export function insertJob(engine: Engine, job: NewJob, now: number): InsertOutcome {
  const { db, tally } = engine;
  const id = idBytes(job.id);
  const hash = job.uniqueKey === null ? null : uniqueHash(job.kind, job.uniqueKey);
  if (hash !== null) {
    // The id is looked up first: a job that is known and finished must take no key.
    if (db.get(SQL.jobExists, id) !== undefined) return { status: "duplicate" };
    const holder = takeKey(engine, id, hash);
    if (holder !== null) return { status: "unique", holder: idText(holder) };
  }
  const limitKey = job.limitKey ?? null;
  const limitHash = limitKey === null ? null : idBytes(keyHash(job.kind, limitKey));
  const lane = engine.lanes.id(job.queue, job.kind);
  const runAt = job.runAt === null ? now + job.delayMs : Math.max(job.runAt, now);
  const prio = -job.priority;
  const inserted = db.run(
    SQL.insertJob,
    id,
    lane,
    prio,
    runAt,
    now,
    job.maxAttempts,
    job.timeoutMs,
    job.expiresAt,
    job.keepDoneMs,
    job.keepOtherMs,
    job.payload.text,
    bound(job.payload.bin),
    job.payload.codec,
    job.uniqueKey,
    hash,
    optsText(job),
    limitKey,
    limitHash,
  );
  if (inserted === 0) return { status: "duplicate" };
  tally.enqueued(lane, NOBODY);
  place(db, { id, lane, prio, runAt, run: 1, fails: 0, crashes: 0, limitHash }, now);
  return { status: "inserted" };
}

/** Node 22 binds bytes of length 0 as NULL once they came out of another thread: they have no address then. */
function bound(bytes: Uint8Array | null): Uint8Array | null {
  return bytes?.byteLength === 0 ? NO_BYTES : bytes;
}

/** Who has it, where that is somebody else: null when the key is ours now. */
export function takeKey({ db }: Engine, id: Buffer, hash: Uint8Array): Uint8Array | null {
  if (db.run(SQL.takeUniqueKey, hash, id) > 0) return null;
  return db.get<{ job_id: Uint8Array }>(SQL.uniqueHolder, hash)!.job_id;
}
