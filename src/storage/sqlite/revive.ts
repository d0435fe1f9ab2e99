/** New jobs of failed runs. A line 0 in the log of such a run, which nobody is shown, names the job: it stays as long as the run does. */
import { idBytes, idText } from "../../core/ids.js";
import { hasFailed } from "../../core/outcome.js";
import { LOG_LEVELS, runStateOf } from "../../core/states.js";
import type { Revival, RevivalOutcome } from "../driver.js";
import { NOBODY } from "../sql/lease.js";
import { place, write, type Engine } from "./engine.js";
import { takeKey } from "./enqueue.js";
import { SQL } from "./statements.js";

export function enqueueFromFailed(
  engine: Engine,
  revivals: readonly Revival[],
): Promise<RevivalOutcome[]> {
  return write(engine, (now) => revivals.map((revival) => reviveOne(engine, revival, now)));
}

function reviveOne(engine: Engine, revival: Revival, now: number): RevivalOutcome {
  const { db } = engine;
  const [id, origin] = [idBytes(revival.id), idBytes(revival.job)];
  if (db.get(SQL.jobExists, id) !== undefined) return { status: "duplicate" };
  const job = db.get<OriginRow>(SQL.origin, origin);
  const found = db.get<{ state: number }>(SQL.outcome, origin, revival.run);
  if (job === undefined || found === undefined) return { status: "absent" };
  const state = runStateOf(found.state);
  if (!hasFailed(state)) return { status: "refused", state };
  const mark = db.get<{ line: string }>(SQL.retriedBy, origin, revival.run);
  if (mark !== undefined)
    // Its own: it was made, has ended, and was pruned since.
    return mark.line === revival.id
      ? { status: "duplicate" }
      : { status: "already", by: mark.line };
  const holder = job.unique_hash === null ? null : takeKey(engine, id, job.unique_hash);
  if (holder !== null) return { status: "unique", holder: idText(holder) };
  db.run(SQL.insertLine, revival.run, 0, now, LOG_LEVELS.info, revival.id, origin);
  db.run(SQL.insertLike, id, now, now, origin, revival.run, origin);
  engine.tally.enqueued(job.lane, NOBODY);
  place(db, { id, ...job, runAt: now, run: 1, fails: 0, crashes: 0 }, now);
  return { status: "inserted" };
}

interface OriginRow {
  readonly lane: number;
  readonly prio: number;
  readonly unique_hash: Uint8Array | null;
}
