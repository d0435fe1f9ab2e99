/** What is hidden (storage/sql/hidden.ts), in this engine's words. */
import { SHOWN_UNTIL } from "../sql/hidden.js";

/** One value: now. */
const KEPT = `${SHOWN_UNTIL} <= ?`;

/** For a query over terminal outcomes `o`, each its job's last. Without `prune_at` there is no keep time: most look no further. */
export const ENDED_SHOWN = `(o.prune_at is null
  or not exists (select 1 from qudo_job j where j.id = o.job_id and ${KEPT}))`;

/** For a query over any outcomes `a`. */
export const SHOWN = `not exists (select 1 from qudo_outcome o join qudo_job j on j.id = o.job_id
  where o.job_id = a.job_id and o.prune_at is not null and ${KEPT}
    and not exists (select 1 from qudo_outcome n where n.job_id = o.job_id and n.run > o.run))`;
