/** Upkeep that any worker may do at any time. */
import type { Promotion } from "../driver.js";
import type { Connection } from "./connection.js";
import { place, read, write, type Engine } from "./engine.js";
import { SQL } from "./statements.js";

interface DelayedRow {
  run_at: number;
  id: Uint8Array;
  lane: number;
  prio: number;
  run: number;
  fails: number;
  crashes: number;
}

/** Looks first without the write lock: mostly nothing is due. */
export async function promote(engine: Engine, limit: number): Promise<Promotion> {
  const { db } = engine;
  const idle = await read(engine, (now) => untilNext(engine, now));
  if (idle === null || idle > 0) return { moved: 0, nextDueMs: idle };
  return write(engine, (now) => {
    const due = db.all<DelayedRow>(SQL.due, now, limit);
    const limited = db.get(SQL.anyRule) !== undefined;
    for (const { run_at: runAt, ...row } of due) {
      db.run(SQL.deleteDelayed, runAt, row.id);
      place(db, { ...row, runAt, limitHash: limited ? limitHashOf(db, row.id) : null }, now);
    }
    return { moved: due.length, nextDueMs: untilNext(engine, now) };
  });
}

function limitHashOf(db: Connection, id: Uint8Array): Uint8Array | null {
  return db.get<{ limit_hash: Uint8Array | null }>(SQL.limitHash, id)?.limit_hash ?? null;
}

function untilNext({ db }: Engine, now: number): number | null {
  const runAt = db.get<{ run_at: number | null }>(SQL.nextDue)?.run_at ?? null;
  return runAt === null ? null : Math.max(0, runAt - now);
}
