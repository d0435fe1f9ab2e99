/** Pausing a queue, or one kind in it: claims pass over what is paused. */
import type { Driver } from "../driver.js";
import { write, type Engine } from "./engine.js";
import { SQL } from "./statements.js";

type Target = Parameters<Driver["setPaused"]>[0];

/** What nobody has enqueued yet can be paused, too: its jobs will wait. */
export function setPaused(engine: Engine, target: Target, paused: boolean): Promise<boolean> {
  const { db } = engine;
  const { queue, kind } = target;
  return write(engine, (now) => {
    // What has waited through a pause can be claimed at once.
    if (!paused) db.announce();
    if (kind === null)
      return (paused ? db.run(SQL.pauseQueue, queue, now) : db.run(SQL.resumeQueue, queue)) > 0;
    if (!paused) return db.run(SQL.resumeLane, queue, kind) > 0;
    return db.run(SQL.pauseLane, now, engine.lanes.id(queue, kind)) > 0;
  });
}
