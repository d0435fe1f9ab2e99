/** `qudo prune`: deletes what has ended and was kept for long enough. */
import type { Command } from "commander";
import type { CompactReport, Pruned, PruneOptions } from "../client/upkeep.js";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import type { ExitCode } from "./exit.js";
import { Gaps } from "./gaps.js";
import { bytes, plural, print, printJson } from "./output.js";
import { during } from "./progress.js";
import { duration, invalid } from "./values.js";

interface PruneFlags extends CommonOptions {
  done?: string;
  other?: string;
  counts?: string;
  dryRun?: true;
  compact?: true;
}

export function addPrune(program: Command): void {
  addCommand(
    program,
    {
      name: "prune",
      summary: "delete jobs that ended long ago",
      description:
        "Deletes jobs that have ended and were kept for long enough, with their runs and logs; and figures per minute. " +
        "Workers do that by themselves all the time; this does it now, and with times of your own. Jobs with a keep time " +
        "of their own follow that one. Ten minutes are kept always.\n\n" +
        "It goes in small steps, so that workers can go on meanwhile. Deleted jobs leave room in the file that new ones " +
        "use; --compact gives it back to the file system, and holds the file while it does.",
      examples: [
        ["qudo prune", "what is past its time: done 24h, abandoned and cancelled 30d, figures 7d"],
        ["qudo prune --done 1h --dry-run", "how many that would be with another time"],
        ["qudo prune --done 1h --other 7d --compact", "now, and make the file smaller"],
      ],
    },
    prune,
  )
    .option("--done <duration>", "how long jobs that are done are kept (default: 24h)")
    .option("--other <duration>", "how long abandoned and cancelled ones are kept (default: 30d)")
    .option("--counts <duration>", "how long figures per minute are kept (default: 7d)")
    .option("--dry-run", "count only, delete nothing")
    .option("--compact", "then give unused space back to the file system");
}

async function prune(flags: PruneFlags): Promise<ExitCode> {
  const options = pruneOptions(flags);
  if (flags.dryRun && flags.compact)
    throw invalid("--compact", "it cannot be tried out with --dry-run.");
  await using qudo = openExisting(flags.database);
  const gaps = new Gaps();
  const pruned = await during("deleting", () => gaps.of(qudo.prune(options)));
  const compacted = flags.compact ? await during("compacting", () => qudo.compact()) : null;
  const dryRun = flags.dryRun ?? false;
  if (flags.json) printJson({ dryRun, ...pruned, compacted, ...gaps.json });
  else print([prunedText(pruned, dryRun), ...compactedLines(compacted)].join("\n"));
  return gaps.tell();
}

function pruneOptions({ done, other, counts, dryRun }: PruneFlags): PruneOptions {
  return {
    ...(done !== undefined && { done: duration(done, "--done") }),
    ...(other !== undefined && { other: duration(other, "--other") }),
    ...(counts !== undefined && { counts: duration(counts, "--counts") }),
    ...(dryRun && { dryRun }),
  };
}

function prunedText({ jobs, counts }: Pruned, dryRun: boolean): string {
  return `${dryRun ? "would delete" : "deleted"} ${plural(jobs, "job")} and ${plural(counts, "row")} of figures`;
}

function compactedLines(report: CompactReport | null): string[] {
  if (report === null) return [];
  return [`compacted from ${bytes(report.bytesBefore)} to ${bytes(report.bytesAfter)}`];
}
