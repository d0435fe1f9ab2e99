/** `qudo status`: how many jobs are where, and who works. Writes nothing. */
import type { Command } from "commander";
import { humanDuration } from "../core/duration.js";
import type { LaneCounts, SessionRow } from "../storage/driver.js";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { painter, print, printJson, type Paint } from "./output.js";
import { table, type Column } from "./table.js";

export function addStatus(program: Command): void {
  addCommand(
    program,
    {
      name: "status",
      summary: "show queues and workers",
      description:
        "Shows how many jobs each queue and kind has in each state, and which workers there are.\n\n" +
        "Pending and failed jobs wait for their next run; delayed counts those of them that are not due yet. " +
        "Reserved ones are held by a worker, running ones have run for a second or more.\n\n" +
        "It only looks: a database that is not there, or has no tables, is left so (exit code 1).",
      examples: [
        ["qudo status", "queues and workers of ./qudo.db"],
        ["qudo status --database sqlite:/var/lib/app/jobs.db", "of another file"],
        [
          "qudo status --json | jq '[.lanes[].failed] | add'",
          "failed jobs that wait for another try",
        ],
      ],
    },
    status,
  );
}

async function status({ database, json }: CommonOptions): Promise<ExitCode> {
  await using qudo = openExisting(database);
  const lanes = await qudo.monitor.counts();
  const workers = await qudo.monitor.workers();
  const [label, schema] = [await qudo.label(), await qudo.schemaVersion()];
  if (json) printJson({ database: label, schema, lanes, workers: workers.map(workerJson) });
  else print(statusText(`${label}, schema ${schema}`, lanes, workers, Date.now()));
  return EXIT.ok;
}

/** Moments as text, for other programs; `beat` and `process` are nobody's business. */
function workerJson({
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

function statusText(
  heading: string,
  lanes: readonly LaneCounts[],
  workers: readonly SessionRow[],
  now: number,
): string {
  const paint = painter(process.stdout);
  const look = { width: process.stdout.columns, title: paint.bold };
  return [
    heading,
    "",
    ...(lanes.length > 0 ? table(laneColumns(), lanes, look) : ["No jobs yet."]),
    "",
    ...(workers.length > 0 ? table(workerColumns(now), workers, look) : ["No workers."]),
  ].join("\n");
}

const STATES = [
  "pending",
  "failed",
  "delayed",
  "reserved",
  "running",
  "done",
  "abandoned",
  "cancelled",
] as const;

function laneColumns(): Column<LaneCounts>[] {
  const paint = painter(process.stdout);
  const alarms: Partial<Record<string, Paint>> = { failed: paint.yellow, abandoned: paint.red };
  return [
    { title: "queue", cell: ({ queue }) => queue },
    { title: "kind", cell: ({ kind }) => kind },
    ...STATES.map((state) => ({
      title: state,
      cell: (lane: LaneCounts) => lane[state],
      paint: (lane: LaneCounts) => (lane[state] === 0 ? paint.dim : alarms[state]),
    })),
    { title: "", cell: ({ paused }) => (paused ? "paused" : ""), paint: () => paint.yellow },
  ];
}

function workerColumns(now: number): Column<SessionRow>[] {
  const paint = painter(process.stdout);
  const age = ({ seenAt }: SessionRow): number => Math.max(0, now - seenAt);
  return [
    { title: "worker", cell: ({ name }) => name },
    { title: "pid", cell: ({ pid }) => pid },
    { title: "host", cell: ({ host }) => host },
    { title: "kinds", cell: ({ kinds }) => kinds.join(", ") },
    {
      title: "last heartbeat",
      cell: (worker) => `${humanDuration(age(worker))} ago`,
      paint: (worker) => (age(worker) > worker.leaseMs ? paint.red : undefined),
    },
    { title: "leases", cell: ({ leases }) => leases },
  ];
}
