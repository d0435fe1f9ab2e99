/** Lanes as those who look see them. */
import type { Work } from "./engine.js";
import { sql } from "./query.js";
import type { RowOf, Shape } from "./rows.js";
import { isOf, type LaneFilter } from "./views.js";

const LANE = { id: "int", queue: "text", kind: "text", paused: "flag" } as const satisfies Shape;

/** Lanes that pass a filter, by id. */
export async function lanesOf({ t, tx }: Work, filter: LaneFilter): Promise<RowOf<typeof LANE>[]> {
  const rows = await tx.all(
    sql`select l.id, l.queue, l.kind,
        case when l.paused_at is not null or q.paused_at is not null then 1 else 0 end as paused
      from ${t.lane} l left join ${t.queue} q on q.name = l.queue order by l.id`,
    LANE,
  );
  return rows.filter((lane) => isOf(lane, filter));
}
