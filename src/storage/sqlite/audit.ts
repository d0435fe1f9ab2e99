/** Invariants I1 to I6 of the protocol, looked for in the data. What `qudo doctor` prints, and what every fault test ends with. */
import { LIMITS } from "../../core/defaults.js";
import { idText } from "../../core/ids.js";
import { isTerminal, RUN_STATES, runStateOf } from "../../core/states.js";
import type { Violation } from "../driver.js";
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

interface Standing {
  where: "ready" | "delayed" | "lease";
  run: number;
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
): Map<string, Standing[]> {
  const places = new Map<string, Standing[]>();
  const add = (key: string, standing: Standing): void => {
    const list = places.get(key);
    if (list === undefined) places.set(key, [standing]);
    else list.push(standing);
  };
  for (const where of ["ready", "delayed"] as const)
    for (const row of db.all<WaitingRow>(
      `select id, lane, prio, run_at, run, fails, crashes from qudo_${where}`,
    ))
      add(hex(row.id), { where, run: row.run, row });
  for (const [key, runs] of leased)
    for (const { id, run } of runs)
      if (db.get(SQL.outcome, id, run) === undefined) add(key, { where: "lease", run, row: null });
  return places;
}

const KNOWN_STATES = Object.values(RUN_STATES).join(", ");
const TERMINAL_STATES = [1, 3, 4, 9].join(", ");

interface JobEnd {
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
    yield violation("I3", job_id, run, `its state ${state} is none that this version knows`);
}

function* checkPlaces(db: Connection, places: Map<string, Standing[]>): Generator<Violation> {
  for (const { id, run, state } of db.all<JobEnd>(JOB_ENDS)) {
    const found = places.get(hex(id)) ?? [];
    const ended = state !== null && isTerminal(runStateOf(state)) ? runStateOf(state) : null;
    const names = found.map((p) => `${p.where} (run ${p.run})`).join(", ") || "nowhere";
    if (ended !== null && found.length > 0)
      yield violation("I1", id, run, `it has ended (${ended}) and still stands in ${names}`);
    const lost = `a living job stands in exactly one place, this one in ${names}`;
    if (ended === null && found.length !== 1) yield violation("I1", id, (run ?? 0) + 1, lost);
  }
  const orphans = `select id as job_id, run from qudo_ready where id not in (select id from qudo_job)
    union all select id, run from qudo_delayed where id not in (select id from qudo_job)`;
  for (const { job_id, run } of db.all<RunRow>(orphans))
    yield violation("I1", job_id, run, "a waiting row without its job");
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
    if (holder === undefined)
      yield violation("I1", job_id, run, "shown as running, but no lease holds this run");
    else if (hex(holder.worker) !== hex(worker))
      yield violation("I3", job_id, run, "shown as running by a session that does not hold it");
  }
}

function* checkRuns(db: Connection, places: Map<string, Standing[]>): Generator<Violation> {
  const lanes = new Set(db.all<{ id: number }>("select id from qudo_lane").map(({ id }) => id));
  for (const last of db.all<JobEnd>(JOB_ENDS))
    for (const { where, run, row } of places.get(hex(last.id)) ?? []) {
      const next = (last.run ?? 0) + 1;
      const told = run !== next ? `carries run ${run}, the next one is ${next}` : null;
      const wrong = told ?? (row === null ? null : wrongRow(db, row, last, lanes));
      if (wrong !== null) yield violation("I2", last.id, run, `${where} ${wrong}`);
    }
  const gaps = `select o.job_id, o.run from qudo_outcome o where o.run > 1
    and not exists (select 1 from qudo_outcome p where p.job_id = o.job_id and p.run = o.run - 1)
    and exists (select 1 from qudo_outcome p where p.job_id = o.job_id and p.run < o.run)`;
  for (const { job_id, run } of db.all<RunRow>(gaps))
    yield violation("I2", job_id, run, `run ${run} has an outcome, run ${run - 1} has none`);
  // Pruning cuts a long history at its front, and leaves the last runs.
  const short = `select job_id, min(run) as run, count(*) as n from qudo_outcome group by job_id
    having min(run) > 1 and count(*) < ${LIMITS.runsKept}`;
  for (const { job_id, run, n } of db.all<RunRow & { n: number }>(short))
    yield violation("I2", job_id, run, `its first runs were pruned, but only ${n} are left`);
}

/** What is wrong with the place of a waiting row, or with what it carries. */
function wrongRow(
  db: Connection,
  row: WaitingRow,
  last: JobEnd,
  lanes: ReadonlySet<number>,
): string | null {
  const at = locate(db, row.id, row.run)!;
  if (!lanes.has(row.lane)) return `keeps it in lane ${row.lane}, which does not exist`;
  if (row.lane !== at.lane) return `keeps it in lane ${row.lane}, its job is of lane ${at.lane}`;
  if (row.run_at !== at.run_at || row.prio !== at.prio)
    return `keeps it at (${row.prio}, ${row.run_at}), its locator says (${at.prio}, ${at.run_at})`;
  const { fails, crashes } = { fails: last.fails ?? 0, crashes: last.crashes ?? 0 };
  if (row.fails !== fails || row.crashes !== crashes)
    return `counts ${row.fails} fails and ${row.crashes} crashes, its last run ${fails} and ${crashes}`;
  return null;
}

function* checkFence(db: Connection): Generator<Violation> {
  const revived = `select n.job_id, n.run, o.state, n.state as later from qudo_outcome n
    join qudo_outcome o on o.job_id = n.job_id and o.run = n.run - 1
    where o.state in (${TERMINAL_STATES}) and n.state in (${KNOWN_STATES})
      and not (n.state = ${RUN_STATES.requeued} and o.state in (${RUN_STATES.abandoned}, ${RUN_STATES.cancelled}))`;
  for (const row of db.all<RunRow & { state: number; later: number }>(revived)) {
    const detail = `${runStateOf(row.later)} was accepted after ${runStateOf(row.state)}, which ends a job`;
    yield violation("I3", row.job_id, row.run, detail);
  }
  const ownerless = "select id from qudo_lease where worker not in (select id from qudo_worker)";
  for (const { id } of db.all<{ id: Uint8Array }>(ownerless)) {
    const detail = `the lease ${idText(id)} belongs to no session: settles through it cannot be fenced`;
    yield violation("I3", null, null, detail);
  }
}

interface KeyRow {
  job_id: Uint8Array;
  /** 1 when it is the key the job was enqueued with. */
  own: number;
}

function* checkKeys(
  db: Connection,
  places: Map<string, Standing[]>,
  leased: ReadonlyMap<string, LeasedRun[]>,
): Generator<Violation> {
  const keys = `select u.job_id, coalesce(u.hash = j.unique_hash, 0) as own
    from qudo_unique_key u left join qudo_job j on j.id = u.job_id`;
  for (const { job_id: id, own } of db.all<KeyRow>(keys))
    if (!places.has(hex(id)) && !leased.has(hex(id)))
      yield violation("I4", id, null, "it holds a unique key, but neither waits nor is held");
    else if (own === 0)
      yield violation("I4", id, null, "it holds a unique key that it was not enqueued with");
  const keyless = `select j.id from qudo_job j where j.unique_hash is not null
    and not exists (select 1 from qudo_unique_key u where u.job_id = j.id and u.hash = j.unique_hash)`;
  for (const { id } of db.all<{ id: Uint8Array }>(keyless))
    if (places.has(hex(id)))
      yield violation("I4", id, null, "it lives without the unique key it was enqueued with");
}

function* checkKept(
  db: Connection,
  leased: ReadonlyMap<string, LeasedRun[]>,
): Generator<Violation> {
  for (const { lease, id, run } of [...leased.values()].flat())
    if (db.get(SQL.jobExists, id) === undefined)
      yield violation("I5", id, run, `the lease ${idText(lease)} lists it, but it was pruned`);
  const jobless =
    "select job_id, run from qudo_outcome where job_id not in (select id from qudo_job)";
  for (const { job_id, run } of db.all<RunRow>(jobless))
    if (!leased.has(hex(job_id)))
      yield violation("I5", job_id, run, "its job was pruned, its outcome was not");
  const unowned = `select distinct job_id, run from qudo_job_log
    where job_id not in (select id from qudo_job)`;
  for (const { job_id, run } of db.all<RunRow>(unowned))
    yield violation("I5", job_id, run, "its job was pruned, lines of its log were not");
}

/** Clocks of hosts are set back now and then; a second is no violation. */
const SLACK_MS = 1_000;

function* checkTimes(db: Connection, now: number): Generator<Violation> {
  const early = "select id as job_id, run, run_at from qudo_ready where run_at > ?";
  for (const row of db.all<RunRow & { run_at: number }>(early, now + SLACK_MS))
    yield violation("I6", row.job_id, row.run, `ready, but due only in ${row.run_at - now} ms`);
  const backwards = "select job_id, run from qudo_outcome where started_at > ended_at + ?";
  for (const { job_id, run } of db.all<RunRow>(backwards, SLACK_MS))
    yield violation("I6", job_id, run, "it started after it ended");
  const ahead = "select job_id, run, ended_at from qudo_outcome where ended_at > ?";
  for (const row of db.all<RunRow & { ended_at: number }>(ahead, now + SLACK_MS))
    yield violation("I6", row.job_id, row.run, `it ends only in ${row.ended_at - now} ms`);
}

function violation(
  invariant: Violation["invariant"],
  id: Uint8Array | null,
  run: number | null,
  detail: string,
): Violation {
  return { invariant, job: id === null ? null : idText(id), run, detail };
}

const hex = (id: Uint8Array): string => Buffer.from(id).toString("hex");
