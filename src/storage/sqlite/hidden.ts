/**
 * A finished job that is past its own keep time is shown to nobody, though it stays in the file until it is pruned: a resend
 * must find it. Said twice, for what reads one job and for what reads many.
 */
import { isTerminal, RUN_STATES, runStateOf } from "../../core/states.js";

export interface KeepColumns {
  keep_ms: number | null;
  keep_other_ms: number | null;
}

export interface EndColumns {
  state: number;
  ended_at: number;
}

export function isHidden(job: KeepColumns, last: EndColumns | undefined, now: number): boolean {
  if (last === undefined || !isTerminal(runStateOf(last.state))) return false;
  const keep = last.state === RUN_STATES.done ? job.keep_ms : job.keep_other_ms;
  return keep !== null && last.ended_at + keep <= now;
}

/** The job `j` was kept long enough after its terminal outcome `o`; null where it has no keep time. One value: now. */
const KEPT = `o.ended_at + case o.state when ${RUN_STATES.done} then j.keep_ms else j.keep_other_ms end <= ?`;

/** For a query over terminal outcomes `o`, each its job's last. Without `prune_at` there is no keep time: most look no further. */
export const ENDED_SHOWN = `(o.prune_at is null
  or not exists (select 1 from qudo_job j where j.id = o.job_id and ${KEPT}))`;

/** For a query over any outcomes `a`. */
export const SHOWN = `not exists (select 1 from qudo_outcome o join qudo_job j on j.id = o.job_id
  where o.job_id = a.job_id and o.prune_at is not null and ${KEPT}
    and not exists (select 1 from qudo_outcome n where n.job_id = o.job_id and n.run > o.run))`;
