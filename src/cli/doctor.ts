/** `qudo doctor`: checks that the database takes writes and that none of the invariants is broken. */
import type { Command } from "commander";
import type { DatabaseReport } from "../client/doctor.js";
import { QudoError } from "../core/errors.js";
import type { Violation } from "../storage/driver.js";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { painter, plural, print, printJson } from "./output.js";
import { safe } from "./text.js";

/** What has to be true of every qudo database, in the order of the checks. */
const INVARIANTS: Readonly<Record<Violation["invariant"], string>> = {
  I1: "a living job stands in exactly one place, a finished one in none",
  I2: "runs are numbered without gaps, and jobs wait where their last run put them",
  I3: "no run was accepted after its job had ended, and every lease has its worker",
  I4: "unique keys belong to living jobs, and those hold theirs",
  I5: "no job that a worker holds was deleted",
  I6: "what is ready is due, and nothing ended before it started",
};

/** More than this of one kind tell a reader nothing new; --json has them all. */
const LISTED = 20;

export function addDoctor(program: Command): void {
  addCommand(
    program,
    {
      name: "doctor",
      summary: "check a database",
      description:
        "Checks that the database can be written (by a write that is undone), and that its jobs are consistent: " +
        "six rules, I1 to I6, that no crash and no race may break. Workers can go on meanwhile. Of several databases each " +
        "is checked by itself, also that it has the name by which it is called.\n\n" +
        "It repairs nothing and makes no file. Exit code 1 when a rule is broken.",
      examples: [
        ["qudo doctor", "check ./qudo.db"],
        ["qudo doctor --database sqlite:/var/lib/app/jobs.db", "check another file"],
        ["qudo doctor --json | jq '.violations[].job'", "ids of the jobs that break a rule"],
      ],
    },
    doctor,
  );
}

async function doctor({ database, json }: CommonOptions): Promise<ExitCode> {
  await using qudo = openExisting(database);
  const { label, violations, databases } = await qudo.doctor();
  const [first] = databases;
  if (first?.name === null) {
    if (json) printJson({ database: label, schema: first.schema, violations });
    else print(doctorText(first));
  } else if (json) printJson({ database: label, databases: databases.map(reportJson), violations });
  else print(databases.map(doctorText).join("\n\n"));
  const well = violations.length === 0 && databases.every(({ error }) => error === null);
  return well ? EXIT.ok : EXIT.failed;
}

function reportJson({ error, ...report }: DatabaseReport): object {
  return { ...report, error: error && { code: codeOf(error), message: error.message } };
}

function codeOf(error: Error): string | null {
  return error instanceof QudoError ? error.code : null;
}

function doctorText({ name, label, schema, violations, error }: DatabaseReport): string {
  const paint = painter(process.stdout);
  const title = name === null ? label : `${name}: ${label}`;
  if (error !== null)
    return [title, "", `${paint.red("!!")}  ${safe(error.message)} [${codeOf(error)}]`].join("\n");
  return [
    `${title}, schema ${schema}`,
    "",
    `${paint.green("ok")}  it can be written`,
    ...Object.keys(INVARIANTS).flatMap((id) => ruleLines(id as Violation["invariant"], violations)),
    "",
    violations.length === 0
      ? "No violations."
      : `${paint.red(plural(violations.length, "violation"))}. Keep a copy of the database as it is, and report them with: qudo doctor --json`,
  ].join("\n");
}

function ruleLines(id: Violation["invariant"], violations: readonly Violation[]): string[] {
  const paint = painter(process.stdout);
  const broken = violations.filter(({ invariant }) => invariant === id);
  if (broken.length === 0) return [`${paint.green("ok")}  ${id} ${INVARIANTS[id]}`];
  return [
    `${paint.red("!!")}  ${id} ${INVARIANTS[id]}: ${paint.red(plural(broken.length, "violation"))}`,
    ...broken.slice(0, LISTED).map((violation) => `    ${violationText(violation)}`),
    ...(broken.length > LISTED
      ? [`    … and ${broken.length - LISTED} more (--json lists all)`]
      : []),
  ];
}

/** "I1 job 0198…-… run 3: what is wrong" */
function violationText({ invariant, job, run, detail }: Violation): string {
  const where = [job !== null && `job ${job}`, run !== null && `run ${run}`].filter(Boolean);
  return safe(`${[invariant, ...where].join(" ")}: ${detail}`);
}
