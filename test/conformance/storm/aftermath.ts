/** After a storm: everything comes to its end, and what was told is held against what is there. */
import { afterSuccess } from "../../../src/core/outcome.js";
import type { Driver } from "../../../src/storage/driver.js";
import { newId } from "../../../src/storage/ids.js";
import { newSession, settlement, type Clock } from "../../../src/testing/index.js";
import { KINDS, QUEUES } from "./actor.js";
import { endName, runName, stateOf, type Ledger } from "./ledger.js";

/** After the storm: every job comes to its end. */
export async function calm(driver: Driver, clock: Clock | undefined): Promise<void> {
  for (const { id, beat } of await driver.sessions())
    await driver.reap([{ id, beat, cause: "gone", leaseMs: 0 }]);
  clock?.advance(60_000);
  for (let moved = 1; moved > 0;) ({ moved } = await driver.promote(1_000));
  const session = newSession({ kinds: KINDS });
  await driver.openSession(session);
  const wants = QUEUES.map((queue) => ({ queue, kinds: KINDS, limit: 100 }));
  for (;;) {
    const lease = newId();
    const claim = { lease, session: session.id, wants };
    const { claimed, more } = await driver.trip({ settle: [], claim });
    if (claimed.length === 0 && !more) break;
    const settlements = claimed.map((job) => settlement(job, afterSuccess(job)));
    const group = { lease, session: session.id, settlements, close: true };
    await driver.trip({ settle: [group], claim: null });
  }
  await driver.closeSession(session.id);
}

/** What was told, held against what is there. */
export async function compare(driver: Driver, ledger: Ledger): Promise<string[]> {
  const wrong = [...ledger.wrong];
  for (const id of ledger.early) wrong.push(`${id} was claimed twice, and not inserted again`);
  for (const { invariant, job, run, detail } of await driver.audit())
    wrong.push(`audit: ${invariant} ${job}/${run}: ${detail}`);
  const there = new Set<string>();
  for (let at = 0; at < ledger.inserted.length; at += 500) {
    const ids = ledger.inserted.slice(at, at + 500);
    for (const [i, ending] of (await driver.endings(ids)).entries()) {
      const id = ids[i]!;
      if (ending.status === "living") wrong.push(`${id} has not come to its end`);
      if (ending.status === "absent" && !ledger.ended.has(id)) wrong.push(`${id} was lost`);
      if (ending.status !== "absent") there.add(id);
    }
  }
  const attempts = await attemptsOf(driver);
  for (const { run, end, outcome } of ledger.settled) {
    const found = attempts.get(run);
    // Long histories are cut at their front, and what has ended is pruned.
    if (found === undefined) {
      if (there.has(run.split("/", 1)[0]!) && outcome === "accepted")
        wrong.push(`${run} was accepted as ${end} and has no outcome`);
    } else if (outcome === "accepted" && stateOf(found) !== stateOf(end))
      wrong.push(`${run} was accepted as ${end} and is ${found}`);
    // Others give back, too, in the name of the session that held it.
    else if (outcome === "lost" && found === end && !end.includes("released"))
      wrong.push(`${run} was lost, and is ${found}`);
  }
  return wrong;
}

async function attemptsOf(driver: Driver): Promise<ReadonlyMap<string, string>> {
  const attempts = new Map<string, string>();
  for (let after: string | null = null; ;) {
    const page = await driver.listAttempts({ limit: 1_000, ...(after !== null && { after }) });
    for (const row of page.rows) attempts.set(runName(row), endName(row.session, row));
    after = page.next;
    if (after === null) return attempts;
  }
}
