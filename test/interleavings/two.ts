/** Two drivers on one new database, for the sequences in which whole transactions follow one another. */
import { afterEach } from "vitest";
import type { Decision } from "../../src/core/outcome.js";
import type {
  ClaimedJob,
  Driver,
  PruneStep,
  SettleGroup,
  SettleOutcome,
} from "../../src/storage/driver.js";
import type { Engine } from "./engines.js";
import { id, newSession, wants } from "./scenario.js";
import type { Place } from "./stage.js";

export interface Two extends Pick<Place, "clock" | "rows"> {
  readonly a: Driver;
  readonly b: Driver;
}

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** With the sessions A and B open, each on its own connection. */
export async function openTwo(engine: Engine): Promise<Two> {
  const place = await engine.place();
  closers.push(() => place.close());
  const { driver: a, clock } = place;
  const b = await place.another();
  await a.migrate();
  await a.openSession(newSession("A"));
  await b.openSession(newSession("B"));
  return { a, b, clock, rows: (sql) => place.rows(sql) };
}

export async function claim(
  driver: Driver,
  session: string,
  lease: string,
  limit = 1_000,
): Promise<readonly ClaimedJob[]> {
  const [want] = wants("k", "other");
  const request = { lease: id(lease), session: id(session), wants: [{ ...want!, limit }] };
  return (await driver.trip({ settle: [], claim: request })).claimed;
}

export type Ended = readonly [job: string, run: number, decision: Decision];

export function group(
  session: string,
  lease: string,
  ended: readonly Ended[],
  close = true,
): SettleGroup {
  const settlements = ended.map(([job, run, decision]) => ({
    job: id(job),
    run,
    ...decision,
    elapsedMs: null,
    result: null,
    error: null,
  }));
  return { session: id(session), lease: id(lease), settlements, close };
}

export async function settle(
  driver: Driver,
  ended: SettleGroup,
): Promise<readonly SettleOutcome[]> {
  return (await driver.trip({ settle: [ended], claim: null })).settled[0]!;
}

/** Ends a session as a reaper does that found its heartbeat too old. */
export async function reapExpired(driver: Driver, session: string): Promise<string> {
  const row = (await driver.sessions()).find((s) => s.id === id(session));
  const dead = {
    id: id(session),
    beat: row?.beat ?? 0,
    cause: "expired",
    leaseMs: 30_000,
  } as const;
  return (await driver.reap([dead]))[0]!.status;
}

/** Every scan of jobs from its beginning, nothing kept longer than it must be. Returns how many jobs went. */
export async function pruneAll(driver: Driver, limit = 100): Promise<number> {
  let gone = 0;
  for (const scan of ["done", "other", "own"] as const) {
    let step: PruneStep = { scan, keepMs: 0, after: null, limit };
    for (let more = true; more;) {
      const outcome = await driver.prune(step);
      gone += outcome.pruned;
      more = outcome.more;
      step = { ...step, after: outcome.after };
    }
  }
  return gone;
}
