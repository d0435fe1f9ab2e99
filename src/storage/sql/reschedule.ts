/** Another time, or another priority, for jobs that wait. */
import { afterReschedule } from "../../core/outcome.js";
import { isTerminal } from "../../core/states.js";
import type { Reschedule, RescheduleOutcome } from "../driver.js";
import { write, type Engine, type Work } from "./engine.js";
import { claimedMeanwhile } from "./errors.js";
import { stateOf } from "./look.js";
import { locatorOf, meet, operatorEvent, stateBefore, takeAway, type Met } from "./operate.js";
import { movedTo, type Moved } from "./places.js";
import { recordMoves } from "./record.js";
import { NOWHERE, standingOf } from "./standing.js";

/** The same job more than once in one call: one change after the other. */
export async function reschedule(
  engine: Engine,
  changes: readonly Reschedule[],
): Promise<RescheduleOutcome[]> {
  if (changes.length === 0) return [];
  return write(engine, async (work) => {
    const answers = new Map<Reschedule, RescheduleOutcome>();
    for (const round of rounds(changes))
      for (const [change, outcome] of await rescheduleAll(work, round))
        answers.set(change, outcome);
    return changes.map((change) => answers.get(change)!);
  });
}

/** Each with every job at most once: mostly there is one. */
function rounds(changes: readonly Reschedule[]): Reschedule[][] {
  const seen = new Map<string, number>();
  const all: Reschedule[][] = [];
  for (const change of changes) {
    const n = seen.get(change.id) ?? 0;
    seen.set(change.id, n + 1);
    (all[n] ??= []).push(change);
  }
  return all;
}

async function rescheduleAll(
  work: Work,
  changes: readonly Reschedule[],
): Promise<ReadonlyMap<Reschedule, RescheduleOutcome>> {
  const { met, known } = await meet(
    work,
    changes.map(({ id }) => id),
  );
  const living = met.filter(({ last }) => !isTerminal(stateBefore(last)));
  const standing = await standingOf(work, living.map(locatorOf));
  const byId = new Map(met.map((one) => [one.id, one]));
  const moves: { one: Met; to: Moved }[] = [];
  const outcomes = new Map<Reschedule, RescheduleOutcome>();
  for (const change of changes) {
    const one = byId.get(change.id);
    const stands = standing.get(change.id) ?? NOWHERE;
    if (one === undefined) outcomes.set(change, { status: "absent" });
    else if (stands.waiting) {
      const to = movedTo(one.place, change, work.now);
      if (to !== null) moves.push({ one, to });
      outcomes.set(change, { status: "rescheduled" });
    } else outcomes.set(change, { status: "refused", state: stateOf(one.last, stands) });
  }
  const events = moves.map(({ one: { id, run, place }, to }) => ({
    ...operatorEvent(id, run, afterReschedule(place.counters)),
    to,
  }));
  await recordMoves(work, events, known, async () => {
    const waited = await takeAway(
      work,
      moves.map(({ one }) => locatorOf(one)),
    );
    if (waited.length < moves.length) throw claimedMeanwhile();
  });
  return outcomes;
}
