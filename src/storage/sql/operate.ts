/** What operators do to jobs. The fence first, then the place: a job on the move is met in its direction of travel. */
import {
  afterCancel,
  afterPurge,
  afterRequeue,
  type Counters,
  type Decision,
} from "../../core/outcome.js";
import { isRetryable, isTerminal, runStateOf } from "../../core/states.js";
import type { CancelOutcome, PurgeOutcome, RetryOutcome } from "../driver.js";
import type { RunOfLease } from "./dialect.js";
import { write, type Engine, type Work } from "./engine.js";
import { freeKeys, hashText, KEY, takeKeys, type KeyRow } from "./keys.js";
import { lastRuns } from "./last.js";
import { stateOf } from "./look.js";
import { sql, type Query } from "./query.js";
import {
  lookUp,
  record,
  runKey,
  type BeforeRow,
  type Event,
  type Known,
  type Place,
} from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { runningOf } from "./running.js";
import { DELAYED_KEY, NOWHERE, READY_KEY, standingOf, type Locator } from "./standing.js";

/** A job as an operator meets it: its next run, and the outcome before it. */
export interface Met {
  readonly id: string;
  readonly run: number;
  readonly last: BeforeRow | undefined;
  readonly place: Place;
}

export async function cancel(engine: Engine, ids: readonly string[]): Promise<CancelOutcome[]> {
  const outcomes = await end(engine, ids, afterCancel);
  return outcomes.map((outcome) => (outcome === "abandoned" ? "cancelled" : outcome));
}

export function purge(engine: Engine, ids: readonly string[]): Promise<PurgeOutcome[]> {
  return end(engine, ids, afterPurge);
}

type Ending = (run: Counters, running: boolean) => Decision;

async function end(
  engine: Engine,
  ids: readonly string[],
  decide: Ending,
): Promise<PurgeOutcome[]> {
  if (ids.length === 0) return [];
  const outcomes = await write(engine, (work) => endAll(work, [...new Set(ids)], decide));
  return inTurn(ids, outcomes, (first) => (first === "absent" ? first : "already"));
}

async function endAll(
  work: Work,
  ids: readonly string[],
  decide: Ending,
): Promise<ReadonlyMap<string, PurgeOutcome>> {
  const { met, known } = await meet(work, ids);
  const living = met.filter(({ last }) => !isTerminal(stateBefore(last)));
  // To cancel is the same wherever they are.
  const running = decide === afterCancel ? NONE : await runningOf(work, living);
  const events = living.map(({ id, run, place }) =>
    operatorEvent(id, run, decide(place.counters, running.has(runKey(id, run)))),
  );
  await record(work, events, known);
  const waited = new Set(await takeAway(work, living.map(locatorOf)));
  // A leased run keeps its key until its worker, who learns by heartbeat, gives it up.
  const freed = living.filter(({ id, place }) => place.keyed && waited.has(id));
  await freeKeys(
    work,
    freed.map(({ id }) => id),
  );
  const outcomes = new Map<string, PurgeOutcome>(ids.map((id) => [id, "absent"]));
  for (const { id } of met) outcomes.set(id, "already");
  for (const { id, decision } of events)
    outcomes.set(id, decision.state === "abandoned" ? "abandoned" : "cancelled");
  return outcomes;
}

const NONE: ReadonlyMap<string, unknown> = new Map();

/** Takes jobs from where they wait, and says which of them waited. */
export async function takeAway(work: Work, places: readonly Locator[]): Promise<string[]> {
  const { t } = work;
  // One after the other: whoever has just left the first stands in the second by the time it is looked at.
  const delayed = await takeFrom(work, t.delayed, DELAYED_KEY, places);
  const ready = await takeFrom(work, t.ready, READY_KEY, places);
  return [...delayed, ...ready];
}

/** Waits for those who are moving one of these rows: it is gone then, or stays. */
async function takeFrom<S extends Shape & { id: "id" }>(
  work: Work,
  table: Query,
  key: S,
  places: readonly RowOf<S>[],
): Promise<string[]> {
  const { dialect } = work;
  const among = (some: readonly RowOf<S>[]) => dialect.amongKeys(table, key, some);
  const lock = (some: readonly RowOf<S>[]) =>
    sql`select ${columnsOf(key)}, run from ${dialect.byKey(table)} where ${among(some)} ${dialect.lock("update")}`;
  const found = await work.allOf(places, lock, key);
  await work.runOf(found, (some) => sql`delete from ${table} where ${among(some)}`);
  return found.map((row) => (row as RowOf<{ id: "id" }>).id);
}

export async function retry(engine: Engine, ids: readonly string[]): Promise<RetryOutcome[]> {
  if (ids.length === 0) return [];
  const outcomes = await write(engine, (work) => retryAll(work, [...new Set(ids)]));
  return inTurn(ids, outcomes, (first) =>
    first.status === "requeued" ? { status: "refused", state: "pending" } : first,
  );
}

async function retryAll(
  work: Work,
  ids: readonly string[],
): Promise<ReadonlyMap<string, RetryOutcome>> {
  const hashes = await lockJobs(work, ids);
  const { met, known } = await meet(work, [...hashes.keys()]);
  const dead = met.filter(({ last }) => isRetryable(stateBefore(last)));
  const holders = await takeAgain(work, keysOf(dead, hashes));
  const holderOf = ({ id }: Met): string => {
    const hash = hashes.get(id);
    return hash == null ? id : holders.get(hashText(hash))!;
  };
  const winners = dead.filter((one) => holderOf(one) === one.id);
  const events = winners.map(({ id, run }) => operatorEvent(id, run, afterRequeue()));
  await record(work, events, known);

  const outcomes = new Map<string, RetryOutcome>(ids.map((id) => [id, { status: "absent" }]));
  for (const [id, outcome] of await refusals(work, met)) outcomes.set(id, outcome);
  for (const one of dead) outcomes.set(one.id, { status: "unique", holder: holderOf(one) });
  for (const { id } of winners) outcomes.set(id, { status: "requeued" });
  return outcomes;
}

const HASH = { id: "id", unique_hash: "bytes?" } as const satisfies Shape;

/** The hashes of those that are there, by id. Until the end of this transaction nobody prunes them or gives them another life. */
async function lockJobs(
  work: Work,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Uint8Array | null>> {
  const { t, dialect } = work;
  const lock = (some: readonly string[]) =>
    sql`select id, unique_hash from ${dialect.byKey(t.job)} where ${dialect.among("id", "id", some)}
      order by id ${dialect.lock("update")}`;
  const rows = await work.allOf(ids.toSorted(), lock, HASH);
  const hashes = new Map(rows.map((row) => [row.id, row.unique_hash]));
  return new Map(ids.flatMap((id) => (hashes.has(id) ? [[id, hashes.get(id)!]] : [])));
}

/** In the order of the hashes, so that two who want the same ones meet at the first; of one hash in the order given. */
function keysOf(
  jobs: readonly Met[],
  hashes: ReadonlyMap<string, Uint8Array | null>,
): readonly KeyRow[] {
  return jobs
    .flatMap(({ id }) => {
      const hash = hashes.get(id);
      return hash == null ? [] : [{ hash, job_id: id }];
    })
    .toSorted((a, b) => Buffer.compare(a.hash, b.hash));
}

/**
 * Who holds these keys now, by {@link hashText}. What is ours is written anew, also where it was ours before: a worker that gives
 * up the run before this life frees the key by its row, and where locks do not reach (Galera) only the row itself tells the two apart.
 */
async function takeAgain(
  work: Work,
  keys: readonly KeyRow[],
): Promise<ReadonlyMap<string, string>> {
  const holders = await takeKeys(work, keys);
  const ours = keys.filter(({ hash, job_id }) => holders.get(hashText(hash)) === job_id);
  await freeKeys(
    work,
    ours.map(({ job_id }) => job_id),
  );
  await work.insert(work.t.unique_key, KEY, ours);
  return holders;
}

/** Jobs whose state allows no other life, each with that state. */
async function refusals(
  work: Work,
  met: readonly Met[],
): Promise<(readonly [string, RetryOutcome])[]> {
  const refused = met.filter(({ last }) => !isRetryable(stateBefore(last)));
  const living = refused.filter(({ last }) => !isTerminal(stateBefore(last)));
  const standing = await standingOf(work, living.map(locatorOf));
  return refused.map(({ id, last }) => {
    const state = stateOf(last, standing.get(id) ?? NOWHERE);
    return [id, { status: "refused", state }];
  });
}

/** Those of these jobs that are there, in the order given, and what a record of their next runs needs to know. */
export async function meet(
  work: Work,
  ids: readonly string[],
): Promise<{ met: readonly Met[]; known: Known }> {
  for (;;) {
    const lasts = await lastRuns(work, ids);
    const runs = ids.map((id) => ({ id, run: (lasts.get(id) ?? 0) + 1 }));
    const known = await lookUp(work, runs);
    if (runs.some((run) => isStale(run, known))) continue;
    const met = runs.flatMap(({ id, run }) => {
      const place = known.places.get(runKey(id, run));
      return place === undefined
        ? []
        : [{ id, run, place, last: known.outcomes.get(runKey(id, run - 1)) }];
    });
    return { met, known };
  }
}

/** Between the two looks it was decided, so that it has another next run by now, or it was pruned. */
function isStale({ id, run }: RunOfLease, { outcomes }: Known): boolean {
  return outcomes.has(runKey(id, run)) || (run > 1 && !outcomes.has(runKey(id, run - 1)));
}

/** "requeued", which ends nothing, where there is none. */
export function stateBefore(last: BeforeRow | undefined) {
  return last === undefined ? "requeued" : runStateOf(last.state);
}

export function locatorOf({ id, run, place: { lane, prio, runAt } }: Met): Locator {
  return { id, run, lane, prio, run_at: runAt };
}

export function operatorEvent(id: string, run: number, decision: Decision): Event {
  const nobody = { writer: null, worker: null, startedAt: null };
  return { id, run, decision, ...nobody, result: null, error: null };
}

/** One answer for each id: the first time what became of it, after that what would have been said to whoever came next. */
function inTurn<T>(
  ids: readonly string[],
  outcomes: ReadonlyMap<string, T>,
  after: (first: T) => T,
): T[] {
  const seen = new Set<string>();
  return ids.map((id) => {
    const first = outcomes.get(id)!;
    const outcome = seen.has(id) ? after(first) : first;
    seen.add(id);
    return outcome;
  });
}
