/** Upkeep that any worker may do at any time. */
import type { Promotion } from "../driver.js";
import { idText } from "../../core/ids.js";
import type { PlacedRow, WaitingRow } from "./dialect.js";
import { glance, write, type Engine, type Work } from "./engine.js";
import { sql } from "./query.js";
import { place } from "./record.js";
import type { Shape } from "./rows.js";

/** Looks first without a transaction: mostly nothing is due. */
export async function promote(engine: Engine, limit: number): Promise<Promotion> {
  const { nextDueMs: idle, ruled } = await glance(engine, next);
  if (idle === null || idle > 0) return { moved: 0, nextDueMs: idle };
  return write(engine, async (work) => {
    const due = await work.dialect.takeDue(work.tx, work.now, limit);
    await place(work, ruled ? await withKeys(work, due) : due);
    const { nextDueMs } = await next(work);
    return { moved: due.length, nextDueMs };
  });
}

const KEY = { id: "id", limit_hash: "bytes" } as const satisfies Shape;

/** Each with what it waits for its turn under. Where nobody ever declared a limit this is not asked: there are no turns. */
async function withKeys(work: Work, rows: readonly WaitingRow[]): Promise<readonly PlacedRow[]> {
  const { t, dialect } = work;
  const find = (some: readonly string[]) =>
    sql`select id, limit_hash from ${t.job} where limit_hash is not null and ${dialect.among("id", "id", some)}`;
  const ids = rows.map((row) => row.id);
  const hashes = new Map(
    (await work.allOf(ids, find, KEY)).map((row) => [row.id, idText(row.limit_hash)]),
  );
  if (hashes.size === 0) return rows;
  return rows.map((row) => ({ ...row, limit_hash: hashes.get(row.id) ?? null }));
}

const NEXT = { now_ms: "int", next_at: "int?", ruled: "flag" } as const satisfies Shape;

/** When the next job is due, and whether anybody ever declared a limit. */
async function next(work: Work): Promise<{ nextDueMs: number | null; ruled: boolean }> {
  const { t, dialect } = work;
  const row = await work.first(
    sql`select ${dialect.now} as now_ms, (select min(run_at) from ${t.delayed}) as next_at,
      exists (select 1 from ${t.rule}) as ruled`,
    NEXT,
  );
  const { now_ms: now, next_at: at, ruled } = row!;
  return { nextDueMs: at === null ? null : Math.max(0, at - now), ruled };
}
