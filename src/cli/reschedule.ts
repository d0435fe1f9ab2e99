/** `qudo reschedule`: another time or priority for a job that waits. */
import type { Command } from "commander";
import type { RescheduleOptions } from "../client/jobs.js";
import { InvalidInputError } from "../core/errors.js";
import { LIMITS } from "../core/defaults.js";
import { ABSENT } from "./act.js";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { print, printJson, say } from "./output.js";
import { duration, moment, whole } from "./values.js";

interface RescheduleFlags extends CommonOptions {
  delay?: string;
  at?: string;
  priority?: string;
}

export function addReschedule(program: Command): void {
  addCommand<RescheduleFlags>(
    program,
    {
      name: "reschedule",
      args: [["<id>", "which job"]],
      summary: "move a job that waits to another time or priority",
      description:
        "Gives a job that waits another time, another priority, or both. Its counted tries stay. A job that a worker holds, " +
        "or that has ended, is refused (exit code 1).",
      examples: [
        ["qudo reschedule 01a2056e-0fcc-7000-b73f-72fe5e0a14cb --delay 0", "it is due now"],
        ["qudo reschedule 01a2056e-0fcc-7000-b73f-72fe5e0a14cb --at 2026-12-24", "not before"],
        ["qudo reschedule 01a2056e-0fcc-7000-b73f-72fe5e0a14cb --priority 10", "before others"],
      ],
    },
    reschedule,
  )
    .option("--delay <duration>", "at the earliest so long from now")
    .option("--at <date>", "at the earliest at this moment")
    .option("--priority <n>", "higher runs first");
}

async function reschedule(flags: RescheduleFlags, args: readonly string[]): Promise<ExitCode> {
  const id = args[0]!;
  const change = changeOf(flags);
  await using qudo = openExisting(flags.database);
  const outcome = await qudo.jobs.reschedule(id, change);
  if (flags.json) printJson({ id, ...outcome });
  else if (outcome.status === "rescheduled") print("rescheduled");
  else say(outcome.status === "refused" ? `it does not wait: it is ${outcome.state}` : ABSENT);
  return outcome.status === "rescheduled" ? EXIT.ok : EXIT.failed;
}

function changeOf({ delay, at, priority }: RescheduleFlags): RescheduleOptions {
  if (delay === undefined && at === undefined && priority === undefined)
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      "Where to? Give --delay, --at or --priority.",
    );
  return {
    ...(delay !== undefined && { delay: duration(delay, "--delay") }),
    ...(at !== undefined && { runAt: moment(at, "--at") }),
    ...(priority !== undefined && {
      priority: whole(priority, "--priority", -LIMITS.priority, LIMITS.priority),
    }),
  };
}
