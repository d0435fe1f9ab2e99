/** Breaches of the invariants I1 to I6, each in the one sentence with which every engine's audit tells of it. */
import { isTerminal, RUN_STATES, runStateOf, TERMINAL_CODES } from "../../core/states.js";
import type { Violation } from "../driver.js";

/** Clocks of hosts are set back now and then; a second is no violation. */
export const SLACK_MS = 1_000;

/** What a place in a statement's list takes: the states that this version knows, and those that end a job. */
export const KNOWN_STATES = Object.values(RUN_STATES).join(", ");
export const TERMINAL_STATES = TERMINAL_CODES.join(", ");
/** After these an operator may ask for another life. */
export const RETRYABLE_STATES = [RUN_STATES.abandoned, RUN_STATES.cancelled].join(", ");

/** A place that a job stands in. Decided runs still listed in a lease stand nowhere. */
export interface Standing {
  readonly where: "ready" | "held" | "delayed" | "lease";
  readonly run: number;
}

/** A job and its last outcome; null where it has none. */
export interface JobEnd {
  readonly id: string;
  readonly run: number | null;
  readonly state: number | null;
}

const tell =
  (invariant: Violation["invariant"]) =>
  (job: string | null, run: number | null, detail: string): Violation => ({
    invariant,
    job,
    run,
    detail,
  });

const i1 = tell("I1");
const i2 = tell("I2");
const i3 = tell("I3");
const i4 = tell("I4");
const i5 = tell("I5");
const i6 = tell("I6");

// — I1: one place for a living job, none for one that has ended

/** Null when it stands as it should. */
export function misplaced(
  { id, run, state }: JobEnd,
  places: readonly Standing[],
): Violation | null {
  const names = places.map((p) => `${p.where} (run ${p.run})`).join(", ") || "nowhere";
  if (state !== null && isTerminal(runStateOf(state)))
    return places.length === 0
      ? null
      : i1(id, run, `it has ended (${runStateOf(state)}) and still stands in ${names}`);
  const lost = `a living job stands in exactly one place, this one in ${names}`;
  return places.length === 1 ? null : i1(id, (run ?? 0) + 1, lost);
}

export const rowWithoutJob = (id: string, run: number): Violation =>
  i1(id, run, "a waiting row without its job");

/** `holder`: the session whose lease lists the run; undefined for none. Null when that is the one it is shown with. */
export function wronglyRunning(
  { job_id, run, worker }: { job_id: string; run: number; worker: string },
  holder: string | undefined,
): Violation | null {
  if (holder === undefined) return i1(job_id, run, "shown as running, but no lease holds this run");
  return holder === worker
    ? null
    : i3(job_id, run, "shown as running by a session that does not hold it");
}

// — I2: the next run, where the last outcome put it, with its counters; no gaps

/** What a waiting row says, and what it should. */
export interface Waits {
  readonly lane: number;
  readonly prio: number;
  readonly run_at: number;
  readonly fails: number;
  readonly crashes: number;
}

/** Null when the run is the next one. */
export function wrongRun(
  { where, run }: Standing,
  { id, run: last }: Pick<JobEnd, "id" | "run">,
): Violation | null {
  const next = (last ?? 0) + 1;
  return run === next ? null : i2(id, run, `${where} carries run ${run}, the next one is ${next}`);
}

/** Null when the row of the next run stands where it should, with the counters that it should have. */
export function wrongRow(
  { where, run }: Standing,
  id: string,
  row: Waits,
  right: Waits,
  laneExists: boolean,
): Violation | null {
  const wrong = differing(row, right, laneExists);
  return wrong === null ? null : i2(id, run, `${where} ${wrong}`);
}

function differing(row: Waits, right: Waits, laneExists: boolean): string | null {
  if (!laneExists) return `keeps it in lane ${row.lane}, which does not exist`;
  if (row.lane !== right.lane)
    return `keeps it in lane ${row.lane}, its job is of lane ${right.lane}`;
  if (row.run_at !== right.run_at || row.prio !== right.prio)
    return `keeps it at (${row.prio}, ${row.run_at}), its locator says (${right.prio}, ${right.run_at})`;
  if (row.fails !== right.fails || row.crashes !== right.crashes)
    return `counts ${row.fails} fails and ${row.crashes} crashes, its last run ${right.fails} and ${right.crashes}`;
  return null;
}

export const gapBefore = (id: string, run: number): Violation =>
  i2(id, run, `run ${run} has an outcome, run ${run - 1} has none`);

/** Pruning cuts a long history at its front, and leaves the last runs. */
export const cutTooShort = (id: string, run: number, left: number): Violation =>
  i2(id, run, `its first runs were pruned, but only ${left} are left`);

// — I3: what ends a job ends it; every lease has its session

export const unknownState = (id: string, run: number, state: number): Violation =>
  i3(id, run, `its state ${state} is none that this version knows`);

export const revived = (id: string, run: number, state: number, before: number): Violation =>
  i3(id, run, `${runStateOf(state)} was accepted after ${runStateOf(before)}, which ends a job`);

export const leaseOfNobody = (lease: string): Violation =>
  i3(null, null, `the lease ${lease} belongs to no session: settles through it cannot be fenced`);

// — I4: a unique key is held by the living job that was enqueued with it

/** `stands`: it waits, or some lease lists it. `own`: the key is the one it was enqueued with. Null when both are so. */
export function wrongHolder(id: string, stands: boolean, own: boolean): Violation | null {
  if (!stands) return i4(id, null, "it holds a unique key, but neither waits nor is held");
  return own ? null : i4(id, null, "it holds a unique key that it was not enqueued with");
}

export const keyless = (id: string): Violation =>
  i4(id, null, "it lives without the unique key it was enqueued with");

/** `leased`: some lease lists the run, decided or not. Null when it does. */
export const slotOfNobody = (id: string, run: number, leased: boolean): Violation | null =>
  leased ? null : i4(id, run, "it holds a place under a limit, but no lease lists this run");

// — I5: what a lease lists is kept, and nothing outlives its job

export const prunedWhileLeased = (id: string, run: number, lease: string): Violation =>
  i5(id, run, `the lease ${lease} lists it, but it was pruned`);

export const outcomeWithoutJob = (id: string, run: number): Violation =>
  i5(id, run, "its job was pruned, its outcome was not");

export const linesWithoutJob = (id: string, run: number): Violation =>
  i5(id, run, "its job was pruned, lines of its log were not");

// — I6: times

export const readyTooEarly = (id: string, run: number, ms: number): Violation =>
  i6(id, run, `ready, but due only in ${ms} ms`);

export const startedAfterItsEnd = (id: string, run: number): Violation =>
  i6(id, run, "it started after it ended");

export const endsInTheFuture = (id: string, run: number, ms: number): Violation =>
  i6(id, run, `it ends only in ${ms} ms`);
