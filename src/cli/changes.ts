/** `qudo changes`: what happened to jobs, line by line, and with --follow what happens. */
import type { Command } from "commander";
import type { Change } from "../client/changes.js";
import type { Qudo } from "../qudo.js";
import { runPaint, took } from "./attempt-table.js";
import { hiddenBy } from "./attempts.js";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { Gaps } from "./gaps.js";
import { Hider } from "./hide.js";
import { painter, print, printJson } from "./output.js";
import { Quit } from "./quit.js";
import { firstLine, safe } from "./text.js";
import { again, duration, momentOrAgo } from "./values.js";
import { clockMs, day } from "./when.js";

interface ChangesFlags extends CommonOptions {
  since?: string;
  follow?: true;
  every: string;
  queue?: string;
  kind?: string[];
  in?: string;
}

export function addChanges(program: Command): void {
  addCommand(
    program,
    {
      name: "changes",
      summary: "show what happens to jobs, line by line",
      description:
        "Shows what happened to jobs, a line each, in the order of time: which became due and wait, which are running, and " +
        "what runs came to. With --follow it goes on with what happens, until Ctrl-C. With --json each line is an object.",
      examples: [
        ["qudo changes --since 10m", "the last ten minutes"],
        ["qudo changes --follow", "as it happens"],
        [
          "qudo changes --follow --json | jq 'select(.what == \"abandoned\")'",
          "for another program",
        ],
      ],
    },
    changes,
  )
    .option(
      "--since <time>",
      "from so long ago (10m), or from this date on (default: 1m; with --follow now)",
    )
    .option("--follow", "go on with what happens")
    .option("--every <duration>", "with --follow: the time between two looks", "1s")
    .option("--queue <name>", "of this queue")
    .option("--kind <kind>", "of this kind; given again for several", again)
    .option("--in <name>", "in the database of this name, where there are several");
}

async function changes(flags: ChangesFlags): Promise<ExitCode> {
  const { queue, kind, in: database, follow = false } = flags;
  const since = momentOrAgo(flags.since ?? (follow ? "0" : "1m"), "--since");
  const every = duration(flags.every, "--every");
  const only = {
    ...(queue !== undefined && { queue }),
    ...(kind !== undefined && { kinds: kind }),
    ...(database !== undefined && { database }),
  };
  await using qudo = openExisting(flags.database);
  using quit = new Quit(false);
  const gaps = new Gaps();
  const { monitor } = qudo;
  const rows = follow
    ? monitor.follow({ ...only, since, every, signal: quit.signal })
    : gaps.each(monitor.changesSince(since, only));
  for await (const change of rows) {
    if (quit.signal.aborted) break;
    const shown = await hidden(qudo, change);
    if (flags.json) printJson(shown);
    else print(lineOf(shown));
  }
  return quit.signal.aborted ? EXIT.ok : gaps.tell();
}

/** What a run left behind may hold what nobody is to see. */
async function hidden(qudo: Qudo, change: Change): Promise<Change> {
  const { attempt } = change;
  if (attempt === null || (attempt.error === null && attempt.result === null)) return change;
  const job = await new Gaps().of(qudo.jobs.get(change.job));
  return { ...change, attempt: hiddenBy(job === null ? undefined : new Hider(job), attempt) };
}

function lineOf({ at, what, job, run, kind, queue, database, attempt }: Change): string {
  const paint = painter(process.stdout);
  const painted = what === "due" || what === "running" ? undefined : runPaint(what, paint);
  const where = database === undefined ? queue : `${queue}@${database}`;
  const time = attempt === null ? "" : took(attempt);
  const error = attempt?.error == null ? "" : firstLine(attempt.error);
  const words = [time, error].filter((word) => word !== "").map(safe);
  return [
    paint.dim(`${day(at)} ${clockMs(at)}`),
    (painted ?? ((text: string) => text))(what.padEnd("abandoned".length)),
    `${job}/${run}`,
    `${safe(kind)} ${paint.dim(safe(where))}`,
    ...words,
  ].join("  ");
}
