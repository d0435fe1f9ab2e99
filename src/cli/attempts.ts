/** `qudo attempts`: what runs came to, as a log. */
import type { Command } from "commander";
import type { AttemptPageOptions, AttemptsPage } from "../client/attempts.js";
import type { AttemptInfo } from "../client/info.js";
import type { RunState } from "../core/states.js";
import type { Qudo } from "../qudo.js";
import { attemptTable } from "./attempt-table.js";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import type { ExitCode } from "./exit.js";
import { Gaps } from "./gaps.js";
import { Hider } from "./hide.js";
import { painter, plural, print, printJson, say } from "./output.js";
import { again, commas, momentOrAgo, whole } from "./values.js";

interface AttemptFlags extends CommonOptions {
  job?: string;
  state?: string[];
  queue?: string;
  kind?: string[];
  since?: string;
  until?: string;
  in?: string;
  oldestFirst?: true;
  limit: string;
  offset: string;
  after?: string;
}

export function addAttempts(program: Command): void {
  addCommand(
    program,
    {
      name: "attempts",
      summary: "show what runs came to",
      description:
        "Shows the log of runs, newest first: what each came to, when, how long it took, and its error. A job has as many " +
        "lines as it had runs; what operators did to it has lines, too.\n\n" +
        "With --state failed,crashed,abandoned it is the log of exceptions.",
      examples: [
        ["qudo attempts", "the last ten"],
        ["qudo attempts --state failed,abandoned --since 1h", "what went wrong within an hour"],
        ["qudo attempts --kind mail.send --limit 100 --offset 100", "the second hundred of a kind"],
      ],
    },
    attempts,
  )
    .option("--job <id>", "of one job")
    .option("--state <state>", "that came to this; several with commas, or given again", commas)
    .option("--queue <name>", "of this queue")
    .option("--kind <kind>", "of this kind; given again for several", again)
    .option("--since <time>", "ended within this time (2h), or at this date or later")
    .option("--until <time>", "ended longer ago than that, or before this date")
    .option("--in <name>", "in the database of this name, where there are several")
    .option("--oldest-first", "in the order in which they ended")
    .option("--limit <n>", "at most so many, up to 1000", "10")
    .option("--offset <n>", "pass over so many, up to 10000", "0")
    .option("--after <cursor>", "go on where an earlier list ended");
}

async function attempts(flags: AttemptFlags): Promise<ExitCode> {
  const options = optionsOf(flags);
  await using qudo = openExisting(flags.database);
  const gaps = new Gaps();
  const page = await gaps.of(qudo.attempts.page(options));
  const shown = await hidden(qudo, gaps, page);
  if (flags.json) printJson({ attempts: shown, next: page.next, ...gaps.json });
  else {
    if (shown.length > 0) print(attemptTable(shown, Date.now()).join("\n"));
    say(footer(shown.length, page.next));
  }
  return gaps.tell();
}

function optionsOf(flags: AttemptFlags): AttemptPageOptions {
  const { job, state, queue, kind, since, until, in: database, after } = flags;
  return {
    limit: whole(flags.limit, "--limit", 1, 1_000),
    offset: whole(flags.offset, "--offset", 0, 10_000),
    newestFirst: flags.oldestFirst !== true,
    ...(job !== undefined && { job }),
    ...(state !== undefined && { states: state as RunState[] }),
    ...(queue !== undefined && { queue }),
    ...(kind !== undefined && { kinds: kind }),
    ...(since !== undefined && { since: momentOrAgo(since, "--since") }),
    ...(until !== undefined && { until: momentOrAgo(until, "--until") }),
    ...(database !== undefined && { database }),
    ...(after !== undefined && { after }),
  };
}

/** What a job's definition hides is hidden in what its runs left, too: each job is asked for it once, some at a time. */
async function hidden(qudo: Qudo, gaps: Gaps, { attempts }: AttemptsPage): Promise<AttemptInfo[]> {
  const says = attempts.filter(({ error, result }) => error !== null || result !== null);
  const ids = [...new Set(says.map(({ job }) => job))];
  const hiders = new Map<string, Hider>();
  for (let at = 0; at < ids.length; at += TOGETHER) {
    const some = ids.slice(at, at + TOGETHER).map((id) => gaps.of(qudo.jobs.get(id)));
    for (const job of await Promise.all(some)) if (job !== null) hiders.set(job.id, new Hider(job));
  }
  return attempts.map((attempt) => hiddenBy(hiders.get(attempt.job), attempt));
}

const TOGETHER = 20;

/** Of a job that is gone nobody knows what was to be hidden: then nothing is shown that a handler said. */
export function hiddenBy(hider: Hider | undefined, attempt: AttemptInfo): AttemptInfo {
  return hider?.attempt(attempt) ?? { ...attempt, result: null, error: null };
}

function footer(shown: number, next: string | null): string {
  const paint = painter(process.stderr);
  if (shown === 0) return paint.dim("No such runs.");
  const more = next === null ? "." : `; more with --after ${next}`;
  return paint.dim(plural(shown, "run") + more);
}
