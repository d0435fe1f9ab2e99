/** `qudo overdue`: what takes too long, running or waiting. */
import type { Command } from "commander";
import type { RunningInfo, WaitingInfo } from "../client/overdue.js";
import type { SessionRow } from "../storage/driver.js";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { Gaps } from "./gaps.js";
import { painter, plural, print, printJson } from "./output.js";
import { table, type Column } from "./table.js";
import { again, duration, whole } from "./values.js";
import { brief } from "./when.js";

interface OverdueFlags extends CommonOptions {
  longerThan: string;
  queue?: string;
  kind?: string[];
  in?: string;
  limit: string;
}

export function addOverdue(program: Command): void {
  addCommand(
    program,
    {
      name: "overdue",
      summary: "show what takes too long",
      description:
        "Shows runs that have gone on for too long, and jobs that have been due for too long and wait still, the longest " +
        "first. A run is known here from its first second on.\n\n" +
        "Exit code 1 when there is any, so that a watchdog needs nothing else.",
      examples: [
        ["qudo overdue", "longer than ten minutes"],
        ["qudo overdue --longer-than 1h --kind report", "reports, longer than an hour"],
        ["qudo overdue --longer-than 5m --json || alert", "in a watchdog"],
      ],
    },
    overdue,
  )
    .option("--longer-than <duration>", "what counts as too long", "10m")
    .option("--queue <name>", "of this queue")
    .option("--kind <kind>", "of this kind; given again for several", again)
    .option("--in <name>", "in the database of this name, where there are several")
    .option("--limit <n>", "at most so many waiting ones, up to 10000", "20");
}

async function overdue(flags: OverdueFlags): Promise<ExitCode> {
  const limit = whole(flags.limit, "--limit", 1, 10_000);
  const { queue, kind, in: database } = flags;
  const options = {
    longerThan: duration(flags.longerThan, "--longer-than"),
    ...(queue !== undefined && { queue }),
    ...(kind !== undefined && { kinds: kind }),
    ...(database !== undefined && { database }),
  };
  await using qudo = openExisting(flags.database);
  const gaps = new Gaps();
  const running = await gaps.of(qudo.monitor.overdue(options));
  const waiting: WaitingInfo[] = [];
  let more = false;
  for await (const job of gaps.each(qudo.monitor.late(options)))
    if (waiting.length < limit) waiting.push(job);
    else {
      more = true;
      break;
    }
  if (flags.json) printJson({ running, waiting, more, ...gaps.json });
  else {
    const names = new Map((await gaps.of(qudo.monitor.workers())).map((one) => [one.id, one]));
    print(linesOf(running, waiting, more, names).join("\n"));
  }
  return gaps.tell(running.length + waiting.length > 0 ? EXIT.failed : EXIT.ok);
}

function linesOf(
  running: readonly RunningInfo[],
  waiting: readonly WaitingInfo[],
  more: boolean,
  workers: ReadonlyMap<string, SessionRow>,
): string[] {
  const look = { width: process.stdout.columns, title: painter(process.stdout).bold };
  const now = Date.now();
  return [
    ...(running.length > 0
      ? table(runningColumns(now, workers), running, look)
      : ["Nothing has been running for too long."]),
    "",
    ...(waiting.length > 0
      ? table(waitingColumns(now), waiting, look)
      : ["Nothing has been waiting for too long."]),
    ...(more ? [`… and more than these ${plural(waiting.length, "job")}`] : []),
  ];
}

type Common = Pick<WaitingInfo, "job" | "kind" | "queue" | "database">;

function common<Row extends Common>(): Column<Row>[] {
  return [
    { title: "job", cell: ({ job }) => job, whole: true },
    { title: "kind", cell: ({ kind }) => kind, least: 16 },
    { title: "queue", cell: ({ queue }) => queue, yields: 3 },
    { title: "database", cell: ({ database = "" }) => database, yields: 4 },
  ];
}

function runningColumns(
  now: number,
  workers: ReadonlyMap<string, SessionRow>,
): Column<RunningInfo>[] {
  return [
    ...common<RunningInfo>(),
    { title: "runs for", cell: ({ startedAt }) => brief(now - startedAt.getTime()), whole: true },
    { title: "worker", cell: ({ worker }) => workers.get(worker)?.name ?? worker, yields: 2 },
  ];
}

function waitingColumns(now: number): Column<WaitingInfo>[] {
  return [
    ...common<WaitingInfo>(),
    { title: "waits for", cell: ({ dueAt }) => brief(now - dueAt.getTime()), whole: true },
    { title: "priority", cell: ({ priority }) => priority },
    { title: "failed tries", cell: ({ fails }) => fails },
  ];
}
