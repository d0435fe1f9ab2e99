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
import { doorsOf, type Doors } from "./limits.js";
import { SQL } from "./statements.js";

interface ReadyRow {
  lane: number;
  prio: number;
  run_at: number;
  id: Uint8Array;
  run: number;
  fails: number;
  crashes: number;
  /** Of one that waited for its key's turn. */
  limit_hash?: Uint8Array;
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
  tokenInMs?: number;
}

/**
 * Null, or that nothing would be claimed: what an idle worker learns at each wake-up without standing in line for the write lock. A claim
 * that was made already is never answered here, though its jobs are not ready any more.
 * @throws SessionLostError when the session is gone.
 */
export function idling(
  { db }: Engine,
  { lease, session, wants }: ClaimRequest,
  now: number,
): Omit<Claimed, "jobs"> | null {
  const claimer = db.get<Claimer>(SQL.session, idBytes(session));
  if (claimer === undefined) throw new SessionLostError(session);
  if (db.get(SQL.leaseKnown, idBytes(lease)) !== undefined) return null;
  const all = db.all<LaneRow>(SQL.lanes);
  const lanes = wants.flatMap((want) => wantedLanes(want, all));
  const doors = doorsOf(db, lanes, claimer.host, now);
  if (lanes.some((lane) => doors?.mayEnter(lane) ?? db.get(SQL.anyReady, lane.id) !== undefined))
    return null;
  return { more: false, ...doors?.wait };
}

interface Claimer {
  readonly host: string;
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
  const claimer = db.get<Claimer>(SQL.session, session);
  if (claimer === undefined) throw new SessionLostError(request.session);
  const known = db.get<{ worker: Uint8Array; jobs: Uint8Array }>(SQL.lease, lease);
  if (known !== undefined) {
    // Sent again. Under the name of another session it is no resend, and gets nothing.
    if (!session.equals(known.worker)) return { jobs: [], more: false };
    return { jobs: claimedBefore(engine, decodeLease(known.jobs)), more: true };
  }
  const batch = new ClaimBatch(engine, now);
  const lanes = db.all<LaneRow>(SQL.lanes);
  const wanted = request.wants.flatMap((want) => wantedLanes(want, lanes));
  const doors = doorsOf(db, wanted, claimer.host, now);
  for (const want of request.wants) takeFrom(engine, want, lanes, batch, doors);
  doors?.close(wanted);
  if (batch.entries.length > 0) {
    db.run(SQL.insertLease, lease, session, now, encodeLease(batch.entries));
    engine.leaseLanes.remember(request.lease, batch.lanes);
  }
  return { jobs: batch.jobs, more: batch.full || doors?.short === true, ...doors?.wait };
}

function takeFrom(
  engine: Engine,
  want: Want,
  all: readonly LaneRow[],
  batch: ClaimBatch,
  doors: Doors | null,
): void {
  const lanes = wantedLanes(want, all);
  let left = want.limit;
  for (const [row, lane] of inOrder(engine.db, lanes, want.limit, doors)) {
    if (left === 0 || batch.full) break;
    if (doors?.refuses(lane, row)) continue;
    if (!batch.take(row, lane)) continue;
    doors?.entered(lane, row);
    left--;
  }
}

/** The ready rows of several lanes as one sequence in claim order; each lane is read in pieces. */
function* inOrder(
  db: Connection,
  lanes: readonly LaneRow[],
  limit: number,
  doors: Doors | null,
): Generator<[ReadyRow, LaneRow]> {
  const piece = Math.max(8, Math.ceil(limit / Math.max(1, lanes.length)));
  const heads: Reader[] = lanes.map((lane) => new LaneReader(db, lane, piece));
  if (doors !== null) heads.push(...lanes.map((lane) => new KeyReader(lane, doors, limit)));
  for (;;) {
    let first: Reader | undefined;
    for (const head of heads)
      if (
        head.row !== undefined &&
        doors?.isShut(head.lane) !== true &&
        (first === undefined || inClaimOrder(head.row, first.row!) < 0)
      )
        first = head;
    if (first === undefined) return;
    const row = first.row!;
    first.advance();
    yield [row, first.lane];
  }
}

interface Reader {
  readonly lane: LaneRow;
  readonly row: ReadyRow | undefined;
  advance(): void;
}

/** Jobs of a lane whose keys have their turn. */
class KeyReader implements Reader {
  private readonly rows: readonly ReadyRow[];
  private at = 0;

  constructor(
    readonly lane: LaneRow,
    doors: Doors,
    limit: number,
  ) {
    this.rows = doors.inTurn(lane, limit).toSorted(inClaimOrder);
  }

  get row(): ReadyRow | undefined {
    return this.rows[this.at];
  }

  advance(): void {
    this.at++;
  }
}

class LaneReader implements Reader {
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
    if (row.limit_hash === undefined)
      db.run(SQL.deleteReady, row.lane, row.prio, row.run_at, row.id);
    else db.run(SQL.deleteHeld, row.lane, row.limit_hash, row.prio, row.run_at, row.id);
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
