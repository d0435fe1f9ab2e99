/** Claiming: peek the lanes in order, take rows out of ready, write them down as one lease. */
import { LIMITS } from "../../core/defaults.js";
import { SessionLostError } from "../../core/errors.js";
import { idBytes, idText } from "../../core/ids.js";
import { afterExpiry } from "../../core/outcome.js";
import type { ClaimedJob, ClaimRequest, StoredPayload, Want } from "../driver.js";
import { decodeLease, encodeLease, NOBODY, type LeaseEntry } from "../sql/lease.js";
import { redactedPaths } from "../sql/options.js";
import { inClaimOrder } from "../sql/order.js";
import type { ListedRun } from "./claimed.js";
import type { Connection, Value } from "./connection.js";
import { countersOf, locate, record, type Engine, type LaneRow } from "./engine.js";
import { doorsOf, type Doors } from "./limits.js";
import { SQL } from "./statements.js";

interface WaitingRow {
  lane: number;
  prio: number;
  run_at: number;
  id: Uint8Array;
  run: number;
  fails: number;
  crashes: number;
}

/** One that waited for its key's turn. */
interface KeyedRow extends WaitingRow {
  limit_hash: Uint8Array;
}

/** One that was ready, with its job. */
interface ReadyRow extends WaitingRow, JobColumns {
  limit_hash?: undefined;
}

interface JobColumns {
  created_at: number;
  max_attempts: number;
  timeout_ms: number | null;
  expires_at: number | null;
  codec: number;
  opts: string | null;
  own_keep: number;
  size: number;
  payload_text: string | null;
  payload_bin: Uint8Array | null;
}

/** As `SQL.peek` lists it. */
type PeekedRow = readonly [
  prio: number,
  run_at: number,
  id: Uint8Array,
  run: number,
  fails: number,
  crashes: number,
  created_at: number,
  max_attempts: number,
  timeout_ms: number | null,
  expires_at: number | null,
  codec: number,
  opts: string | null,
  own_keep: number,
  size: number,
  payload_text: string | null,
  payload_bin: Uint8Array | null,
];

/** Payloads of up to so many bytes come with the look at what is ready, also of jobs that are not taken then; larger ones are read by themselves. */
const PEEKED_BYTES = 1_024;

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
  if (batch.runs.size > 0) {
    db.run(SQL.insertLease, lease, session, now, encodeLease([...batch.runs.values()]));
    engine.claimed.remember(request.lease, batch.runs);
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
  let left = want.limit;
  if (left === 0 || batch.full) return;
  const { db } = engine;
  const lanes = wantedLanes(want, all);
  /** Of each lane without limits: up to here all are taken. */
  const ends = new Map<LaneRow, ReadyRow>();
  for (const [row, lane] of inOrder(db, lanes, want.limit, doors)) {
    if (doors?.refuses(lane, row)) continue;
    if (doors === null) ends.set(lane, row as ReadyRow);
    else remove(db, row);
    if (batch.take(row, lane)) {
      doors?.entered(lane, row);
      left--;
    }
    if (left === 0 || batch.full) break;
  }
  for (const { lane, prio, run_at, id } of ends.values())
    db.run(SQL.deleteReadyTo, lane, prio, run_at, id);
}

/** Nobody comes between the look and this: where there are limits not all that was seen is taken. */
function remove(db: Connection, row: ReadyRow | KeyedRow): void {
  const { lane, prio, run_at, id, limit_hash } = row;
  if (limit_hash === undefined) db.run(SQL.deleteReady, lane, prio, run_at, id);
  else db.run(SQL.deleteHeld, lane, limit_hash, prio, run_at, id);
}

/** The ready rows of several lanes as one sequence in claim order; each lane is read in pieces. */
function* inOrder(
  db: Connection,
  lanes: readonly LaneRow[],
  limit: number,
  doors: Doors | null,
): Generator<[ReadyRow | KeyedRow, LaneRow]> {
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
  readonly row: ReadyRow | KeyedRow | undefined;
  advance(): void;
}

/** Jobs of a lane whose keys have their turn. */
class KeyReader implements Reader {
  private readonly rows: readonly KeyedRow[];
  private at = 0;

  constructor(
    readonly lane: LaneRow,
    doors: Doors,
    limit: number,
  ) {
    this.rows = doors.inTurn(lane, limit).toSorted(inClaimOrder);
  }

  get row(): KeyedRow | undefined {
    return this.rows[this.at];
  }

  advance(): void {
    this.at++;
  }
}

// By number: taking lists apart costs as much as the read.
function readyRow(lane: number, row: PeekedRow): ReadyRow {
  return {
    lane,
    prio: row[0],
    run_at: row[1],
    id: row[2],
    run: row[3],
    fails: row[4],
    crashes: row[5],
    created_at: row[6],
    max_attempts: row[7],
    timeout_ms: row[8],
    expires_at: row[9],
    codec: row[10],
    opts: row[11],
    own_keep: row[12],
    size: row[13],
    payload_text: row[14],
    payload_bin: row[15],
  };
}

class LaneReader implements Reader {
  private rows: ReadyRow[];
  private at = 0;

  constructor(
    private readonly db: Connection,
    readonly lane: LaneRow,
    private readonly piece: number,
  ) {
    this.rows = this.read(SQL.peek);
  }

  get row(): ReadyRow | undefined {
    if (this.at === this.rows.length && this.rows.length === this.piece) this.readOn();
    return this.rows[this.at];
  }

  advance(): void {
    this.at++;
  }

  private readOn(): void {
    const { prio, run_at, id } = this.rows.at(-1)!;
    this.rows = this.read(SQL.peekAfter, prio, run_at, id);
    this.at = 0;
  }

  private read(text: string, ...after: Value[]): ReadyRow[] {
    const { db, lane, piece } = this;
    const sizes = [PEEKED_BYTES, PEEKED_BYTES];
    const rows = db.rows<PeekedRow>(text, ...sizes, lane.id, ...after, piece);
    return rows.map((row) => readyRow(lane.id, row));
  }
}

/** Collects what one claim takes: the lease's entries and the jobs for the worker, within the size of a trip. */
class ClaimBatch {
  readonly runs = new Map<string, ListedRun>();
  readonly jobs: ClaimedJob[] = [];
  private bytes = 0;
  private expired = 0;

  constructor(
    private readonly engine: Engine,
    private readonly now: number,
  ) {}

  /** False when the job had expired: it ended here and uses no place. */
  take(row: ReadyRow | KeyedRow, lane: LaneRow): boolean {
    const { engine, now } = this;
    const isRead = row.limit_hash === undefined && row.size <= PEEKED_BYTES;
    const job = isRead ? row : readJob(engine.db, row.id, this.inlineLimit())!;
    if (job.expires_at !== null && job.expires_at <= now) {
      expire(engine, row, now);
      this.expired++;
      return false;
    }
    const payload = inlined(job);
    if (payload !== null) this.bytes += job.size;
    const claimed = claimedJob(row, lane, job, payload);
    const { id, run } = row;
    this.runs.set(claimed.job, { id, run, lane: lane.id, plain: job.own_keep === 0 });
    this.jobs.push(claimed);
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
  row: Pick<WaitingRow, "id" | "run" | "fails" | "crashes" | "prio">,
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

function expire(engine: Engine, row: WaitingRow, now: number): void {
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
