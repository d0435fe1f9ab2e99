/** `qudo status`: how many jobs are where, and who works. Writes nothing. */
import type { Command } from "commander";
import { durationMs } from "../core/duration.js";
import { InvalidInputError } from "../core/errors.js";
import type { DatabaseInfo } from "../client/databases.js";
import type { Qudo } from "../qudo.js";
import { addCommand, type CommonOptions } from "./command.js";
import { databaseLines, isOut } from "./database-table.js";
import { openExisting } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { Gaps } from "./gaps.js";
import { plural, print, printJson } from "./output.js";
import { laneLines } from "./status-text.js";
import { duration } from "./values.js";
import { laneJson, watch } from "./watch.js";
import { workerJson, workerLines } from "./worker-table.js";

interface StatusFlags extends CommonOptions {
  watch?: true;
  every?: string;
}

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
        "With --watch it goes on looking, until q or Ctrl-C: unfinished jobs, and what happens per minute. Into a pipe the " +
        "looks follow one another, with --json one line each.\n\n" +
        "It only looks: a database that is not there, or has no tables, is left so (exit code 1).",
      examples: [
        ["qudo status", "queues and workers of ./qudo.db"],
        ["qudo status --database sqlite:/var/lib/app/jobs.db", "of another file"],
        ["qudo status --watch", "a live view of what waits and runs"],
        [
          "qudo status --json | jq '[.lanes[].failed] | add'",
          "failed jobs that wait for another try",
        ],
      ],
    },
    status,
  )
    .option("--watch", "go on looking, until q or Ctrl-C")
    .option("--every <duration>", "with --watch: the time between two looks (default: 2s)");
}

/** Sooner than that nobody sees anything new. */
const LEAST_MS = 100;

async function status({ database, json, watch: live, every }: StatusFlags): Promise<ExitCode> {
  const everyMs = durationMs(duration(every ?? "2s", "--every"), "--every");
  if (live !== true && every !== undefined)
    throw new InvalidInputError("QUDO_INVALID_OPTION", "--every goes with --watch.");
  if (everyMs < LEAST_MS)
    throw new InvalidInputError("QUDO_INVALID_OPTION", "--every: give 100ms or more.");
  await using qudo = openExisting(database);
  if (live === true) return await watch(qudo, everyMs, json === true, () => nameOf(qudo));
  const gaps = new Gaps();
  const databases = await qudo.monitor.databases();
  if (databases.length > 0 && databases.every(isOut)) return noneAnswers(databases, json);
  const lanes = await gaps.of(qudo.monitor.counts());
  const workers = await gaps.of(qudo.monitor.workers());
  const [label, schema] = [await qudo.label(), await gaps.of(qudo.schemaVersion())];
  if (json) {
    const several = databases.length > 0 ? { databases } : {};
    const figures = { lanes: lanes.map(laneJson), workers: workers.map(workerJson) };
    const looked = { schema, ...several, ...figures };
    printJson({ database: label, ...looked, ...gaps.json });
  } else {
    const name = databases.length > 0 ? plural(databases.length, "database") : label;
    const heading = [`${name}, schema ${schema}`, ...databaseLines(databases, Date.now())];
    const lines = [...laneLines(lanes), "", ...workerLines(workers, Date.now())];
    print([...heading, "", ...lines].join("\n"));
  }
  return gaps.tell();
}

/** There is nothing else to show. */
function noneAnswers(databases: readonly DatabaseInfo[], json: true | undefined): ExitCode {
  if (json) printJson({ databases });
  else print(databaseLines(databases, Date.now()).slice(1).join("\n"));
  return EXIT.failed;
}

/** The one database, or how many there are. */
async function nameOf(qudo: Qudo): Promise<string> {
  const { length } = await qudo.monitor.databases();
  return length > 0 ? plural(length, "database") : qudo.label();
}
