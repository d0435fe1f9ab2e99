/** Claiming: peek the lanes in order, take rows out of ready, write them down as one lease. */
import { LIMITS } from "../../core/defaults.js";
import { SessionLostError } from "../../core/errors.js";
import { idBytes, idText } from "../../core/ids.js";
import { afterExpiry } from "../../core/outcome.js";
import type { ClaimedJob, ClaimRequest, StoredPayload, Want } from "../driver.js";
import { decodeLease, encodeLease, NOBODY, type LeaseEntry } from "../sql/lease.js";
import { redactedPaths } from "../sql/options.js";
import { inClaimOrder } from "../sql/order.js";
import type { Connection } from "./connection.js";
import { countersOf, locate, record, type Engine, type LaneRow } from "./engine.js";
import { SQL } from "./statements.js";

interface ReadyRow {
  lane: number;
  prio: number;
  run_at: number;
  id: Uint8Array;
  run: number;
  fails: number;
  crashes: number;
}

interface JobColumns {
  created_at: number;
  max_attempts: number;
  timeout_ms: number | null;
  expires_at: number | null;
  codec: number;
  opts: string | null;
  size: number;
  payload_text: string | null;
  payload_bin: Uint8Array | null;
}

export interface Claimed {
  jobs: ClaimedJob[];
  more: boolean;
}

/**
 * Nothing would be claimed: what an idle worker learns at each wake-up without standing in line for the write lock. A claim
 * that was made already is never answered here, though its jobs are not ready any more.
 * @throws SessionLostError when the session is gone.
 */
export function isIdle(engine: Engine, { lease, session, wants }: ClaimRequest): boolean {
  const { db } = engine;
  if (db.get(SQL.session, idBytes(session)) === undefined) throw new SessionLostError(session);
  if (db.get(SQL.leaseKnown, idBytes(lease)) !== undefined) return false;
  const lanes = db.all<LaneRow>(SQL.lanes);
  return !wants.some((want) =>
    wantedLanes(want, lanes).some(({ id }) => db.get(SQL.anyReady, id) !== undefined),
  );
}

function wantedLanes({ queue, kinds }: Want, all: readonly LaneRow[]): LaneRow[] {
  const wanted = kinds === null ? null : new Set(kinds);
  return all.filter(
    (lane) => lane.queue === queue && (wanted?.has(lane.kind) ?? true) && !lane.paused,
  );
}

/** Called inside a write. */
export function claim(engine: Engine, request: ClaimRequest, now: number): Claimed {
  const { db } = engine;
  const session = idBytes(request.session);
  const lease = idBytes(request.lease);
  if (db.get(SQL.session, session) === undefined) throw new SessionLostError(request.session);
  const known = db.get<{ worker: Uint8Array; jobs: Uint8Array }>(SQL.lease, lease);
  if (known !== undefined) {
    // Sent again. Under the name of another session it is no resend, and gets nothing.
    if (!session.equals(known.worker)) return { jobs: [], more: false };
    return { jobs: claimedBefore(engine, decodeLease(known.jobs)), more: true };
  }
  const batch = new ClaimBatch(engine, now);
  const lanes = db.all<LaneRow>(SQL.lanes);
  for (const want of request.wants) takeFrom(engine, want, lanes, batch);
  if (batch.entries.length > 0) {
    db.run(SQL.insertLease, lease, session, now, encodeLease(batch.entries));
    engine.leaseLanes.remember(request.lease, batch.lanes);
  }
  return { jobs: batch.jobs, more: batch.full };
}

function takeFrom(engine: Engine, want: Want, all: readonly LaneRow[], batch: ClaimBatch): void {
  const lanes = wantedLanes(want, all);
  let left = want.limit;
  for (const [row, lane] of inOrder(engine.db, lanes, want.limit)) {
    if (left === 0 || batch.full) break;
    if (batch.take(row, lane)) left--;
  }
}

/** The ready rows of several lanes as one sequence in claim order; each lane is read in pieces. */
function* inOrder(
  db: Connection,
  lanes: readonly LaneRow[],
  limit: number,
): Generator<[ReadyRow, LaneRow]> {
  const piece = Math.max(8, Math.ceil(limit / Math.max(1, lanes.length)));
  const heads = lanes.map((lane) => new LaneReader(db, lane, piece));
  for (;;) {
    let first: LaneReader | undefined;
    for (const head of heads)
      if (head.row !== undefined && (first === undefined || inClaimOrder(head.row, first.row!) < 0))
        first = head;
    if (first === undefined) return;
    const row = first.row!;
    first.advance();
    yield [row, first.lane];
  }
}

class LaneReader {
  private rows: ReadyRow[];
  private at = 0;

  constructor(
    private readonly db: Connection,
    readonly lane: LaneRow,
    private readonly piece: number,
  ) {
    this.rows = db.all<ReadyRow>(SQL.peek, lane.id, piece);
  }

  get row(): ReadyRow | undefined {
    return this.rows[this.at];
  }

  advance(): void {
    const last = this.rows[this.at]!;
    this.at++;
    if (this.at < this.rows.length || this.rows.length < this.piece) return;
    this.rows = this.db.all<ReadyRow>(
      SQL.peekAfter,
      this.lane.id,
      last.prio,
      last.run_at,
      last.id,
      this.piece,
    );
    this.at = 0;
  }
}

/** Collects what one claim takes: the lease's entries and the jobs for the worker, within the size of a trip. */
class ClaimBatch {
  readonly entries: LeaseEntry[] = [];
  readonly lanes: number[] = [];
  readonly jobs: ClaimedJob[] = [];
  private bytes = 0;
  private expired = 0;

  constructor(
    private readonly engine: Engine,
    private readonly now: number,
  ) {}

  /** False when the job had expired: it ended here and uses no place. */
  take(row: ReadyRow, lane: LaneRow): boolean {
    const { engine, now } = this;
    const { db } = engine;
    db.run(SQL.deleteReady, row.lane, row.prio, row.run_at, row.id);
    const job = readJob(db, row.id, this.inlineLimit())!;
    if (job.expires_at !== null && job.expires_at <= now) {
      expire(engine, row, now);
      this.expired++;
      return false;
    }
    const payload = inlined(job);
    if (payload !== null) this.bytes += job.size;
    this.entries.push({ id: row.id, run: row.run });
    this.lanes.push(lane.id);
    this.jobs.push(claimedJob(row, lane, job, payload));
    return true;
  }

  /** One transaction ends at most so many expired jobs; the rest is for the next one. */
  get full(): boolean {
    return this.expired >= LIMITS.rowsPerStatement;
  }

  private inlineLimit(): number {
    return Math.min(LIMITS.inlinePayloadBytes, LIMITS.bytesPerStatement - this.bytes);
  }
}

function readJob(db: Connection, id: Uint8Array, inline: number): JobColumns | undefined {
  return db.get<JobColumns>(SQL.claimedJob, inline, inline, id);
}

function claimedJob(
  row: Pick<ReadyRow, "id" | "run" | "fails" | "crashes" | "prio">,
  lane: LaneRow,
  job: JobColumns,
  payload: StoredPayload | null,
): ClaimedJob {
  return {
    job: idText(row.id),
    run: row.run,
    fails: row.fails,
    crashes: row.crashes,
    queue: lane.queue,
    kind: lane.kind,
    priority: 0 - row.prio,
    createdAt: job.created_at,
    maxAttempts: job.max_attempts,
    timeoutMs: job.timeout_ms,
    redact: redactedPaths(job.opts),
    payload,
  };
}

function inlined(job: JobColumns): StoredPayload | null {
  if (job.payload_text === null && job.payload_bin === null) return null;
  return { codec: job.codec, text: job.payload_text, bin: job.payload_bin };
}

function expire(engine: Engine, row: ReadyRow, now: number): void {
  record(
    engine,
    {
      id: row.id,
      run: row.run,
      decision: afterExpiry(row),
      writer: NOBODY,
      worker: null,
      startedAt: null,
      result: null,
      error: null,
    },
    now,
  );
  engine.db.run(SQL.freeUniqueKey, row.id);
}

/** The same claim sent again because its answer was lost: what it took, less what has been decided since. */
function claimedBefore(engine: Engine, entries: readonly LeaseEntry[]): ClaimedJob[] {
  const { db } = engine;
  const lanes = new Map(db.all<LaneRow>(SQL.lanes).map((lane) => [lane.id, lane]));
  const jobs: ClaimedJob[] = [];
  let room: number = LIMITS.bytesPerStatement;
  for (const { id, run } of entries) {
    const place = locate(db, id, run);
    if (place === undefined || db.get(SQL.outcome, id, run) !== undefined) continue;
    const job = readJob(db, id, Math.min(LIMITS.inlinePayloadBytes, room))!;
    if (inlined(job) !== null) room -= job.size;
    const row = { id, run, prio: place.prio, ...countersOf(db, id, run) };
    jobs.push(claimedJob(row, lanes.get(place.lane)!, job, inlined(job)));
  }
  return jobs;
}
