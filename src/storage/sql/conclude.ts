/** Ending leases from outside: whatever in them is undecided is decided, keys and running rows go, the leases go. */
import type { Counters, Decision } from "../../core/outcome.js";
import { isTerminal, runStateOf, type RunState } from "../../core/states.js";
import type { LeaseRow } from "./dialect.js";
import type { Work } from "./engine.js";
import { endedBy, freeKeys } from "./keys.js";
import { freeSlots } from "./limits.js";
import { deciding, lookUp, record, runKey } from "./record.js";
import { deleteRunning, runningOf } from "./running.js";
import { sql } from "./query.js";

export type Decided = Readonly<Partial<Record<RunState, number>>>;

/** Called inside a write that has locked these leases. Says how many runs it decided, by their new state. */
export async function conclude(
  work: Work,
  leases: readonly LeaseRow[],
  decide: (run: Counters, wasRunning: boolean) => Decision,
): Promise<Decided> {
  const runs = leases.flatMap(({ worker, entries }) => entries.map((run) => ({ ...run, worker })));
  const [known, running] = await Promise.all([lookUp(work, runs), runningOf(work, runs)]);
  const { outcomes, places } = known;
  const living = runs.filter(({ id, run }) => places.has(runKey(id, run)));
  const events = living.map(({ id, run, worker }) => {
    const key = runKey(id, run);
    const startedAt = running.get(key)?.started_at ?? null;
    const decision = decide(places.get(key)!.counters, startedAt !== null);
    return { id, run, worker, decision, startedAt, writer: null, result: null, error: null };
  });
  const mine = deciding(events, known);
  const keyed = ({ id, run }: (typeof runs)[number]): boolean => places.get(runKey(id, run))!.keyed;
  const ended = living.filter((run, i) => {
    const before = outcomes.get(runKey(run.id, run.run));
    const state = before && runStateOf(before.state);
    return !mine[i] && state !== undefined && isTerminal(state) && keyed(run);
  });
  const keys = events.filter(({ decision }, i) => mine[i] && isTerminal(decision.state));
  const freed = [...keys.filter(keyed).map(({ id }) => id), ...(await endedBy(work, ended))];
  await Promise.all([
    record(work, events, known),
    deleteRunning(work, runs),
    known.slots ? freeSlots(work, runs) : undefined,
    freeKeys(work, freed),
    dropLeases(work, leases),
  ]);
  return tallyOf(events.filter((_, i) => mine[i]));
}

/** Called inside a write that has locked them. */
export function dropLeases(work: Work, leases: readonly Pick<LeaseRow, "id">[]): Promise<void> {
  const { t, dialect } = work;
  return work.runOf(
    leases.map(({ id }) => id),
    (some) => sql`delete from ${t.lease} where ${dialect.among("id", "id", some)}`,
  );
}

function tallyOf(events: readonly { readonly decision: Decision }[]): Decided {
  const decided: Partial<Record<RunState, number>> = {};
  for (const { decision } of events) decided[decision.state] = (decided[decision.state] ?? 0) + 1;
  return decided;
}
