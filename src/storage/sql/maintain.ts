/** Upkeep that any worker may do at any time. */
import type { Promotion } from "../driver.js";
import { glance, write, type Engine, type Work } from "./engine.js";
import { sql } from "./query.js";
import { place } from "./record.js";
import type { Shape } from "./rows.js";

/** Looks first without a transaction: mostly nothing is due. */
export async function promote(engine: Engine, limit: number): Promise<Promotion> {
  const idle = await glance(engine, untilNext);
  if (idle === null || idle > 0) return { moved: 0, nextDueMs: idle };
  return write(engine, async (work) => {
    const due = await work.dialect.takeDue(work.tx, work.now, limit);
    await place(work, due);
    return { moved: due.length, nextDueMs: await untilNext(work) };
  });
}

const NEXT = { now_ms: "int", next_at: "int?" } as const satisfies Shape;

async function untilNext(work: Work): Promise<number | null> {
  const { t, dialect } = work;
  const row = await work.first(
    sql`select ${dialect.now} as now_ms, (select min(run_at) from ${t.delayed}) as next_at`,
    NEXT,
  );
  const { now_ms: now, next_at: next } = row!;
  return next === null ? null : Math.max(0, next - now);
}
