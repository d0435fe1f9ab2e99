/** The last run of each of many jobs. */
import type { Work } from "./engine.js";
import { sql } from "./query.js";
import type { Shape } from "./rows.js";

const LAST = { job_id: "id", run: "int" } as const satisfies Shape;

/** The last run that has an outcome, by id; nothing for jobs that have none. */
export async function lastRuns(
  work: Work,
  ids: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const { t, dialect } = work;
  const find = (some: readonly string[]) =>
    sql`select job_id, max(run) as run from ${t.outcome} where ${dialect.among("job_id", "id", some)}
      group by job_id`;
  const rows = await work.allOf(ids, find, LAST);
  return new Map(rows.map(({ job_id, run }) => [job_id, run]));
}
