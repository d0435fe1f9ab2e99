/** Counting: how many jobs stand where, and what happened per minute. */
import { ENQUEUED, RUN_STATES, runStateOf } from "../../core/states.js";
import type { CountQuery, LaneCounts, TallyRow } from "../driver.js";
import { read, type Engine, type Work } from "./engine.js";
import { endedShown } from "./hidden.js";
import { lanesOf } from "./lane-list.js";
import { sql, type Query } from "./query.js";
import type { RowOf, Shape } from "./rows.js";
import { heldRuns, leasedRuns } from "./standing.js";
import { startOfMinute } from "./tally.js";
import { Totals } from "./views.js";

export function counts(engine: Engine, query: CountQuery): Promise<LaneCounts[]> {
  return read(
    engine,
    async (work) => {
      const totals = new Totals(await lanesOf(work, {}), query);
      for (const table of ["ready", "held", "delayed"] as const)
        for (const { lane, n, failed, first, later } of await waitingIn(work, work.t[table])) {
          totals.add(lane, "pending", n - failed);
          totals.add(lane, "failed", failed);
          totals.add(lane, "delayed", later);
          if (first <= work.now) totals.waits(lane, first);
        }
      for (const { lane, running } of await heldRuns(work, await leasedRuns(work)))
        totals.add(lane, running ? "running" : "reserved", 1);
      for (const { lane, state, n } of query.ended === false ? [] : await finished(work))
        totals.add(lane, runStateOf(state) as "done" | "abandoned" | "cancelled", n);
      return totals.rows;
    },
    { patient: true },
  );
}

const WAITING = {
  lane: "int",
  n: "int",
  failed: "int",
  first: "int",
  later: "int",
} as const satisfies Shape;

function waitingIn(work: Work, table: Query): Promise<RowOf<typeof WAITING>[]> {
  const { outcome } = work.t;
  return work.all(
    sql`select w.lane, count(*) as n, sum(case when w.run > 1 and exists (
        select 1 from ${outcome} o where o.job_id = w.id and o.run = w.run - 1
          and o.state in (${RUN_STATES.failed}, ${RUN_STATES.crashed})) then 1 else 0 end) as failed,
        min(w.run_at) as first, sum(case when w.run_at > ${work.now} then 1 else 0 end) as later
      from ${table} w group by w.lane`,
    WAITING,
  );
}

const FINISHED = { lane: "int", state: "int", n: "int" } as const satisfies Shape;

/** A terminal outcome counts unless the job was requeued after it. */
function finished(work: Work): Promise<RowOf<typeof FINISHED>[]> {
  const { outcome } = work.t;
  return work.all(
    sql`select o.lane, o.state, count(*) as n from ${outcome} o
      where o.state in (${RUN_STATES.done}, ${RUN_STATES.abandoned}, ${RUN_STATES.cancelled})
        and (o.state = ${RUN_STATES.done}
          or not exists (select 1 from ${outcome} n where n.job_id = o.job_id and n.run = o.run + 1))
        and ${endedShown(work)}
      group by o.lane, o.state`,
    FINISHED,
  );
}

const COUNTED = {
  minute: "int",
  queue: "text",
  kind: "text",
  event: "int",
  n: "int",
} as const satisfies Shape;

/** The minute that `since` lies in comes whole: it cannot be told apart. */
export function tally(engine: Engine, since: number): Promise<TallyRow[]> {
  return read(engine, async (work) => {
    const { t } = work;
    const rows = await work.all(
      sql`select t.minute, l.queue, l.kind, t.event, sum(t.n) as n from ${t.tally} t
        join ${t.lane} l on l.id = t.lane where t.minute >= ${startOfMinute(since)}
        group by t.minute, l.queue, l.kind, t.event order by t.minute, l.queue, l.kind, t.event`,
      COUNTED,
    );
    return rows.map((row) => ({
      ...row,
      event: row.event === ENQUEUED ? "enqueued" : runStateOf(row.event),
    }));
  });
}
