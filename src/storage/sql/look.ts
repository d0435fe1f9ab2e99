/** Reading jobs by id. Nothing here writes. */
import {
  isTerminal,
  jobState,
  runStateOf,
  TERMINAL_CODES,
  type JobState,
} from "../../core/states.js";
import type { Ending, JobRow } from "../driver.js";
import { attemptsOf, type AttemptColumns } from "./attempts.js";
import { read, type Engine, type Work } from "./engine.js";
import { isHidden } from "./hidden.js";
import { lastRuns } from "./last.js";
import { sql } from "./query.js";
import { outcomesOf, runKey } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { leasedRuns, NOWHERE, standingOf, type Standing } from "./standing.js";
import { attemptRow, jobRow, NOBODYS, type Hold } from "./views.js";

const ASKED = {
  id: "id",
  lane: "int",
  prio: "int",
  run_at: "int",
  created_at: "int",
  max_attempts: "int",
  timeout_ms: "int?",
  expires_at: "int?",
  keep_ms: "int?",
  keep_other_ms: "int?",
  opts: "text?",
  unique_text: "text?",
  codec: "int",
  payload_text: "text?",
  payload_bin: "bytes?",
  origin_id: "id?",
  origin_run: "int?",
} as const satisfies Shape;

const NAMES = { queue: "text", kind: "text" } as const satisfies Shape;
const JOB = { ...ASKED, ...NAMES } as const satisfies Shape;

export async function getJobs(engine: Engine, ids: readonly string[]): Promise<(JobRow | null)[]> {
  if (ids.length === 0) return [];
  const rows = await read(engine, (work) => readJobs(work, [...new Set(ids)]));
  return ids.map((id) => rows.get(id) ?? null);
}

/** Jobs by id, each asked for once; nothing for those that are not there, or shown to nobody any more. */
export async function readJobs(
  work: Work,
  ids: readonly string[],
): Promise<ReadonlyMap<string, JobRow>> {
  const jobs = await foundJobs(work, ids);
  const living = jobs.filter(({ last }) => !hasEnded(last));
  const runs = living.map(({ job, last, place }) => ({
    ...place,
    id: job.id,
    lane: job.lane,
    run: (last?.run ?? 0) + 1,
  }));
  const standing = await standingOf(work, runs);
  const rows = jobs.map((found) => {
    const stands = standing.get(found.job.id) ?? NOWHERE;
    return { ...found, stands, state: stateOf(found.last, stands) };
  });
  const holders = rows.some(({ state }) => state === "reserved")
    ? await holdersOf(work)
    : new Map<string, string>();
  return new Map(
    rows.map(({ job, last, place, state, stands }) => {
      const attempt = last === undefined ? null : attemptRow(last);
      const held = state === "reserved" || state === "running";
      const holder = holders.get(runKey(job.id, (last?.run ?? 0) + 1)) ?? null;
      const hold = held ? holdOf(stands, holder) : NOBODYS;
      const { origin_id: origin } = job;
      return [job.id, jobRow(job.id, job, { state, last: attempt, place, hold, origin })];
    }),
  );
}

interface Found {
  readonly job: RowOf<typeof JOB>;
  readonly last: AttemptColumns | undefined;
  readonly place: { readonly prio: number; readonly run_at: number };
}

/** Jobs that are shown, in whatever order, each with its last outcome and the place of the run that is shown. */
async function foundJobs(work: Work, ids: readonly string[]): Promise<Found[]> {
  const { t, dialect } = work;
  const find = (some: readonly string[]) =>
    sql`select ${columnsOf(ASKED, "j")}, ${columnsOf(NAMES, "l")} from ${t.job} j
      join ${t.lane} l on l.id = j.lane where ${dialect.among("j.id", "id", some)}`;
  const [jobs, lasts] = await Promise.all([work.allOf(ids, find, JOB), lastRuns(work, ids)]);
  const runs = [...lasts].map(([id, run]) => ({ id, run }));
  const earlier = runs.filter(({ run }) => run > 1).map(({ id, run }) => ({ id, run: run - 1 }));
  const [attempts, before] = await Promise.all([attemptsOf(work, runs), outcomesOf(work, earlier)]);
  return jobs.flatMap((job) => {
    const run = lasts.get(job.id) ?? 0;
    const last = attempts.get(runKey(job.id, run));
    if (isHidden(job, last, work.now)) return [];
    // Of a job that has ended the last run is shown, and where that one had waited.
    const placed = hasEnded(last) ? before.get(runKey(job.id, run - 1)) : last;
    const place = { prio: placed?.next_prio ?? job.prio, run_at: placed?.next_at ?? job.run_at };
    return [{ job, last, place }];
  });
}

function hasEnded(last: { readonly state: number } | undefined): boolean {
  return last !== undefined && isTerminal(runStateOf(last.state));
}

export function stateOf(
  last: { readonly state: number } | undefined,
  { waiting, running }: Standing,
): JobState {
  const lastOutcome = last === undefined ? null : runStateOf(last.state);
  return jobState({ lastOutcome, waiting, running: running !== null });
}

function holdOf({ running }: Standing, holder: string | null): Hold {
  if (running === null) return { ...NOBODYS, session: holder };
  return { session: running.worker, startedAt: running.started_at, progress: running.progress };
}

/** Sessions of every run that a lease lists, by {@link runKey}. */
async function holdersOf(work: Work): Promise<ReadonlyMap<string, string>> {
  const leased = await leasedRuns(work);
  return new Map(leased.map(({ id, run, worker }) => [runKey(id, run), worker]));
}

const ID = { id: "id" } as const satisfies Shape;
export async function endings(engine: Engine, ids: readonly string[]): Promise<Ending[]> {
  if (ids.length === 0) return [];
  const { jobs, ends } = await read(engine, (work) => lastWords(work, [...new Set(ids)]));
  return ids.map((id) => {
    if (!jobs.has(id)) return { status: "absent" };
    const end = ends.get(id);
    if (end === undefined) return { status: "living" };
    return { status: "ended", attempt: attemptRow(end) };
  });
}

async function lastWords(work: Work, ids: readonly string[]) {
  const { t, dialect } = work;
  const find = (some: readonly string[]) =>
    sql`select id from ${t.job} where ${dialect.among("id", "id", some)}`;
  const [jobs, lasts] = await Promise.all([work.allOf(ids, find, ID), lastRuns(work, ids)]);
  const runs = [...lasts].map(([id, run]) => ({ id, run }));
  const ends = await attemptsOf(work, runs, TERMINAL_CODES);
  return {
    jobs: new Set(jobs.map(({ id }) => id)),
    ends: new Map([...ends.values()].map((end) => [end.job_id, end])),
  };
}
