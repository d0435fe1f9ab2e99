/** Invariants I1 to I6 of the protocol, looked for in the data. What `qudo doctor` prints, and what every fault test ends with. */
import { LIMITS } from "../../core/defaults.js";
import { idText } from "../../core/ids.js";
import { RUN_STATES } from "../../core/states.js";
import type { Violation } from "../driver.js";
import {
  cutTooShort,
  endsInTheFuture,
  gapBefore,
  keyless,
  KNOWN_STATES,
  leaseOfNobody,
  linesWithoutJob,
  misplaced,
  outcomeWithoutJob,
  prunedWhileLeased,
  readyTooEarly,
  RETRYABLE_STATES,
  revived,
  rowWithoutJob,
  SLACK_MS,
  slotOfNobody,
  startedAfterItsEnd,
  TERMINAL_STATES,
  unknownState,
  wrongHolder,
  wronglyRunning,
  wrongRow,
  wrongRun,
  type Standing,
} from "../sql/breaches.js";
import { decodeLease } from "../sql/lease.js";
import type { Connection } from "./connection.js";
import { locate, read, type Engine } from "./engine.js";
import { SQL } from "./statements.js";

export function audit(engine: Engine): Promise<Violation[]> {
  return read(engine, (now) => {
    const { db } = engine;
    const leased = leasedRuns(db);
    const places = findPlaces(db, leased);
    return [
      ...checkStates(db),
      ...checkPlaces(db, places),
      ...checkRunning(db, leased),
      ...checkRuns(db, places),
      ...checkFence(db),
      ...checkKeys(db, places, leased),
      ...checkSlots(db, leased),
      ...checkKept(db, leased),
      ...checkTimes(db, now),
    ];
  });
}

interface LeasedRun {
  lease: Uint8Array;
  worker: Uint8Array;
  id: Uint8Array;
  run: number;
}

/** Every run that a lease lists, decided or not, by id in hex. */
function leasedRuns(db: Connection): Map<string, LeasedRun[]> {
  const leased = new Map<string, LeasedRun[]>();
  const rows = db.all<{ id: Uint8Array; worker: Uint8Array; jobs: Uint8Array }>(
    "select id, worker, jobs from qudo_lease",
  );
  for (const { id: lease, worker, jobs } of rows)
    for (const { id, run } of decodeLease(jobs)) {
      const list = leased.get(hex(id)) ?? [];
      list.push({ lease, worker, id, run });
      leased.set(hex(id), list);
    }
  return leased;
}

interface Stands extends Standing {
  /** The waiting row; null for a leased run. */
  row: WaitingRow | null;
}

interface WaitingRow {
  id: Uint8Array;
  lane: number;
  prio: number;
  run_at: number;
  run: number;
  fails: number;
  crashes: number;
}

/** Every place a job stands in, by id in hex. Decided runs still listed in a lease stand nowhere. */
function findPlaces(
  db: Connection,
  leased: ReadonlyMap<string, LeasedRun[]>,
): Map<string, Stands[]> {
  const places = new Map<string, Stands[]>();
  const add = (key: string, standing: Stands): void => {
    const list = places.get(key);
    if (list === undefined) places.set(key, [standing]);
    else list.push(standing);
  };
  for (const where of ["ready", "held", "delayed"] as const)
    for (const row of db.all<WaitingRow>(
      `select id, lane, prio, run_at, run, fails, crashes from qudo_${where}`,
    ))
      add(hex(row.id), { where, run: row.run, row });
  for (const [key, runs] of leased)
    for (const { id, run } of runs)
      if (db.get(SQL.outcome, id, run) === undefined) add(key, { where: "lease", run, row: null });
  return places;
}

interface JobEndRow {
  id: Uint8Array;
  run: number | null;
  state: number | null;
  fails: number | null;
  crashes: number | null;
}

/** Every job with its last outcome; jobs whose outcome has a state that is not known are told by checkStates. */
const JOB_ENDS = `select j.id, o.run, o.state, o.fails, o.crashes from qudo_job j left join qudo_outcome o
  on o.job_id = j.id and o.run = (select max(run) from qudo_outcome where job_id = j.id)
  where o.state is null or o.state in (${KNOWN_STATES})`;

interface RunRow {
  job_id: Uint8Array;
  run: number;
}

function* checkStates(db: Connection): Generator<Violation> {
  const unknown = `select job_id, run, state from qudo_outcome where state not in (${KNOWN_STATES})`;
  for (const { job_id, run, state } of db.all<RunRow & { state: number }>(unknown))
    yield unknownState(idText(job_id), run, state);
}

function* checkPlaces(db: Connection, places: Map<string, Stands[]>): Generator<Violation> {
  for (const end of db.all<JobEndRow>(JOB_ENDS)) {
    const told = misplaced({ ...end, id: idText(end.id) }, places.get(hex(end.id)) ?? []);
    if (told !== null) yield told;
  }
  const orphans = `select id as job_id, run from qudo_ready where id not in (select id from qudo_job)
    union all select id, run from qudo_held where id not in (select id from qudo_job)
    union all select id, run from qudo_delayed where id not in (select id from qudo_job)`;
  for (const { job_id, run } of db.all<RunRow>(orphans)) yield rowWithoutJob(idText(job_id), run);
}

/** A run that was cancelled may still be running: its lease lists it until its worker gives it up. */
function* checkRunning(
  db: Connection,
  leased: ReadonlyMap<string, LeasedRun[]>,
): Generator<Violation> {
  const rows = db.all<RunRow & { worker: Uint8Array }>(
    "select job_id, run, worker from qudo_running",
  );
  for (const { job_id, run, worker } of rows) {
    const holder = leased.get(hex(job_id))?.find((entry) => entry.run === run);
    const row = { job_id: idText(job_id), run, worker: idText(worker) };
    const told = wronglyRunning(row, holder && idText(holder.worker));
    if (told !== null) yield told;
  }
}

function* checkRuns(db: Connection, places: Map<string, Stands[]>): Generator<Violation> {
  const lanes = new Set(db.all<{ id: number }>("select id from qudo_lane").map(({ id }) => id));
  for (const last of db.all<JobEndRow>(JOB_ENDS))
    for (const place of places.get(hex(last.id)) ?? []) {
      const told =
        wrongRun(place, { id: idText(last.id), run: last.run }) ?? checkRow(db, place, last, lanes);
      if (told !== null) yield told;
    }
  const gaps = `select o.job_id, o.run from qudo_outcome o where o.run > 1
    and not exists (select 1 from qudo_outcome p where p.job_id = o.job_id and p.run = o.run - 1)
    and exists (select 1 from qudo_outcome p where p.job_id = o.job_id and p.run < o.run)`;
  for (const { job_id, run } of db.all<RunRow>(gaps)) yield gapBefore(idText(job_id), run);
  const short = `select job_id, min(run) as run, count(*) as n from qudo_outcome group by job_id
    having min(run) > 1 and count(*) < ${LIMITS.runsKept}`;
  for (const { job_id, run, n } of db.all<RunRow & { n: number }>(short))
    yield cutTooShort(idText(job_id), run, n);
}

/** A waiting row's place, and what it carries. */
function checkRow(
  db: Connection,
  { row, ...place }: Stands,
  last: JobEndRow,
  lanes: ReadonlySet<number>,
): Violation | null {
  if (row === null) return null;
  const counters = { fails: last.fails ?? 0, crashes: last.crashes ?? 0 };
  const right = { ...locate(db, row.id, row.run)!, ...counters };
  return wrongRow(place, idText(row.id), row, right, lanes.has(row.lane));
}

function* checkFence(db: Connection): Generator<Violation> {
  const after = `select n.job_id, n.run, o.state, n.state as later from qudo_outcome n
    join qudo_outcome o on o.job_id = n.job_id and o.run = n.run - 1
    where o.state in (${TERMINAL_STATES}) and n.state in (${KNOWN_STATES})
      and not (n.state = ${RUN_STATES.requeued} and o.state in (${RETRYABLE_STATES}))`;
  for (const row of db.all<RunRow & { state: number; later: number }>(after))
    yield revived(idText(row.job_id), row.run, row.later, row.state);
  const ownerless = "select id from qudo_lease where worker not in (select id from qudo_worker)";
  for (const { id } of db.all<{ id: Uint8Array }>(ownerless)) yield leaseOfNobody(idText(id));
}

interface KeyRow {
  job_id: Uint8Array;
  /** 1 when it is the key the job was enqueued with. */
  own: number;
}

function* checkKeys(
  db: Connection,
  places: Map<string, Stands[]>,
  leased: ReadonlyMap<string, LeasedRun[]>,
): Generator<Violation> {
  const keys = `select u.job_id, coalesce(u.hash = j.unique_hash, 0) as own
    from qudo_unique_key u left join qudo_job j on j.id = u.job_id`;
  for (const { job_id: id, own } of db.all<KeyRow>(keys)) {
    const stands = places.has(hex(id)) || leased.has(hex(id));
    const told = wrongHolder(idText(id), stands, own === 1);
    if (told !== null) yield told;
  }
  const without = `select j.id from qudo_job j where j.unique_hash is not null
    and not exists (select 1 from qudo_unique_key u where u.job_id = j.id and u.hash = j.unique_hash)`;
  for (const { id } of db.all<{ id: Uint8Array }>(without))
    if (places.has(hex(id))) yield keyless(idText(id));
}

function* checkSlots(
  db: Connection,
  leased: ReadonlyMap<string, LeasedRun[]>,
): Generator<Violation> {
  for (const { job_id: id, run } of db.all<RunRow>("select distinct job_id, run from qudo_slot")) {
    const listed = leased.get(hex(id))?.some((entry) => entry.run === run) ?? false;
    const told = slotOfNobody(idText(id), run, listed);
    if (told !== null) yield told;
  }
}

function* checkKept(
  db: Connection,
  leased: ReadonlyMap<string, LeasedRun[]>,
): Generator<Violation> {
  for (const { lease, id, run } of [...leased.values()].flat())
    if (db.get(SQL.jobExists, id) === undefined)
      yield prunedWhileLeased(idText(id), run, idText(lease));
  const jobless =
    "select job_id, run from qudo_outcome where job_id not in (select id from qudo_job)";
  for (const { job_id, run } of db.all<RunRow>(jobless))
    if (!leased.has(hex(job_id))) yield outcomeWithoutJob(idText(job_id), run);
  const unowned = `select distinct job_id, run from qudo_job_log
    where job_id not in (select id from qudo_job)`;
  for (const { job_id, run } of db.all<RunRow>(unowned)) yield linesWithoutJob(idText(job_id), run);
}

function* checkTimes(db: Connection, now: number): Generator<Violation> {
  const early = `select id as job_id, run, run_at from (select id, run, run_at from qudo_ready
    union all select id, run, run_at from qudo_held) where run_at > ?`;
  for (const row of db.all<RunRow & { run_at: number }>(early, now + SLACK_MS))
    yield readyTooEarly(idText(row.job_id), row.run, row.run_at - now);
  const backwards = "select job_id, run from qudo_outcome where started_at > ended_at + ?";
  for (const { job_id, run } of db.all<RunRow>(backwards, SLACK_MS))
    yield startedAfterItsEnd(idText(job_id), run);
  const ahead = "select job_id, run, ended_at from qudo_outcome where ended_at > ?";
  for (const row of db.all<RunRow & { ended_at: number }>(ahead, now + SLACK_MS))
    yield endsInTheFuture(idText(row.job_id), row.run, row.ended_at - now);
}

const hex = (id: Uint8Array): string => Buffer.from(id).toString("hex");
