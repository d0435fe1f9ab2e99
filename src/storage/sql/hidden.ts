/**
 * A finished job that is past its own keep time is shown to nobody, though it stays in the database until it is pruned: a
 * resend must find it. Said twice, for what reads one job and for what reads many.
 */
import { isTerminal, RUN_STATES, runStateOf } from "../../core/states.js";
import { raw, sql, type Query } from "./query.js";
import type { Work } from "./engine.js";

export interface KeepColumns {
  readonly keep_ms: number | null;
  readonly keep_other_ms: number | null;
}

export interface EndColumns {
  readonly state: number;
  readonly ended_at: number;
}

export function isHidden(job: KeepColumns, last: EndColumns | undefined, now: number): boolean {
  if (last === undefined || !isTerminal(runStateOf(last.state))) return false;
  const keep = last.state === RUN_STATES.done ? job.keep_ms : job.keep_other_ms;
  return keep !== null && last.ended_at + keep <= now;
}

/** Until when the job `j` is shown after its terminal outcome `o`; null where it has no keep time. */
export const SHOWN_UNTIL = `o.ended_at + case o.state when ${RUN_STATES.done} then j.keep_ms else j.keep_other_ms end`;

const UNTIL = raw(SHOWN_UNTIL);

/** For a query over terminal outcomes `o`, each its job's last. Without `prune_at` there is no keep time: most look no further. */
export function endedShown({ t, now }: Work): Query {
  return sql`(o.prune_at is null
    or not exists (select 1 from ${t.job} j where j.id = o.job_id and ${UNTIL} <= ${now}))`;
}

/**
 * For a query over any outcomes `a`. One value for each row, which no server takes for a join: with statistics of another day
 * such a join went over all jobs that have a keep time.
 */
export function shown({ t, now }: Work): Query {
  return sql`coalesce((select case when o.prune_at is null then null else ${UNTIL} end
    from ${t.outcome} o join ${t.job} j on j.id = o.job_id where o.job_id = a.job_id
    order by o.run desc limit 1), ${now + 1}) > ${now}`;
}
