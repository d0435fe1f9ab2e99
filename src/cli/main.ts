#!/usr/bin/env node
/** The `qudo` command. Each command is one file beside this one. */
import { Command, CommanderError } from "commander";
import { withoutCredentials } from "../core/options.js";
import { VERSION } from "../core/version.js";
import { addAttempts } from "./attempts.js";
import { addBackup } from "./backup.js";
import { addCancel } from "./cancel.js";
import { addChanges } from "./changes.js";
import { addDatabase } from "./database.js";
import { addDoctor } from "./doctor.js";
import { addEnqueue } from "./enqueue.js";
import { examples } from "./command.js";
import { addExplain } from "./explain.js";
import { EXIT, guarded, leave } from "./exit.js";
import { addMigrate } from "./migrate.js";
import { addLimits } from "./limits.js";
import { addList } from "./list.js";
import { ignoreClosedPipe } from "./output.js";
import { addOverdue } from "./overdue.js";
import { addPause } from "./pause.js";
import { addPrune } from "./prune.js";
import { addPurge } from "./purge.js";
import { addReschedule } from "./reschedule.js";
import { addResume } from "./resume.js";
import { addRetry } from "./retry.js";
import { addShow } from "./show.js";
import { addStatus } from "./status.js";
import { addUse, usedBy } from "./use.js";
import { addWork } from "./work.js";
import { addWorkers } from "./workers.js";

const program = new Command("qudo")
  .description("A brokerless, persistent job queue for Node.js.")
  .version(VERSION)
  .exitOverride()
  // An address in a wrong place, or a mistyped option before it, is repeated by the message.
  .configureOutput({ outputError: (text, write) => write(withoutCredentials(text)) })
  .showHelpAfterError("Try --help.")
  .addHelpText(
    "after",
    examples([
      ["qudo work --jobs dist/jobs.js", "run the jobs that dist/jobs.js defines"],
      ["qudo status", "what waits, runs and failed, and who works"],
      ["qudo list --state failed", "jobs that wait for another try, and why"],
      ["qudo doctor --database sqlite:/var/lib/app/jobs.db", "check a database"],
    ]) + "\nExit codes: 0 all went well, 1 it failed, 2 wrong usage.\n",
  );

const commands = [
  addWork,
  addEnqueue,
  addStatus,
  addList,
  addLimits,
  addShow,
  addExplain,
  addAttempts,
  addChanges,
  addOverdue,
  addRetry,
  addCancel,
  addReschedule,
  addPurge,
  addPause,
  addResume,
  addWorkers,
  addPrune,
  addBackup,
  addMigrate,
  addDatabase,
  addDoctor,
  addUse,
] as const;

ignoreClosedPipe();
const args = process.argv.slice(2);
let usesOthers = false;
const loaded = await guarded(args.includes("--json"), async () => {
  const used = await usedBy(args, process.env["QUDO_USE"]);
  usesOthers = used.length > 0;
  for (const add of commands) add(program, used);
  return EXIT.ok;
});
try {
  // What a module has opened may go on for ever.
  if (loaded !== EXIT.ok) await leave(loaded);
  await program.parseAsync();
} catch (error) {
  // Commander has printed what is wrong; help and version arrive here too, with its exit code 0.
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
}
if (usesOthers) await leave(Number(process.exitCode ?? EXIT.ok));
