/** Pages of jobs (storage/sql/pages.ts) from this engine's tables. */
import { jobState, runStateOf, type JobState } from "../../core/states.js";
import type { JobPage, JobQuery } from "../driver.js";
import { decodeLease, NOBODY } from "../sql/lease.js";
import { Page, sourcesOf, type Seen, type Source } from "../sql/pages.js";
import { isOf } from "../sql/views.js";
import type { Connection } from "./connection.js";
import { cursorOfBytes, toBytes, type Key } from "./cursor.js";
import { read, type Engine, type LaneRow } from "./engine.js";
import { JobReader } from "./look.js";
import { SQL } from "./statements.js";

/** A row that was looked at. */
interface Candidate extends Seen {
  readonly key: Key;
  readonly id: Uint8Array;
}

interface Look {
  readonly db: Connection;
  /** Those that the query asks for, by id. */
  readonly lanes: readonly LaneRow[];
  /** Rows read at a time. */
  readonly piece: number;
}

/** Candidates after a key, in order; null begins. */
type Rows = (look: Look, after: Key | null) => Iterable<Candidate>;

const ROWS: Readonly<Record<Source["name"], Rows>> = { held, ready, keyed, delayed, ended };

export function listJobs(engine: Engine, query: JobQuery): Promise<JobPage> {
  return read(engine, (now) => page(engine.db, query, now));
}

function page(db: Connection, query: JobQuery, now: number): JobPage {
  const { limit } = query;
  const sources = sourcesOf(query);
  const look: Look = { db, lanes: lanesOf(db, query), piece: Math.min(500, Math.max(50, limit)) };
  const page = new Page(query, new Set(look.lanes.map(({ id }) => id)));
  const jobs = new JobReader(db, now);
  for (const [source, after] of sources)
    for (const candidate of ROWS[source.name](look, after && toBytes(after))) {
      const key = (): string => cursorOfBytes(candidate.key);
      if (page.took(source, key, page.fits(candidate) ? jobs.read(candidate.id) : null))
        return page.close({ source, key: key() });
    }
  return page.close(null);
}

function lanesOf(db: Connection, query: JobQuery): LaneRow[] {
  return db
    .all<LaneRow>(SQL.lanes)
    .filter((lane) => isOf(lane, query))
    .toSorted((a, b) => a.id - b.id);
}

/** A statement's rows, piece by piece, each after the key of the last row of the one before. */
function* inPieces<T>(
  piece: number,
  first: Key,
  keyOfRow: (row: T) => Key,
  rows: (after: Key) => T[],
): Generator<T> {
  for (let after = first; ;) {
    const found = rows(after);
    yield* found;
    if (found.length < piece) return;
    after = keyOfRow(found.at(-1)!);
  }
}

// Before and after every key: no time and no priority comes near.
const LOWEST = Number.MIN_SAFE_INTEGER;
const HIGHEST = Number.MAX_SAFE_INTEGER;
const LOWEST_ID = NOBODY;

interface LeaseColumns {
  id: Uint8Array;
  jobs: Uint8Array;
}

interface HeldColumns {
  lane: number;
  created_at: number;
  running: number;
}

/** Leases by id, their runs as they are listed. */
function* held({ db, piece }: Look, after: Key | null): Generator<Candidate> {
  const [from, index] = (after ?? [LOWEST_ID, -1]) as [Uint8Array, number];
  const open = db.get<LeaseColumns>(SQL.leaseJobs, from);
  if (open !== undefined) yield* runsOf(db, open, index + 1);
  const idOf = ({ id }: LeaseColumns): Key => [id];
  const size = Math.ceil(piece / 50);
  const next = ([id]: Key): LeaseColumns[] => db.all(SQL.leasesAfter, id as Uint8Array, size);
  for (const lease of inPieces(size, [from], idOf, next)) yield* runsOf(db, lease, 0);
}

function* runsOf(
  db: Connection,
  { id: lease, jobs }: LeaseColumns,
  from: number,
): Generator<Candidate> {
  for (const [i, { id, run }] of decodeLease(jobs).entries()) {
    if (i < from) continue;
    const row = db.get<HeldColumns>(SQL.heldRun, run, id, run);
    yield {
      key: [lease, i],
      id,
      lane: row?.lane ?? null,
      state: row === undefined ? null : row.running === 1 ? "running" : "reserved",
      createdAt: row?.created_at ?? null,
    };
  }
}

interface WaitingColumns {
  lane: number;
  prio: number;
  run_at: number;
  id: Uint8Array;
  created_at: number | null;
  /** Of the run before. */
  state: number | null;
}

function waitingCandidate(row: WaitingColumns, key: Key): Candidate {
  const lastOutcome = row.state === null ? null : runStateOf(row.state);
  const state = jobState({ lastOutcome, waiting: true, running: false });
  return { key, id: row.id, lane: row.lane, state, createdAt: row.created_at };
}

const readyKey = ({ prio, run_at, id }: WaitingColumns): Key => [prio, run_at, id];

/** Lane by lane, each in claim order. */
function* ready({ db, lanes, piece }: Look, after: Key | null): Generator<Candidate> {
  const [first, ...rest] = after ?? [LOWEST];
  for (const { id: lane } of lanes) {
    if (lane < (first as number)) continue;
    const from = lane === first ? rest : [LOWEST, LOWEST, LOWEST_ID];
    const next = (key: Key): WaitingColumns[] => db.all(SQL.listReady, lane, ...key, piece);
    for (const row of inPieces(piece, from, readyKey, next))
      yield waitingCandidate(row, [lane, ...readyKey(row)]);
  }
}

interface KeyedColumns extends WaitingColumns {
  limit_hash: Uint8Array;
}

const keyedKey = ({ lane, limit_hash, prio, run_at, id }: KeyedColumns): Key => [
  lane,
  limit_hash,
  prio,
  run_at,
  id,
];

/** Lane by lane and key by key, each key in claim order. */
function* keyed({ db, piece }: Look, after: Key | null): Generator<Candidate> {
  const next = (key: Key): KeyedColumns[] => db.all(SQL.listKeyed, ...key, piece);
  const first = after ?? [LOWEST, LOWEST_ID, LOWEST, LOWEST, LOWEST_ID];
  for (const row of inPieces(piece, first, keyedKey, next))
    yield waitingCandidate(row, keyedKey(row));
}

const delayedKey = ({ run_at, id }: WaitingColumns): Key => [run_at, id];

/** Over all lanes, by the time they are due. */
function* delayed({ db, piece }: Look, after: Key | null): Generator<Candidate> {
  const next = (key: Key): WaitingColumns[] => db.all(SQL.listDelayed, ...key, piece);
  for (const row of inPieces(piece, after ?? [LOWEST, LOWEST_ID], delayedKey, next))
    yield waitingCandidate(row, delayedKey(row));
}

interface EndedColumns {
  ended_at: number;
  job_id: Uint8Array;
  run: number;
  state: number;
  lane: number;
  created_at: number | null;
  /** 1 for a job's last word that ends it. */
  last: number;
}

const endedKey = ({ ended_at, job_id, run }: EndedColumns): Key => [ended_at, job_id, run];

/** The log backwards, less what is not a job's end. */
function* ended({ db, piece }: Look, after: Key | null): Generator<Candidate> {
  const next = (key: Key): EndedColumns[] => db.all(SQL.listEnded, ...key, piece);
  for (const row of inPieces(piece, after ?? [HIGHEST, LOWEST_ID, 0], endedKey, next))
    yield {
      key: endedKey(row),
      id: row.job_id,
      lane: row.lane,
      state: row.last === 1 ? (runStateOf(row.state) as JobState) : null,
      createdAt: row.created_at,
    };
}
