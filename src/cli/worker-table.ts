/** Workers as `qudo status` and `qudo workers` show them. */
import { humanDuration } from "../core/duration.js";
import type { SessionRow } from "../storage/driver.js";
import { painter } from "./output.js";
import { table, type Column } from "./table.js";

/** Moments as text, for other programs; `beat` and `process` are nobody's business. */
export function workerJson({
  seenAt,
  startedAt,
  beat: _beat,
  process: _process,
  ...worker
}: SessionRow): object {
  return { ...worker, startedAt: moment(startedAt), seenAt: moment(seenAt) };
}

function moment(ms: number): string {
  return new Date(ms).toISOString();
}

/** `ids`: with those of their sessions. */
export function workerLines(
  workers: readonly SessionRow[],
  now: number,
  { ids = false } = {},
): string[] {
  const look = { width: process.stdout.columns, title: painter(process.stdout).bold };
  return workers.length > 0 ? table(workerColumns(now, ids), workers, look) : ["No workers."];
}

function workerColumns(now: number, ids: boolean): Column<SessionRow>[] {
  const paint = painter(process.stdout);
  const age = ({ seenAt }: SessionRow): number => Math.max(0, now - seenAt);
  return [
    { title: "worker", cell: ({ name }) => name },
    { title: "database", cell: ({ database = "" }) => database },
    { title: "pid", cell: ({ pid }) => pid },
    { title: "host", cell: ({ host }) => host },
    { title: "kinds", cell: ({ kinds }) => kinds.join(", ") },
    {
      title: "last heartbeat",
      cell: (worker) => `${humanDuration(age(worker))} ago`,
      paint: (worker) => (age(worker) > worker.leaseMs ? paint.red : undefined),
    },
    { title: "leases", cell: ({ leases }) => leases },
    ...(ids ? [{ title: "session", cell: ({ id }: SessionRow) => id }] : []),
  ];
}
