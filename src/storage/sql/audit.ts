/**
 * Invariants I1 to I6 of the protocol, looked for in the data. The server looks through what is large, and names only what
 * is wrong, or may be: whatever leases list is not written there as rows, so that it is looked up for it here.
 */
import { LIMITS } from "../../core/defaults.js";
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
  type JobEnd,
  type Standing,
} from "./breaches.js";
import { read, type Engine, type Work } from "./engine.js";
import { lastRuns } from "./last.js";
import { raw, sql, type Query } from "./query.js";
import { outcomesOf, runKey } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { jobsOf, leasedRuns, type LeasedRun } from "./standing.js";

export function audit(engine: Engine): Promise<Violation[]> {
  return read(
    engine,
    async (work) => {
      const leased = await Leased.read(work);
      const found: Violation[] = [];
      for (const check of CHECKS) found.push(...(await check(work, leased)));
      return found;
    },
    { patient: true },
  );
}

type Check = (work: Work, leased: Leased) => Promise<Violation[]>;

const CHECKS: readonly Check[] = [
  checkOutcomes,
  checkHistories,
  checkWaiting,
  checkPlaces,
  checkRunning,
  checkLeases,
  checkKeys,
  checkHeldKeys,
  checkSlots,
  checkLines,
];

const KNOWN = raw(`(${KNOWN_STATES})`);
const TERMINAL = raw(`(${TERMINAL_STATES})`);
const RETRYABLE = raw(`(${RETRYABLE_STATES})`);
/** That nothing follows one of these is looked at where runs are compared, and nowhere else: they are most. */
const FINAL = raw(`(${RUN_STATES.done}, ${RUN_STATES.moved})`);

const ID = { id: "id" } as const satisfies Shape;
const RUN = { job_id: "id", run: "int" } as const satisfies Shape;

const isKnown = (state: number): boolean => Object.values<number>(RUN_STATES).includes(state);

/** These jobs, each with its last outcome; without those that are gone, and those whose state is not known. */
async function endsOf(work: Work, ids: readonly string[]): Promise<ReadonlyMap<string, JobEnd>> {
  const [jobs, lasts] = await Promise.all([jobsOf(work, ids), lastRuns(work, ids)]);
  const runs = [...lasts].map(([id, run]) => ({ id, run }));
  const outcomes = await outcomesOf(work, runs);
  const ends = [...jobs.keys()].flatMap((id): JobEnd[] => {
    const last = outcomes.get(runKey(id, lasts.get(id) ?? 0));
    if (last === undefined) return [{ id, run: null, state: null }];
    return isKnown(last.state) ? [{ id, run: last.run, state: last.state }] : [];
  });
  return new Map(ends.map((end) => [end.id, end]));
}

/** What leases list. */
class Leased {
  private constructor(
    /** Every run that a lease lists, decided or not. */
    readonly runs: readonly LeasedRun[],
    /** Those that nobody has decided: these jobs stand in a lease. */
    readonly open: readonly LeasedRun[],
    /** Their jobs. */
    readonly ids: ReadonlySet<string>,
  ) {}

  static async read(work: Work): Promise<Leased> {
    const runs = await leasedRuns(work);
    const decided = await outcomesOf(work, runs);
    const open = runs.filter(({ id, run }) => !decided.has(runKey(id, run)));
    return new Leased(runs, open, new Set(runs.map(({ id }) => id)));
  }
}

const SAID = {
  ...RUN,
  state: "int",
  started_at: "int?",
  ended_at: "int",
  kept: "flag",
} as const satisfies Shape;

/** What an outcome says by itself, and whether its job is there. */
async function checkOutcomes({ t, now, tx }: Work, { ids }: Leased): Promise<Violation[]> {
  const rows = await tx.all(
    sql`select o.job_id, o.run, o.state, o.started_at, o.ended_at, case when j.id is null then 0 else 1 end as kept
      from ${t.outcome} o left join ${t.job} j on j.id = o.job_id
      where j.id is null or o.state not in ${KNOWN} or o.started_at > o.ended_at + ${SLACK_MS}
        or o.ended_at > ${now + SLACK_MS}`,
    SAID,
  );
  return rows.flatMap(({ job_id: id, run, state, started_at, ended_at, kept }) => [
    ...(kept || ids.has(id) ? [] : [outcomeWithoutJob(id, run)]),
    ...(isKnown(state) ? [] : [unknownState(id, run, state)]),
    ...(started_at !== null && started_at > ended_at + SLACK_MS
      ? [startedAfterItsEnd(id, run)]
      : []),
    ...(ended_at > now + SLACK_MS ? [endsInTheFuture(id, run, ended_at - now)] : []),
  ]);
}

const STEP = { ...RUN, state: "int", before_it: "int?", earlier: "flag" } as const satisfies Shape;
const LEFT = { job_id: "id", n: "int" } as const satisfies Shape;

/** What follows what. First runs, which are most, follow nothing. */
async function checkHistories(work: Work): Promise<Violation[]> {
  const { t, dialect } = work;
  const steps = await work.all(
    sql`select n.job_id, n.run, n.state, o.state as before_it,
        case when o.run is null and exists (
          select 1 from ${t.outcome} p where p.job_id = n.job_id and p.run < n.run) then 1 else 0 end as earlier
      from ${t.outcome} n left join ${t.outcome} o on o.job_id = n.job_id and o.run = n.run - 1
      where n.run > 1 and (o.run is null or (o.state in ${TERMINAL} and n.state in ${KNOWN}
        and not (n.state = ${RUN_STATES.requeued} and o.state in ${RETRYABLE})))`,
    STEP,
  );
  const cut = steps.filter((step) => step.before_it === null && !step.earlier);
  const count = (some: readonly string[]) =>
    sql`select job_id, count(*) as n from ${t.outcome} where ${dialect.among("job_id", "id", some)}
      group by job_id having count(*) < ${LIMITS.runsKept}`;
  const short = await work.allOf(
    cut.map((step) => step.job_id),
    count,
    LEFT,
  );
  const left = new Map(short.map(({ job_id, n }) => [job_id, n]));
  return steps.flatMap(({ job_id: id, run, state, before_it: before, earlier }) => {
    if (before !== null) return revived(id, run, state, before);
    if (earlier) return gapBefore(id, run);
    const n = left.get(id);
    return n === undefined ? [] : cutTooShort(id, run, n);
  });
}

const ROW = {
  id: "id",
  run: "int",
  lane: "int",
  prio: "int",
  run_at: "int",
  fails: "int",
  crashes: "int",
  kept: "flag",
  keyless: "flag",
  last_run: "int?",
  last_state: "int?",
  job_lane: "int?",
  job_prio: "int?",
  job_run_at: "int?",
  last_fails: "int",
  last_crashes: "int",
  lane_id: "int?",
} as const satisfies Shape;

/** Rows of a waiting table that are not what their job, its last outcome and its key say. */
function wrongRows({ t, now }: Work, table: Query): Query {
  return sql`select * from (
      select w.id, w.run, w.lane, w.prio, w.run_at, w.fails, w.crashes,
        case when j.id is null then 0 else 1 end as kept,
        case when j.unique_hash is not null and u.hash is null then 1 else 0 end as keyless,
        o.run as last_run, o.state as last_state, j.lane as job_lane,
        coalesce(o.next_prio, j.prio) as job_prio, coalesce(o.next_at, j.run_at) as job_run_at,
        coalesce(o.fails, 0) as last_fails, coalesce(o.crashes, 0) as last_crashes, l.id as lane_id
      from ${table} w left join ${t.job} j on j.id = w.id
      left join ${t.outcome} o on o.job_id = w.id
        and o.run = (select max(m.run) from ${t.outcome} m where m.job_id = w.id)
      left join ${t.lane} l on l.id = w.lane
      left join ${t.unique_key} u on u.hash = j.unique_hash and u.job_id = j.id) c
    where kept = 0 or keyless = 1 or run_at > ${table === t.delayed ? FAR_AHEAD : now + SLACK_MS}
      or run <> coalesce(last_run, 0) + 1 or lane_id is null or lane <> job_lane or prio <> job_prio
      or run_at <> job_run_at or fails <> last_fails or crashes <> last_crashes`;
}

/** No time comes near. */
const FAR_AHEAD = Number.MAX_SAFE_INTEGER;

async function checkWaiting(work: Work): Promise<Violation[]> {
  const found: Violation[] = [];
  for (const where of ["ready", "held", "delayed"] as const)
    for (const row of await work.all(wrongRows(work, work.t[where]), ROW))
      found.push(...wrongsOf(work, where, row));
  return found;
}

function wrongsOf(
  { now }: Work,
  where: "ready" | "held" | "delayed",
  { id, run, ...row }: RowOf<typeof ROW>,
): Violation[] {
  if (!row.kept) return [rowWithoutJob(id, run)];
  const early = where !== "delayed" && row.run_at > now + SLACK_MS;
  const right = {
    lane: row.job_lane!,
    prio: row.job_prio!,
    run_at: row.job_run_at!,
    fails: row.last_fails,
    crashes: row.last_crashes,
  };
  const place = { where, run };
  const wrong =
    row.last_state !== null && !isKnown(row.last_state)
      ? null
      : (wrongRun(place, { id, run: row.last_run }) ??
        wrongRow(place, id, row, right, row.lane_id !== null));
  return [
    ...(wrong === null ? [] : [wrong]),
    ...(row.keyless ? [keyless(id)] : []),
    ...(early ? [readyTooEarly(id, run, row.run_at - now)] : []),
  ];
}

/** Ids of waiting rows. */
function waitingIds({ t }: Work): Query {
  return sql`(select id from ${t.ready} union all select id from ${t.held} union all select id from ${t.delayed})`;
}

/** Jobs that may be in the wrong place, or in none: told from what is large. What is leased is looked at in any case. */
function suspects(work: Work): Query {
  const { t } = work;
  const waiting = waitingIds(work);
  const last = (outcome: Query) => sql`${outcome}.state in ${RETRYABLE}
    and not exists (select 1 from ${t.outcome} n where n.job_id = ${outcome}.job_id and n.run > ${outcome}.run)`;
  const ended = sql`(o.state in ${FINAL} or ${last(raw("o"))})`;
  return sql`select w.id from ${waiting} w group by w.id having count(*) > 1
    union select w.id from ${waiting} w join ${t.outcome} o on o.job_id = w.id where ${ended}
    union select j.id from ${t.job} j
      left join ${t.outcome} f on f.job_id = j.id and f.state in ${FINAL}
      left join ${t.outcome} r on r.job_id = j.id and ${last(raw("r"))}
      where f.job_id is null and r.job_id is null
        and not exists (select 1 from ${t.ready} w where w.id = j.id)
        and not exists (select 1 from ${t.held} w where w.id = j.id)
        and not exists (select 1 from ${t.delayed} w where w.id = j.id)`;
}

async function checkPlaces(work: Work, { runs, open, ids }: Leased): Promise<Violation[]> {
  const found = (await work.all(suspects(work), ID)).map(({ id }) => id);
  const ends = await endsOf(work, [...new Set([...found, ...ids])]);
  const places = await placesOf(work, [...ends.keys()], open);
  const jobs = await jobsOf(work, [...ids]);
  const gone = runs.filter(({ id }) => !jobs.has(id));
  return [
    ...[...ends.values()].flatMap((end) => misplaced(end, places.get(end.id)!) ?? []),
    ...gone.map(({ id, run, lease }) => prunedWhileLeased(id, run, lease)),
    ...open.flatMap(({ id, run }) => {
      const end = ends.get(id);
      return (end && wrongRun({ where: "lease", run }, end)) ?? [];
    }),
  ];
}

/** Every place in which these jobs stand. */
async function placesOf(
  work: Work,
  ids: readonly string[],
  leased: readonly LeasedRun[],
): Promise<ReadonlyMap<string, Standing[]>> {
  const places = new Map<string, Standing[]>(ids.map((id) => [id, []]));
  for (const where of ["ready", "held", "delayed"] as const) {
    const find = (some: readonly string[]) =>
      sql`select id as job_id, run from ${work.t[where]} where ${work.dialect.among("id", "id", some)}`;
    for (const { job_id: id, run } of await work.allOf(ids, find, RUN))
      places.get(id)!.push({ where, run });
  }
  for (const { id, run } of leased) places.get(id)?.push({ where: "lease", run });
  return places;
}

const RUNNING = { ...RUN, worker: "id" } as const satisfies Shape;

/** A run that was cancelled may still be running: its lease lists it until its worker gives it up. */
async function checkRunning({ t, tx }: Work, { runs }: Leased): Promise<Violation[]> {
  const holders = new Map(runs.map(({ id, run, worker }) => [runKey(id, run), worker]));
  const rows = await tx.all(sql`select ${columnsOf(RUNNING)} from ${t.running}`, RUNNING);
  return rows.flatMap((row) => wronglyRunning(row, holders.get(runKey(row.job_id, row.run))) ?? []);
}

async function checkLeases({ t, tx }: Work): Promise<Violation[]> {
  const rows = await tx.all(
    sql`select l.id from ${t.lease} l left join ${t.worker} w on w.id = l.worker where w.id is null`,
    ID,
  );
  return rows.map(({ id }) => leaseOfNobody(id));
}

const KEY = { job_id: "id", own: "flag", waits: "flag" } as const satisfies Shape;

/** Keys, and who has them. */
async function checkKeys(work: Work, { ids }: Leased): Promise<Violation[]> {
  const { t } = work;
  const rows = await work.all(
    sql`select * from (
        select u.job_id, case when u.hash = j.unique_hash then 1 else 0 end as own,
          case when w.id is null then 0 else 1 end as waits
        from ${t.unique_key} u left join ${t.job} j on j.id = u.job_id
        left join (select distinct id from ${waitingIds(work)} a) w on w.id = u.job_id) c
      where own = 0 or waits = 0`,
    KEY,
  );
  return rows.flatMap(
    ({ job_id: id, own, waits }) => wrongHolder(id, waits || ids.has(id), own) ?? [],
  );
}

/** Held jobs that were enqueued with a key; those that wait are told with their rows. */
async function checkHeldKeys(work: Work, { open }: Leased): Promise<Violation[]> {
  const { t, dialect } = work;
  const bare = (some: readonly string[]) =>
    sql`select j.id from ${t.job} j left join ${t.unique_key} u on u.hash = j.unique_hash and u.job_id = j.id
      where j.unique_hash is not null and u.hash is null and ${dialect.among("j.id", "id", some)}`;
  const held = await work.allOf([...new Set(open.map(({ id }) => id))], bare, ID);
  return held.map(({ id }) => keyless(id));
}

async function checkSlots({ t, tx }: Work, { runs }: Leased): Promise<Violation[]> {
  const listed = new Set(runs.map(({ id, run }) => runKey(id, run)));
  const rows = await tx.all(sql`select distinct job_id, run from ${t.slot}`, RUN);
  return rows.flatMap(
    ({ job_id: id, run }) => slotOfNobody(id, run, listed.has(runKey(id, run))) ?? [],
  );
}

async function checkLines({ t, tx }: Work): Promise<Violation[]> {
  const rows = await tx.all(
    sql`select distinct g.job_id, g.run from ${t.job_log} g
      left join ${t.job} j on j.id = g.job_id where j.id is null`,
    RUN,
  );
  return rows.map(({ job_id: id, run }) => linesWithoutJob(id, run));
}
