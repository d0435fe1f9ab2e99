#!/usr/bin/env node
/** The `qudo` command. Each command is one file beside this one. */
import { Command, CommanderError } from "commander";
import { VERSION } from "../core/version.js";
import { addDoctor } from "./doctor.js";
import { examples } from "./command.js";
import { EXIT } from "./exit.js";
import { addMigrate } from "./migrate.js";
import { ignoreClosedPipe } from "./output.js";
import { addStatus } from "./status.js";
import { addWork } from "./work.js";

const program = new Command("qudo")
  .description("A brokerless, persistent job queue for Node.js.")
  .version(VERSION)
  .exitOverride()
  .showHelpAfterError("Try --help.")
  .addHelpText(
    "after",
    examples([
      ["qudo work --jobs dist/jobs.js", "run the jobs that dist/jobs.js defines"],
      ["qudo status", "what waits, runs and failed, and who works"],
      ["qudo doctor --database sqlite:/var/lib/app/jobs.db", "check a database"],
    ]) + "\nExit codes: 0 all went well, 1 it failed, 2 wrong usage.\n",
  );

for (const add of [addMigrate, addWork, addStatus, addDoctor]) add(program);

ignoreClosedPipe();
try {
  await program.parseAsync();
} catch (error) {
  // Commander has printed what is wrong; help and version arrive here too, with its exit code 0.
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
}
