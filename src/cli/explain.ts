/** `qudo explain`: why a job is not running, or what it is doing, and what can be done about it. */
import type { Command } from "commander";
import type { Explanation } from "../client/explain.js";
import type { Why } from "../core/explain.js";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { Hider } from "./hide.js";
import { statePaint } from "./job-text.js";
import { painter, print, printJson } from "./output.js";
import { safe, wrap } from "./text.js";

export function addExplain(program: Command): void {
  addCommand(
    program,
    {
      name: "explain",
      args: [["<id>", "of the job"]],
      summary: "say why a job is not running",
      description:
        "Says why a job is not running, or what it is doing: delayed, paused, behind others, without a worker that knows " +
        "its kind, and so on; each reason with a code and with what to do. The gravest comes first.\n\n" +
        "It only looks. Exit code 1 when there is no such job, or it could not be looked for everywhere.",
      examples: [
        ["qudo explain 019c5f3a-1f0e-7c3a-9b62-0f6e5f1c2d3e", "in words"],
        [
          "qudo explain 019c5f3a-1f0e-7c3a-9b62-0f6e5f1c2d3e --json | jq -r '.reasons[].code'",
          "codes, for other programs",
        ],
      ],
    },
    explain,
  );
}

async function explain(
  { database, json }: CommonOptions,
  [id]: readonly string[],
): Promise<ExitCode> {
  await using qudo = openExisting(database);
  const found = hidden(await qudo.explain(id!));
  if (json) printJson(found);
  else print(textOf(found, id!).join("\n"));
  return found.job === null ? EXIT.failed : EXIT.ok;
}

/** Errors of handlers may repeat what nobody is to see. */
function hidden({ job, at, reasons }: Explanation): Explanation {
  if (job === null) return { job, at, reasons };
  const hider = new Hider(job);
  return {
    job: hider.job(job),
    at,
    reasons: reasons.map((why) => ({ ...why, says: hider.text(why.says) })),
  };
}

function textOf({ job, reasons }: Explanation, id: string): string[] {
  const paint = painter(process.stdout);
  if (job === null) return [`${paint.bold(safe(id))}: not found`, ...reasons.flatMap(reasonLines)];
  const { state, kind, queue, database } = job;
  const where = database === undefined ? "" : ` in the database ${database}`;
  const shown = (statePaint(state, paint) ?? ((text: string) => text))(state);
  return [
    `${paint.bold(job.id)}: ${shown}`,
    paint.dim(safe(`${kind} of the queue ${queue}${where}`)),
    ...reasons.flatMap(reasonLines),
  ];
}

const INDENT = "  ";

/** What is the case, its code, and below it what to do. */
function reasonLines({ code, says, advice }: Why): string[] {
  const paint = painter(process.stdout);
  const width = Math.max(20, (process.stdout.columns ?? Infinity) - 2 * INDENT.length);
  const [first, ...more] = wrap(safe(says), width);
  return [
    "",
    `${INDENT}${first} ${paint.dim(`[${code}]`)}`,
    ...more.map((line) => INDENT + line),
    ...wrap(safe(advice), width).map((line) => paint.dim(INDENT + INDENT + line)),
  ];
}
