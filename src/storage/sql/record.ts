/**
 * The one rule. An event takes run number last + 1 and inserts the outcome (job, run); only the transaction that inserted it
 * moves the job to where the decision says. Nothing else in these engines inserts outcomes or waiting rows but enqueue.
 */
import { RUN_STATES, REASONS } from "../../core/states.js";
import type { Counters, Decision } from "../../core/outcome.js";
import { WAITING, type RunOfLease, type WaitingRow } from "./dialect.js";
import type { Work } from "./engine.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { sql } from "./query.js";
import type { Moved } from "./places.js";
import { KEEP_AT_LEAST_MS } from "./scan.js";

export interface Event {
  readonly id: string;
  readonly run: number;
  readonly decision: Decision;
  /** Null: nobody's session, but a reaper, a canceller, an operator. */
  readonly writer: string | null;
  readonly worker: string | null;
  readonly startedAt: number | null;
  readonly result: string | null;
  readonly error: string | null;
  /** Moved by an operator: the place where it stands from now on. */
  readonly to?: Moved;
}

/** The writer of events that no worker's session made. */
const NOBODY = "00000000-0000-0000-0000-000000000000";

export const OUTCOME = {
  job_id: "id",
  run: "int",
  state: "int",
  lane: "int",
  reason: "int?",
  writer: "id",
  worker: "id?",
  started_at: "int?",
  ended_at: "int",
  fails: "int",
  crashes: "int",
  next_at: "int?",
  next_prio: "int?",
  result: "text?",
  error: "text?",
  prune_at: "int?",
} as const satisfies Shape;

type OutcomeRow = RowOf<typeof OUTCOME>;

const JOB = {
  id: "id",
  lane: "int",
  prio: "int",
  run_at: "int",
  keep_ms: "int?",
  keep_other_ms: "int?",
} as const satisfies Shape;

/** Whether the job was enqueued with a unique key. */
const FOUND = { ...JOB, keyed: "flag" } as const satisfies Shape;

const BEFORE = {
  job_id: "id",
  run: "int",
  state: "int",
  writer: "id",
  fails: "int",
  crashes: "int",
  next_at: "int?",
  next_prio: "int?",
} as const satisfies Shape;

const RUN = { job_id: "id", run: "int" } as const satisfies Shape;

export type BeforeRow = RowOf<typeof BEFORE>;

/** A run's name in a Map. */
export const runKey = (id: string, run: number): string => `${id}/${run}`;

/** Outcomes of these runs, by {@link runKey}. */
export async function outcomesOf(
  work: Work,
  runs: readonly RunOfLease[],
): Promise<Map<string, BeforeRow>> {
  const { t, dialect } = work;
  const keys = runs.map(({ id: job_id, run }) => ({ job_id, run }));
  const find = (some: readonly RowOf<typeof RUN>[]) =>
    sql`select ${columnsOf(BEFORE)} from ${t.outcome} where ${dialect.amongKeys(t.outcome, RUN, some)}`;
  const rows = await work.allOf(keys, find, BEFORE);
  return new Map(rows.map((row) => [runKey(row.job_id, row.run), row]));
}

/** Where the waiting row of a run stands, or would stand: the locator. */
export interface Place {
  readonly lane: number;
  readonly prio: number;
  readonly runAt: number;
  readonly nextPrio: number | null;
  /** What the run starts with: the counters of the outcome before it. */
  readonly counters: Counters;
  readonly keepMs: number | null;
  readonly keepOtherMs: number | null;
  /** It was enqueued with a unique key. */
  readonly keyed: boolean;
}

/** The same without whether the job has a unique key. */
export type Spot = Omit<Place, "keyed">;

/** What is known of runs: their own outcomes, and where they stand or would stand. */
export interface Known {
  readonly outcomes: ReadonlyMap<string, BeforeRow>;
  /** By {@link runKey}; nothing for a job that is gone. */
  readonly places: ReadonlyMap<string, Place>;
}

export async function lookUp(work: Work, runs: readonly RunOfLease[]): Promise<Known> {
  const { t, dialect } = work;
  const ids = [...new Set(runs.map((run) => run.id))];
  const find = (some: readonly string[]) =>
    sql`select ${columnsOf(JOB)}, unique_hash is not null as keyed from ${t.job}
      where ${dialect.among("id", "id", some)}`;
  const [jobs, outcomes] = await Promise.all([
    work.allOf(ids, find, FOUND),
    outcomesOf(work, [
      ...runs,
      ...runs.filter(({ run }) => run > 1).map(({ id, run }) => ({ id, run: run - 1 })),
    ]),
  ]);
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const places = new Map<string, Place>();
  for (const { id, run } of runs) {
    const job = byId.get(id);
    if (job === undefined) continue;
    const before = outcomes.get(runKey(id, run - 1));
    places.set(runKey(id, run), {
      lane: job.lane,
      prio: before?.next_prio ?? job.prio,
      runAt: before?.next_at ?? job.run_at,
      nextPrio: before?.next_prio ?? null,
      counters: { fails: before?.fails ?? 0, crashes: before?.crashes ?? 0 },
      keepMs: job.keep_ms,
      keepOtherMs: job.keep_other_ms,
      keyed: job.keyed,
    });
  }
  return { outcomes, places };
}

/** Which of these events decide their runs: those of living jobs whose run has no outcome yet, the first of each run. */
export function deciding(events: readonly RunOfLease[], { outcomes, places }: Known): boolean[] {
  const taken = new Set<string>();
  return events.map(({ id, run }) => {
    const key = runKey(id, run);
    if (outcomes.has(key) || !places.has(key) || taken.has(key)) return false;
    taken.add(key);
    return true;
  });
}

/** Records what can be recorded: says for each event whether this transaction decided its run. */
export async function record(
  work: Work,
  events: readonly Event[],
  known?: Known,
): Promise<boolean[]> {
  const found = known ?? (await lookUp(work, events));
  const answers = deciding(events, found);
  const { rows, waiting } = rowsOf(
    work,
    events.filter((_, i) => answers[i]),
    found,
  );
  await Promise.all([work.insert(work.t.outcome, OUTCOME, rows), place(work, waiting)]);
  return answers;
}

/** The same for events that all decide their runs, and move jobs: first the fence, then `leave`, which takes them from where they waited. */
export async function recordMoves(
  work: Work,
  events: readonly Event[],
  known: Known,
  leave: () => Promise<void>,
): Promise<void> {
  const { rows, waiting } = rowsOf(work, events, known);
  await work.insert(work.t.outcome, OUTCOME, rows);
  await leave();
  await place(work, waiting);
}

interface Rows {
  readonly rows: OutcomeRow[];
  readonly waiting: WaitingRow[];
}

/** Counted here, once. */
function rowsOf(work: Work, events: readonly Event[], { places }: Known): Rows {
  const rows: OutcomeRow[] = [];
  const waiting: WaitingRow[] = [];
  for (const event of events) {
    const { id, run, decision } = event;
    const place: Spot = { ...places.get(runKey(id, run))!, ...event.to };
    const row = outcomeRow(work, event, place);
    rows.push(row);
    work.tally.ended(place.lane, decision.state, event.writer);
    if (row.next_at === null) continue;
    const { fails, crashes } = decision;
    const { lane, prio } = place;
    waiting.push({ lane, prio, run_at: row.next_at, id, run: run + 1, fails, crashes });
  }
  rows.sort(inKeyOrder);
  return { rows, waiting };
}

/** A job's next run, and its lane. */
export interface NextRun extends RunOfLease {
  readonly lane: number;
}

/** A state that no committed outcome has: that of the last event of a job's life, which goes with the job. */
const PRUNED = 10;

/**
 * Decides the next run of jobs that are deleted in this very transaction: an operator who gives one of them another life at
 * this moment wants the same run, and one of the two begins again.
 */
export function fencePruned(work: Work, runs: readonly NextRun[]): Promise<void> {
  const rows = runs.map(({ id: job_id, run, lane }) => ({
    job_id,
    run,
    state: PRUNED,
    lane,
    reason: null,
    writer: NOBODY,
    worker: null,
    started_at: null,
    ended_at: work.now,
    fails: 0,
    crashes: 0,
    next_at: null,
    next_prio: null,
    result: null,
    error: null,
    prune_at: null,
  }));
  return work.insert(work.t.outcome, OUTCOME, rows.toSorted(inKeyOrder));
}

/** Two transactions that decide the same runs meet at the first, and none waits in a circle. */
function inKeyOrder(a: OutcomeRow, b: OutcomeRow): number {
  return a.job_id < b.job_id ? -1 : a.job_id > b.job_id ? 1 : a.run - b.run;
}

/** Puts jobs where they wait: among the ready ones when they are due, else among the delayed. */
export async function place(work: Work, rows: readonly WaitingRow[]): Promise<void> {
  const { t, now } = work;
  const ready = rows.filter((row) => row.run_at <= now);
  if (ready.length > 0) work.tx.announce();
  await Promise.all([
    work.insert(t.ready, WAITING, ready),
    work.insert(
      t.delayed,
      WAITING,
      rows.filter((row) => row.run_at > now),
    ),
  ]);
}

export function outcomeRow({ now }: Pick<Work, "now">, event: Event, place: Spot): OutcomeRow {
  const { decision } = event;
  return {
    job_id: event.id,
    run: event.run,
    state: RUN_STATES[decision.state],
    lane: place.lane,
    reason: decision.reason === null ? null : REASONS[decision.reason],
    writer: event.writer ?? NOBODY,
    worker: event.worker,
    started_at: event.startedAt,
    ended_at: now,
    fails: decision.fails,
    crashes: decision.crashes,
    next_at: nextMoment(decision, place, now),
    next_prio: place.nextPrio,
    result: event.result,
    error: event.error,
    prune_at: pruneAt(decision, place, now),
  };
}

function nextMoment({ next }: Decision, place: Spot, now: number): number | null {
  if (next === null) return null;
  return next === "same-place" ? place.runAt : now + next.delayMs;
}

/** When a job with a keep time of its own for such an end may be pruned: null for all others. */
function pruneAt({ state, next }: Decision, place: Spot, now: number): number | null {
  if (next !== null) return null;
  const keep = state === "done" ? place.keepMs : place.keepOtherMs;
  return keep === null ? null : now + Math.max(keep, KEEP_AT_LEAST_MS);
}
