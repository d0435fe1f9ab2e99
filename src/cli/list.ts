/** `qudo list`: which jobs there are. */
import type { Command } from "commander";
import type { JobInfo } from "../client/info.js";
import type { JobFilter } from "../client/filter.js";
import type { JobsPage } from "../client/jobs.js";
import type { Qudo } from "../qudo.js";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import type { ExitCode } from "./exit.js";
import { Gaps } from "./gaps.js";
import { addFilterOptions, filterOf, type FilterFlags } from "./filter-options.js";
import { hideJob } from "./hide.js";
import { jobTable } from "./job-table.js";
import { painter, plural, print, printJson, say } from "./output.js";
import { whole } from "./values.js";

interface ListFlags extends CommonOptions, FilterFlags {
  limit: string;
  after?: string;
}

export function addList(program: Command): void {
  const command = addCommand(
    program,
    {
      name: "list",
      summary: "show jobs",
      description:
        "Shows the jobs that the options mean: first those that a worker holds, then those that wait, in the order in " +
        "which they will be taken, then those that have ended, newest first.\n\n" +
        "Failed jobs wait for another try; those that are given up are abandoned.",
      examples: [
        ["qudo list", "the first 50 jobs"],
        ["qudo list --state failed,abandoned --since 2h", "what went wrong with jobs of two hours"],
        [
          "qudo list --kind mail.send --state abandoned --json | jq -r '.jobs[].id'",
          "ids, for other commands",
        ],
      ],
    },
    list,
  );
  addFilterOptions(command)
    .option("--limit <n>", "at most so many, up to 1000", "50")
    .option("--after <cursor>", "go on where an earlier list ended");
}

async function list(flags: ListFlags): Promise<ExitCode> {
  const limit = whole(flags.limit, "--limit", 1, 1_000);
  const filter = filterOf(flags);
  await using qudo = openExisting(flags.database);
  const gaps = new Gaps();
  const { jobs, next } = await firstJobs(qudo, gaps, filter, limit, flags.after);
  const shown = jobs.map(hideJob);
  if (flags.json) printJson({ jobs: shown, next, ...gaps.json });
  else {
    if (shown.length > 0) print(jobTable(shown, Date.now()).join("\n"));
    say(footer(shown.length, next));
  }
  return gaps.tell();
}

/** So many jobs, unless there are fewer: a page may be short before the end. */
async function firstJobs(
  qudo: Qudo,
  gaps: Gaps,
  filter: JobFilter,
  limit: number,
  cursor?: string,
): Promise<JobsPage> {
  const jobs: JobInfo[] = [];
  let after = cursor;
  do {
    const missing = limit - jobs.length;
    const page = await gaps.of(
      qudo.jobs.page({ ...filter, limit: missing, ...(after && { after }) }),
    );
    jobs.push(...page.jobs);
    after = page.next ?? undefined;
  } while (after !== undefined && jobs.length < limit);
  return { jobs, next: after ?? null };
}

function footer(shown: number, next: string | null): string {
  const paint = painter(process.stderr);
  if (next !== null) return paint.dim(`${plural(shown, "job")}; more with --after ${next}`);
  return paint.dim(shown === 0 ? "No such jobs." : `${plural(shown, "job")}.`);
}
