/** Runs as a table: of `attempts`, and of `changes`. */
import type { AttemptInfo } from "../client/info.js";
import { humanDuration } from "../core/duration.js";
import type { RunState } from "../core/states.js";
import { painter, type Paint, type Painter } from "./output.js";
import { table, type Column } from "./table.js";
import { firstLine } from "./text.js";
import { relative } from "./when.js";

/** From here on errors have a column; in a narrower terminal each stands below its run. */
const WIDE = 130;

export function attemptTable(attempts: readonly AttemptInfo[], now: number): string[] {
  const paint = painter(process.stdout);
  const width = process.stdout.columns;
  const wide = width === undefined || width >= WIDE;
  const columns: Column<AttemptInfo>[] = [
    { title: "job", cell: ({ job }) => job, whole: true },
    { title: "run", cell: ({ run }) => run },
    { title: "kind", cell: ({ kind }) => kind, least: 16 },
    { title: "queue", cell: ({ queue }) => queue, yields: 3 },
    ...(attempts.some(({ database }) => database !== undefined)
      ? [{ title: "database", cell: ({ database = "" }: AttemptInfo) => database, yields: 4 }]
      : []),
    {
      title: "came to",
      cell: outcome,
      paint: ({ state }) => runPaint(state, paint),
      whole: true,
    },
    { title: "when", cell: ({ endedAt }) => relative(endedAt, now), whole: true },
    { title: "took", cell: took, yields: 2, whole: true },
    ...(wide ? [{ title: "error", cell: errorLine, paint: () => paint.dim }] : []),
  ];
  return table(columns, attempts, {
    width,
    title: paint.bold,
    ...(!wide && { below: errorLine, paintBelow: paint.dim }),
  });
}

/** "abandoned (attempts)". */
export function outcome({ state, reason }: AttemptInfo): string {
  return reason === null ? state : `${state} (${reason})`;
}

export function took({ startedAt, endedAt }: AttemptInfo): string {
  return startedAt === null
    ? ""
    : humanDuration(Math.max(0, endedAt.getTime() - startedAt.getTime()));
}

function errorLine({ error }: AttemptInfo): string {
  return error === null ? "" : firstLine(error);
}

export function runPaint(state: RunState, paint: Painter): Paint | undefined {
  if (state === "done") return paint.green;
  if (state === "failed" || state === "crashed") return paint.yellow;
  return state === "abandoned" ? paint.red : undefined;
}
