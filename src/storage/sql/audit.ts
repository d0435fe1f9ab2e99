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
import { columnsOf, type Shape } from "./rows.js";
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
  checkPlaces,
  checkOrphans,
  checkRunning,
  checkRows,
  checkHistories,
  checkLeases,
  checkKeys,
  checkKeyless,
  checkKept,
  checkTimes,
];

const KNOWN = raw(`(${KNOWN_STATES})`);
const TERMINAL = raw(`(${TERMINAL_STATES})`);
const RETRYABLE = raw(`(${RETRYABLE_STATES})`);

/** What leases list, and what is known of those jobs. */
class Leased {
  private constructor(
    /** Every run that a lease lists, decided or not. */
    readonly runs: readonly LeasedRun[],
    /** Those that nobody has decided: these jobs stand in a lease. */
    readonly open: readonly LeasedRun[],
    /** The jobs that are there, each with its last outcome; those whose state is not known are left out. */
    readonly ends: ReadonlyMap<string, JobEnd>,
    private readonly jobs: ReadonlySet<string>,
  ) {}

  static async read(work: Work): Promise<Leased> {
    const runs = await leasedRuns(work);
    const ids = [...new Set(runs.map(({ id }) => id))];
    const [jobs, lasts, decided] = await Promise.all([
      jobsOf(work, ids),
      lastRuns(work, ids),
      outcomesOf(work, runs),
    ]);
    const outcomes = await outcomesOf(
      work,
      [...lasts].map(([id, run]) => ({ id, run })),
    );
    const ends = [...jobs.keys()].flatMap((id): JobEnd[] => {
      const last = outcomes.get(runKey(id, lasts.get(id) ?? 0));
      if (last === undefined) return [{ id, run: null, state: null }];
      return isKnown(last.state) ? [{ id, run: last.run, state: last.state }] : [];
    });
    const open = runs.filter(({ id, run }) => !decided.has(runKey(id, run)));
    return new Leased(runs, open, new Map(ends.map((end) => [end.id, end])), new Set(jobs.keys()));
  }

  /** Those of jobs that are gone. */
  get jobless(): readonly LeasedRun[] {
    return this.runs.filter(({ id }) => !this.jobs.has(id));
  }

  get ids(): ReadonlySet<string> {
    return new Set(this.runs.map(({ id }) => id));
  }
}

const isKnown = (state: number): boolean => Object.values<number>(RUN_STATES).includes(state);

const SAID = {
  job_id: "id",
  run: "int",
  state: "int",
  started_at: "int?",
  ended_at: "int",
} as const satisfies Shape;

/** What an outcome says by itself. */
async function checkOutcomes({ t, now, tx }: Work): Promise<Violation[]> {
  const rows = await tx.all(
    sql`select ${columnsOf(SAID)} from ${t.outcome} where state not in ${KNOWN}
      or started_at > ended_at + ${SLACK_MS} or ended_at > ${now + SLACK_MS}`,
    SAID,
  );
  return rows.flatMap(({ job_id: id, run, state, started_at, ended_at }) => [
    ...(isKnown(state) ? [] : [unknownState(id, run, state)]),
    ...(started_at !== null && started_at > ended_at + SLACK_MS
      ? [startedAfterItsEnd(id, run)]
      : []),
    ...(ended_at > now + SLACK_MS ? [endsInTheFuture(id, run, ended_at - now)] : []),
  ]);
}

/** Each job's last outcome `o`, beside the job `j`; nothing where it has none. */
function lastOutcome({ t }: Work): Query {
  return sql`left join (select job_id, max(run) as run from ${t.outcome} group by job_id) k on k.job_id = j.id
    left join ${t.outcome} o on o.job_id = k.job_id and o.run = k.run`;
}

/** Ids of waiting rows, `n` of each. */
function waitingIds({ t }: Work): Query {
  return sql`(select id, count(*) as n from (
    select id from ${t.ready} union all select id from ${t.delayed}) a group by id)`;
}

const END = { id: "id", run: "int?", state: "int?" } as const satisfies Shape;

/** Jobs that are in a lease may look misplaced to the server, or in place; they are all looked at here. */
async function checkPlaces(work: Work, leased: Leased): Promise<Violation[]> {
  const { t } = work;
  const suspects = await work.all(
    sql`select j.id, o.run, o.state from ${t.job} j ${lastOutcome(work)}
      left join ${waitingIds(work)} w on w.id = j.id
      where (o.state is null or o.state in ${KNOWN})
        and case when o.state in ${TERMINAL} then 0 else 1 end <> coalesce(w.n, 0)`,
    END,
  );
  const ends = new Map<string, JobEnd>([
    ...leased.ends,
    ...suspects.map((end) => [end.id, end] as const),
  ]);
  const places = await placesOf(work, [...ends.keys()], leased.open);
  return [...ends.values()].flatMap((end) => misplaced(end, places.get(end.id) ?? []) ?? []);
}

const PLACE = { id: "id", run: "int" } as const satisfies Shape;

/** Every place in which these jobs stand. */
async function placesOf(
  work: Work,
  ids: readonly string[],
  leased: readonly LeasedRun[],
): Promise<ReadonlyMap<string, Standing[]>> {
  const places = new Map<string, Standing[]>(ids.map((id) => [id, []]));
  for (const where of ["ready", "delayed"] as const) {
    const find = (some: readonly string[]) =>
      sql`select id, run from ${work.t[where]} where ${work.dialect.among("id", "id", some)}`;
    for (const { id, run } of await work.allOf(ids, find, PLACE))
      places.get(id)!.push({ where, run });
  }
  for (const { id, run } of leased) places.get(id)?.push({ where: "lease", run });
  return places;
}

async function checkOrphans({ t, tx }: Work): Promise<Violation[]> {
  const without = (table: Query) => sql`select w.id, w.run from ${table} w
    left join ${t.job} j on j.id = w.id where j.id is null`;
  const rows = await tx.all(sql`${without(t.ready)} union all ${without(t.delayed)}`, PLACE);
  return rows.map(({ id, run }) => rowWithoutJob(id, run));
}

const RUNNING = { job_id: "id", run: "int", worker: "id" } as const satisfies Shape;

/** A run that was cancelled may still be running: its lease lists it until its worker gives it up. */
async function checkRunning({ t, tx }: Work, { runs }: Leased): Promise<Violation[]> {
  const holders = new Map(runs.map(({ id, run, worker }) => [runKey(id, run), worker]));
  const rows = await tx.all(sql`select ${columnsOf(RUNNING)} from ${t.running}`, RUNNING);
  return rows.flatMap((row) => wronglyRunning(row, holders.get(runKey(row.job_id, row.run))) ?? []);
}

const ROW = {
  id: "id",
  run: "int",
  lane: "int",
  prio: "int",
  run_at: "int",
  fails: "int",
  crashes: "int",
  last_run: "int?",
  job_lane: "int",
  job_prio: "int",
  job_run_at: "int",
  last_fails: "int",
  last_crashes: "int",
  lane_id: "int?",
} as const satisfies Shape;

/** Waiting rows that are not what the job and its last outcome say; and leases that carry another run than the next one. */
async function checkRows(work: Work, { open, ends }: Leased): Promise<Violation[]> {
  const { t } = work;
  const found: Violation[] = [];
  for (const where of ["ready", "delayed"] as const) {
    const rows = await work.all(
      sql`select * from (
          select w.id, w.run, w.lane, w.prio, w.run_at, w.fails, w.crashes, o.run as last_run, j.lane as job_lane,
            coalesce(o.next_prio, j.prio) as job_prio, coalesce(o.next_at, j.run_at) as job_run_at,
            coalesce(o.fails, 0) as last_fails, coalesce(o.crashes, 0) as last_crashes, l.id as lane_id
          from ${t[where]} w join ${t.job} j on j.id = w.id
          left join ${t.outcome} o on o.job_id = w.id
            and o.run = (select max(m.run) from ${t.outcome} m where m.job_id = w.id)
          left join ${t.lane} l on l.id = w.lane where o.state is null or o.state in ${KNOWN}) c
        where run <> coalesce(last_run, 0) + 1 or lane_id is null or lane <> job_lane or prio <> job_prio
          or run_at <> job_run_at or fails <> last_fails or crashes <> last_crashes`,
      ROW,
    );
    for (const { id, run, last_run, ...row } of rows) {
      const right = {
        lane: row.job_lane,
        prio: row.job_prio,
        run_at: row.job_run_at,
        fails: row.last_fails,
        crashes: row.last_crashes,
      };
      const place = { where, run };
      const told =
        wrongRun(place, { id, run: last_run }) ??
        wrongRow(place, id, row, right, row.lane_id !== null);
      if (told !== null) found.push(told);
    }
  }
  for (const { id, run } of open) {
    const end = ends.get(id);
    const told = end === undefined ? null : wrongRun({ where: "lease", run }, end);
    if (told !== null) found.push(told);
  }
  return found;
}

const NEXT = { job_id: "id", run: "int", state: "int", before_it: "int?" } as const satisfies Shape;
const CUT = { job_id: "id", run: "int", n: "int" } as const satisfies Shape;

/** What follows what. */
async function checkHistories({ t, tx }: Work): Promise<Violation[]> {
  const { outcome } = t;
  const steps = await tx.all(
    sql`select n.job_id, n.run, n.state, o.state as before_it from ${outcome} n
      left join ${outcome} o on o.job_id = n.job_id and o.run = n.run - 1
      where n.run > 1 and case
        when o.run is null then
          case when exists (select 1 from ${outcome} p where p.job_id = n.job_id and p.run < n.run) then 1 else 0 end
        when o.state in ${TERMINAL} and n.state in ${KNOWN}
          and not (n.state = ${RUN_STATES.requeued} and o.state in ${RETRYABLE}) then 1
        else 0 end = 1`,
    NEXT,
  );
  const cut = await tx.all(
    sql`select job_id, min(run) as run, count(*) as n from ${outcome} group by job_id
      having min(run) > 1 and count(*) < ${LIMITS.runsKept}`,
    CUT,
  );
  return [
    ...steps.map(({ job_id: id, run, state, before_it: before }) =>
      before === null ? gapBefore(id, run) : revived(id, run, state, before),
    ),
    ...cut.map(({ job_id: id, run, n }) => cutTooShort(id, run, n)),
  ];
}

const ID = { id: "id" } as const satisfies Shape;

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
        left join ${waitingIds(work)} w on w.id = u.job_id) c
      where own = 0 or waits = 0`,
    KEY,
  );
  return rows.flatMap(
    ({ job_id: id, own, waits }) => wrongHolder(id, waits || ids.has(id), own) ?? [],
  );
}

/** Living jobs that were enqueued with a key. */
async function checkKeyless(work: Work, { open }: Leased): Promise<Violation[]> {
  const { t, dialect } = work;
  const bare = sql`left join ${t.unique_key} u on u.hash = j.unique_hash and u.job_id = j.id
    where j.unique_hash is not null and u.hash is null`;
  const waiting = await work.all(
    sql`select w.id from ${waitingIds(work)} w join ${t.job} j on j.id = w.id ${bare}`,
    ID,
  );
  const find = (some: readonly string[]) =>
    sql`select j.id from ${t.job} j ${bare} and ${dialect.among("j.id", "id", some)}`;
  const held = await work.allOf([...new Set(open.map(({ id }) => id))], find, ID);
  return [...new Set([...waiting, ...held].map(({ id }) => id))].map(keyless);
}

const RUN = { job_id: "id", run: "int" } as const satisfies Shape;

async function checkKept({ t, tx }: Work, { jobless, ids }: Leased): Promise<Violation[]> {
  const without = (table: Query) => sql`select distinct r.job_id, r.run from ${table} r
    left join ${t.job} j on j.id = r.job_id where j.id is null`;
  const outcomes = await tx.all(without(t.outcome), RUN);
  const lines = await tx.all(without(t.job_log), RUN);
  return [
    ...jobless.map(({ id, run, lease }) => prunedWhileLeased(id, run, lease)),
    ...outcomes
      .filter(({ job_id: id }) => !ids.has(id))
      .map(({ job_id: id, run }) => outcomeWithoutJob(id, run)),
    ...lines.map(({ job_id: id, run }) => linesWithoutJob(id, run)),
  ];
}

const EARLY = { id: "id", run: "int", run_at: "int" } as const satisfies Shape;

async function checkTimes({ t, now, tx }: Work): Promise<Violation[]> {
  const rows = await tx.all(
    sql`select id, run, run_at from ${t.ready} where run_at > ${now + SLACK_MS}`,
    EARLY,
  );
  return rows.map(({ id, run, run_at }) => readyTooEarly(id, run, run_at - now));
}
