/** `qudo status`: how many jobs are where, and who works. Writes nothing. */
import type { Command } from "commander";
import type { LaneCounts, SessionRow } from "../storage/driver.js";
import type { DatabaseInfo } from "../client/databases.js";
import { addCommand, type CommonOptions } from "./command.js";
import { databaseLines, isOut } from "./database-table.js";
import { openExisting } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { Gaps } from "./gaps.js";
import { painter, plural, print, printJson, type Paint } from "./output.js";
import { table, type Column } from "./table.js";
import { workerJson, workerLines } from "./worker-table.js";

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
        "Of several databases it first shows which can be used; one that cannot is missing in the figures (exit code 1).\n\n" +
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
  const gaps = new Gaps();
  const databases = await qudo.monitor.databases();
  if (databases.length > 0 && databases.every(isOut)) return noneAnswers(databases, json);
  const lanes = await gaps.of(qudo.monitor.counts());
  const workers = await gaps.of(qudo.monitor.workers());
  const [label, schema] = [await qudo.label(), await gaps.of(qudo.schemaVersion())];
  if (json) {
    const several = databases.length > 0 ? { databases } : {};
    const looked = { schema, ...several, lanes, workers: workers.map(workerJson) };
    printJson({ database: label, ...looked, ...gaps.json });
  } else {
    const name = databases.length > 0 ? plural(databases.length, "database") : label;
    const heading = [`${name}, schema ${schema}`, ...databaseLines(databases, Date.now())];
    print([...heading, "", ...statusLines(lanes, workers, Date.now())].join("\n"));
  }
  return gaps.tell();
}

/** There is nothing else to show. */
function noneAnswers(databases: readonly DatabaseInfo[], json: true | undefined): ExitCode {
  if (json) printJson({ databases });
  else print(databaseLines(databases, Date.now()).slice(1).join("\n"));
  return EXIT.failed;
}

function statusLines(
  lanes: readonly LaneCounts[],
  workers: readonly SessionRow[],
  now: number,
): string[] {
  const paint = painter(process.stdout);
  const look = { width: process.stdout.columns, title: paint.bold };
  return [
    ...(lanes.length > 0 ? table(laneColumns(), lanes, look) : ["No jobs yet."]),
    "",
    ...workerLines(workers, now),
  ];
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
