/** `qudo purge`: empties a queue. */
import type { Command } from "commander";
import type { Purged, PurgeOptions } from "../client/purge.js";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import type { ExitCode } from "./exit.js";
import { Gaps } from "./gaps.js";
import { plural, print, printJson } from "./output.js";
import { during } from "./progress.js";

interface PurgeFlags extends CommonOptions {
  kind?: string;
  in?: string;
  dryRun?: true;
}

export function addPurge(program: Command): void {
  addCommand<PurgeFlags>(
    program,
    {
      name: "purge",
      args: [["<queue>", "which queue"]],
      summary: "empty a queue, also of what runs",
      description:
        "Ends every job that is in the queue at this moment: what waits or is reserved is cancelled, what runs is abandoned " +
        "(purged), and its handler told through its signal. Jobs that come meanwhile are left alone: pause the queue first " +
        "if none are to come.\n\n" +
        "Purged jobs are kept like others that were cancelled or abandoned, and can be retried.",
      examples: [
        ["qudo purge mail --dry-run", "how many that would be"],
        ["qudo purge mail", "those"],
        ["qudo purge mail --kind mail.newsletter", "of one kind only"],
      ],
    },
    purge,
  )
    .option("--kind <kind>", "only this kind in the queue (default: the whole queue)")
    .option("--in <name>", "in the database of this name, where there are several")
    .option("--dry-run", "count only, end nothing");
}

async function purge(flags: PurgeFlags, args: readonly string[]): Promise<ExitCode> {
  const queue = args[0]!;
  const dryRun = flags.dryRun ?? false;
  await using qudo = openExisting(flags.database);
  const gaps = new Gaps();
  const purged = await during("the queue is being purged", () =>
    gaps.of(qudo.jobs.purge(queue, optionsOf(flags))),
  );
  if (flags.json) {
    const { matched, cancelled, abandoned } = purged;
    printJson({
      queue,
      kind: flags.kind ?? null,
      dryRun,
      matched,
      cancelled,
      abandoned,
      ...gaps.json,
    });
  } else print(told(purged, dryRun));
  return gaps.tell();
}

function optionsOf({ kind, in: database, dryRun }: PurgeFlags): PurgeOptions {
  return {
    ...(kind !== undefined && { kind }),
    ...(database !== undefined && { database }),
    ...(dryRun && { dryRun }),
  };
}

function told({ matched, cancelled, abandoned }: Purged, dryRun: boolean): string {
  if (dryRun) return `${plural(matched, "job")} would be ended`;
  return `${plural(cancelled, "job")} cancelled, ${plural(abandoned, "running job")} abandoned`;
}
