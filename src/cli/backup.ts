/** `qudo backup`: a consistent copy, made while others go on. */
import type { Command } from "commander";
import { humanDuration } from "../core/duration.js";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { bytes, print, printJson } from "./output.js";
import { during } from "./progress.js";
import { safe } from "./text.js";

export function addBackup(program: Command): void {
  addCommand(
    program,
    {
      name: "backup",
      args: [["<path>", "the new file"]],
      summary: "copy the database into a new file",
      description:
        "Writes a consistent copy into a new file, while producers and workers go on. (Copying the file with cp may miss " +
        "what stands in the -wal file beside it, or tear what is just written.) It overwrites nothing: exit code 2 when " +
        "the path exists.\n\n" +
        "Jobs that were held by a worker at that moment are so in the copy too: a worker on the copy would run them again.",
      examples: [
        ["qudo backup backup.db", "copy ./qudo.db"],
        ['qudo backup "backup-$(date +%F).db"', "one a day"],
        ["qudo doctor --database sqlite:backup.db", "check the copy"],
      ],
    },
    backup,
  );
}

async function backup(
  { database, json }: CommonOptions,
  [path]: readonly string[],
): Promise<ExitCode> {
  await using qudo = openExisting(database);
  const started = performance.now();
  const report = await during("copying", () => qudo.backup(path!));
  const ms = Math.round(performance.now() - started);
  if (json) printJson({ ...report, ms });
  else print(`${safe(report.path)}: ${bytes(report.bytes)} in ${humanDuration(ms)}`);
  return EXIT.ok;
}
