/** Pages of jobs (pages.ts) from a server's tables: each source in pieces, each piece in a few statements. */
import { jobState, runStateOf, TERMINAL_CODES, type JobState } from "../../core/states.js";
import type { JobPage, JobQuery } from "../driver.js";
import { cursorOf, valuesOf, type Key } from "./cursor.js";
import { KEYED, WAITING, type KeyedRow, type WaitingRow } from "./dialect.js";
import { read, type Engine, type Work } from "./engine.js";
import { lanesOf } from "./lane-list.js";
import { lastRuns } from "./last.js";
import { readJobs } from "./look.js";
import { Page, sourcesOf, type Seen, type Source } from "./pages.js";
import { id, join, sql, type Query } from "./query.js";
import { outcomesOf, runKey } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { HELD_KEY, heldRuns, jobsOf, type LeasedRun } from "./standing.js";

/** A row that was looked at. */
interface Candidate extends Seen {
  readonly key: Key;
  readonly id: string;
}

interface Look {
  readonly work: Work;
  /** Those that the query asks for, in order. */
  readonly lanes: readonly number[];
  /** Rows read at a time. */
  readonly piece: number;
}

/** Candidates after a key, in order, piece by piece; null begins. */
type Pieces = (look: Look, after: Key | null) => AsyncIterable<readonly Candidate[]>;

const PIECES: Readonly<Record<Source["name"], Pieces>> = { held, ready, keyed, delayed, ended };

export async function listJobs(engine: Engine, query: JobQuery): Promise<JobPage> {
  // Before anything is asked: a cursor of another list is the caller's mistake.
  const sources = sourcesOf(query);
  return read(engine, (work) => page(work, query, sources));
}

async function page(
  work: Work,
  query: JobQuery,
  sources: ReturnType<typeof sourcesOf>,
): Promise<JobPage> {
  const lanes = (await lanesOf(work, query)).map((lane) => lane.id);
  const look: Look = { work, lanes, piece: Math.min(500, Math.max(50, query.limit)) };
  const page = new Page(query, new Set(lanes));
  for (const [source, after] of sources)
    for await (const piece of PIECES[source.name](look, after)) {
      const last = await fill(work, page, source, piece);
      if (last !== null) return page.close({ source, key: cursorOf(last.key) });
    }
  return page.close(null);
}

/** The candidate with which the page ends; null when there is room for more. */
async function fill(
  work: Work,
  page: Page,
  source: Source,
  piece: readonly Candidate[],
): Promise<Candidate | null> {
  for (let from = 0; from < piece.length;) {
    const some = withFitting(page, piece.slice(from));
    const fitting = some.filter((candidate) => page.fits(candidate)).map((one) => one.id);
    const jobs = await readJobs(work, [...new Set(fitting)]);
    for (const candidate of some) {
      const job = page.fits(candidate) ? (jobs.get(candidate.id) ?? null) : null;
      if (page.took(source, () => cursorOf(candidate.key), job)) return candidate;
    }
    from += some.length;
  }
  return null;
}

/** As many of them as hold what the page has room for: no job is read in vain. */
function withFitting(page: Page, piece: readonly Candidate[]): readonly Candidate[] {
  let fitting = 0;
  const end = piece.findIndex((candidate) => page.fits(candidate) && ++fitting === page.room);
  return end < 0 ? piece : piece.slice(0, end + 1);
}

/** A statement's rows, piece by piece, each after the key of the last row of the one before. */
async function* inPieces<T>(
  piece: number,
  first: Key | null,
  keyOfRow: (row: T) => Key,
  rows: (after: Key | null) => Promise<readonly T[]>,
): AsyncGenerator<readonly T[]> {
  for (let after = first; ;) {
    const found = await rows(after);
    if (found.length > 0) yield found;
    if (found.length < piece) return;
    after = keyOfRow(found.at(-1)!);
  }
}

/** After a key in the order of these columns; before it for "before". Null restricts nothing. */
function beyond(
  { work }: Look,
  direction: "after" | "before",
  columns: readonly string[],
  key: Key | null,
): Query {
  return key === null ? sql`1 = 1` : work.dialect.beyond(direction, columns, valuesOf(key));
}

/** Leases by id, their runs as they are listed. */
async function* held(look: Look, after: Key | null): AsyncGenerator<readonly Candidate[]> {
  const { work, piece } = look;
  const { dialect, tx } = work;
  const [from, index] = (after ?? ["", -1]) as [string, number];
  const size = Math.ceil(piece / 50);
  // The one that the page before ended in comes again, for what is left of it.
  for (let where = from === "" ? sql`1 = 1` : sql`l.id >= ${id(from)}`; ;) {
    const leases = await dialect.leases(tx, where, "none", size);
    const runs = leases.flatMap(({ id: lease, worker, entries }) =>
      entries
        .map((entry, i): Listed => ({ ...entry, lease, worker, i }))
        .filter(({ i }) => lease !== from || i > index),
    );
    for (let at = 0; at < runs.length; at += piece)
      yield await heldCandidates(work, runs.slice(at, at + piece));
    if (leases.length < size) return;
    where = sql`l.id > ${id(leases.at(-1)!.id)}`;
  }
}

interface Listed extends LeasedRun {
  /** Its place in its lease. */
  readonly i: number;
}

async function heldCandidates(work: Work, runs: readonly Listed[]): Promise<Candidate[]> {
  const open = new Map(
    (await heldRuns(work, runs)).map((run) => [`${run.lease}/${runKey(run.id, run.run)}`, run]),
  );
  return runs.map(({ id: job, run, lease, i }) => {
    const found = open.get(`${lease}/${runKey(job, run)}`);
    return {
      key: [lease, i],
      id: job,
      lane: found?.lane ?? null,
      state: found === undefined ? null : found.running ? "running" : "reserved",
      createdAt: found?.createdAt ?? null,
    };
  });
}

/** Lanes that one statement looks into. */
const LANES = 20;

/** Lane by lane, each in claim order. */
async function* ready(look: Look, after: Key | null): AsyncGenerator<readonly Candidate[]> {
  const first = after === null ? -Infinity : Number(after[0]);
  const lanes = (await lanesWithReady(look)).filter((lane) => lane >= first);
  for (let at = 0; at < lanes.length; at += LANES) {
    const some = lanes.slice(at, at + LANES);
    const rows = (key: Key | null) => readyRows(look, some, key);
    const from = some.includes(first) ? after : null;
    for await (const piece of inPieces(look.piece, from, readyKey, rows))
      yield await waitingCandidates(look.work, piece, readyKey);
  }
}

const LANE = { id: "int" } as const satisfies Shape;

async function lanesWithReady({ work, lanes }: Look): Promise<number[]> {
  const { t } = work;
  const rows = await work.all(
    // One look into each: of "exists" MariaDB makes a set of all lanes of all rows.
    sql`select l.id from ${t.lane} l where (select 1 from ${t.ready} r where r.lane = l.id limit 1) = 1`,
    LANE,
  );
  const open = new Set(rows.map((row) => row.id));
  return lanes.filter((lane) => open.has(lane));
}

const readyKey = ({ lane, prio, run_at, id: job }: WaitingRow): Key => [lane, prio, run_at, job];

/** The first rows of these lanes after a key: so many of each are read, whatever becomes of them. */
async function readyRows(
  look: Look,
  lanes: readonly number[],
  key: Key | null,
): Promise<WaitingRow[]> {
  const { work, piece } = look;
  const first = key === null ? -Infinity : Number(key[0]);
  const ofLanes = lanes
    .filter((lane) => lane >= first)
    .map((lane) => {
      const after = lane === first ? key!.slice(1) : null;
      return sql`(select ${columnsOf(WAITING)} from ${work.t.ready}
        where lane = ${lane} and ${beyond(look, "after", ["prio", "run_at", "id"], after)}
        order by prio, run_at, id limit ${piece})`;
    });
  const rows = await work.all(join(ofLanes, " union all "), WAITING);
  return rows.toSorted((a, b) => compareKeys(readyKey(a), readyKey(b))).slice(0, piece);
}

function compareKeys(a: Key, b: Key): number {
  const at = a.findIndex((part, i) => part !== b[i]);
  return at < 0 ? 0 : a[at]! < b[at]! ? -1 : 1;
}

const keyedKey = ({ lane, limit_hash, prio, run_at, id: job }: KeyedRow): Key => [
  lane,
  limit_hash,
  prio,
  run_at,
  job,
];

/** Lane by lane and key by key, each key in claim order. */
async function* keyed(look: Look, after: Key | null): AsyncGenerator<readonly Candidate[]> {
  const { work, piece } = look;
  const columns = Object.keys(HELD_KEY);
  const rows = (key: Key | null) =>
    work.all(
      sql`select ${columnsOf(KEYED)} from ${work.t.held}
        where ${beyond(look, "after", columns, key)} order by ${columnsOf(HELD_KEY)} limit ${piece}`,
      KEYED,
    );
  for await (const found of inPieces(piece, after, keyedKey, rows))
    yield await waitingCandidates(work, found, keyedKey);
}

const delayedKey = ({ run_at, id: job }: WaitingRow): Key => [run_at, job];

/** Over all lanes, by the time they are due. */
async function* delayed(look: Look, after: Key | null): AsyncGenerator<readonly Candidate[]> {
  const { work, piece } = look;
  const rows = (key: Key | null) =>
    work.all(
      sql`select ${columnsOf(WAITING)} from ${work.t.delayed}
        where ${beyond(look, "after", ["run_at", "id"], key)} order by run_at, id limit ${piece}`,
      WAITING,
    );
  for await (const found of inPieces(piece, after, delayedKey, rows))
    yield await waitingCandidates(work, found, delayedKey);
}

async function waitingCandidates<Row extends WaitingRow>(
  work: Work,
  rows: readonly Row[],
  keyOfRow: (row: Row) => Key,
): Promise<Candidate[]> {
  const earlier = rows
    .filter(({ run }) => run > 1)
    .map((row) => ({ id: row.id, run: row.run - 1 }));
  const [jobs, outcomes] = await Promise.all([
    jobsOf(
      work,
      rows.map((row) => row.id),
    ),
    outcomesOf(work, earlier),
  ]);
  return rows.map((row) => {
    const before = outcomes.get(runKey(row.id, row.run - 1));
    const lastOutcome = before === undefined ? null : runStateOf(before.state);
    return {
      key: keyOfRow(row),
      id: row.id,
      lane: row.lane,
      state: jobState({ lastOutcome, waiting: true, running: false }),
      createdAt: jobs.get(row.id)?.created_at ?? null,
    };
  });
}

const ENDED = {
  ended_at: "int",
  job_id: "id",
  run: "int",
  state: "int",
  lane: "int",
} as const satisfies Shape;

type EndedRow = RowOf<typeof ENDED>;

const endedKey = ({ ended_at, job_id, run }: EndedRow): Key => [ended_at, job_id, run];

/** The log backwards, less what is not a job's end. */
async function* ended(look: Look, after: Key | null): AsyncGenerator<readonly Candidate[]> {
  const { work, piece } = look;
  const rows = (key: Key | null) =>
    work.all(
      sql`select ${columnsOf(ENDED)} from ${work.t.outcome}
        where ${beyond(look, "before", ["ended_at", "job_id", "run"], key)}
        order by ended_at desc, job_id desc, run desc limit ${piece}`,
      ENDED,
    );
  for await (const found of inPieces(piece, after, endedKey, rows))
    yield await endedCandidates(work, found);
}

async function endedCandidates(work: Work, rows: readonly EndedRow[]): Promise<Candidate[]> {
  const ids = [...new Set(rows.map((row) => row.job_id))];
  const [jobs, lasts] = await Promise.all([jobsOf(work, ids), lastRuns(work, ids)]);
  return rows.map((row) => {
    const isEnd = TERMINAL_CODES.includes(row.state) && lasts.get(row.job_id) === row.run;
    return {
      key: endedKey(row),
      id: row.job_id,
      lane: row.lane,
      state: isEnd ? (runStateOf(row.state) as JobState) : null,
      createdAt: jobs.get(row.job_id)?.created_at ?? null,
    };
  });
}
