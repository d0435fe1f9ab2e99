/** Jobs as a table: of `list`, and of what `retry` and `cancel` would do. */
import type { JobInfo } from "../client/info.js";
import { lastError, statePaint, tries, when } from "./job-text.js";
import { painter } from "./output.js";
import { table, type Column } from "./table.js";

/** From here on errors have a column; in a narrower terminal each stands below its job. */
const WIDE = 130;

export function jobTable(jobs: readonly JobInfo[], now: number): string[] {
  const paint = painter(process.stdout);
  const width = process.stdout.columns;
  const wide = width === undefined || width >= WIDE;
  const columns: Column<JobInfo>[] = [
    { title: "id", cell: ({ id }) => id, whole: true },
    { title: "kind", cell: ({ kind }) => kind, least: 16 },
    { title: "queue", cell: ({ queue }) => queue, yields: 3 },
    ...(jobs.some(({ database }) => database !== undefined)
      ? [{ title: "database", cell: ({ database = "" }: JobInfo) => database, yields: 4 }]
      : []),
    {
      title: "state",
      cell: ({ state }) => state,
      paint: ({ state }) => statePaint(state, paint),
      whole: true,
    },
    { title: "tries", cell: tries, yields: 2, whole: true },
    { title: "when", cell: (job) => when(job, now), yields: 1, whole: true },
    ...(wide ? [{ title: "last error", cell: lastError, paint: () => paint.dim }] : []),
  ];
  return table(columns, jobs, {
    width,
    title: paint.bold,
    ...(!wide && { below: lastError, paintBelow: paint.dim }),
  });
}
