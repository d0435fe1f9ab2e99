/** `qudo show`: all there is to know about one job. */
import type { Command } from "commander";
import type { AttemptInfo, JobLogLine } from "../client/info.js";
import { QudoError } from "../core/errors.js";
import type { Qudo } from "../qudo.js";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import type { ExitCode } from "./exit.js";
import { Gaps } from "./gaps.js";
import { Hider } from "./hide.js";
import { print, printJson } from "./output.js";
import { showText, type Known } from "./show-text.js";
import { whole } from "./values.js";

interface ShowFlags extends CommonOptions {
  log: string;
  reveal?: true;
}

export function addShow(program: Command): void {
  addCommand(
    program,
    {
      name: "show",
      args: [["<id>", "which job"]],
      summary: "show all about one job",
      description:
        "Shows a job: its state and times, who holds it, how far it is, its payload, what became of every run, and the " +
        "lines that its handler wrote.\n\n" +
        'What its definition names as not to be shown, and what looks like a password or a token, is "[redacted]" unless ' +
        "--reveal is given. Exit code 1 when there is no such job.",
      examples: [
        ["qudo show 01a2056e-0fcc-7000-b73f-72fe5e0a14cb", "one job"],
        ["qudo show 01a2056e-0fcc-7000-b73f-72fe5e0a14cb --log 1000", "with more of its log"],
        [
          "qudo show 01a2056e-0fcc-7000-b73f-72fe5e0a14cb --json | jq .job.payload",
          "its payload alone",
        ],
      ],
    },
    show,
  )
    .option("--log <n>", "its last lines, at most so many", "20")
    .option("--reveal", "hide nothing");
}

async function show(flags: ShowFlags, [id]: readonly string[]): Promise<ExitCode> {
  const lines = whole(flags.log, "--log", 0, 1_000_000);
  await using qudo = openExisting(flags.database);
  const gaps = new Gaps();
  const found = await look(qudo, gaps, id!, lines);
  const known = flags.reveal ? found : hidden(found);
  if (flags.json) printJson({ ...showJson(known), ...gaps.json });
  else print(showText(known, Date.now()));
  return gaps.tell();
}

/** One that is in none of the databases that could be asked may be in another: that is an error, and no answer. */
async function look(qudo: Qudo, gaps: Gaps, id: string, most: number): Promise<Known> {
  const job = await qudo.jobs.get(id);
  if (job === null)
    throw new QudoError(
      "QUDO_JOB_ABSENT",
      `There is no job ${id}: it never was in this database, or it has been pruned.`,
    );
  const sessions = await gaps.of(qudo.monitor.workers());
  const attempts: AttemptInfo[] = [];
  for await (const attempt of gaps.each(qudo.attempts.list({ job: id }))) attempts.push(attempt);
  const log: JobLogLine[] = [];
  let lines = 0;
  for await (const line of gaps.each(qudo.jobs.log(id))) {
    lines++;
    log.push(line);
    if (log.length > most) log.shift();
  }
  return { job, workers: new Map(sessions.map((s) => [s.id, s])), attempts, log, lines };
}

function hidden(known: Known): Known {
  const hider = new Hider(known.job);
  return {
    ...known,
    job: hider.job(known.job),
    attempts: known.attempts.map((attempt) => hider.attempt(attempt)),
    log: known.log.map((line) => hider.line(line)),
  };
}

function showJson({ job, workers, attempts, log, lines }: Known): object {
  const holder = workers.get(job.worker ?? "");
  const worker = holder && {
    id: holder.id,
    name: holder.name,
    host: holder.host,
    pid: holder.pid,
    seenAt: new Date(holder.seenAt),
  };
  return { job, worker: worker ?? null, attempts, log, logLines: lines };
}
