/** Pausing a queue, or one kind in it: claims pass over what is paused. */
import type { Driver } from "../driver.js";
import { write, type Engine, type Work } from "./engine.js";
import { sql, type Query } from "./query.js";
import type { Shape } from "./rows.js";

type Target = Parameters<Driver["setPaused"]>[0];

const QUEUE = { name: "text" } as const satisfies Shape;

/** What nobody has enqueued yet can be paused, too: its jobs will wait. */
export async function setPaused(
  engine: Engine,
  { queue, kind }: Target,
  paused: boolean,
): Promise<boolean> {
  if (paused && kind !== null) await engine.lanes.ids([{ queue, kind }]);
  return write(engine, async (work) => {
    const { t } = work;
    if (kind !== null) {
      const lane = sql`queue = ${queue} and kind = ${kind}`;
      return change(work, t.lane, lane, paused);
    }
    // Inserted as one that is not paused: then the change tells who paused it.
    if (paused) await work.insertNew(t.queue, QUEUE, [{ name: queue }]);
    return change(work, t.queue, sql`name = ${queue}`, paused);
  });
}

/** False when it was so already. */
async function change(work: Work, table: Query, which: Query, paused: boolean): Promise<boolean> {
  if (paused)
    return (
      (await work.run(
        sql`update ${table} set paused_at = ${work.now} where ${which} and paused_at is null`,
      )) > 0
    );
  // What has waited through a pause can be claimed at once.
  work.tx.announce();
  const resume = sql`update ${table} set paused_at = null where ${which} and paused_at is not null`;
  return (await work.run(resume)) > 0;
}
