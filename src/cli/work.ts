/** `qudo work`: runs jobs until it is told to stop. */
import type { Command } from "commander";
import { DEFAULTS } from "../core/defaults.js";
import { durationMs, humanDuration } from "../core/duration.js";
import type { AnyJobDefinition } from "../core/job.js";
import { checkIsolation } from "../core/isolation.js";
import type { Usable } from "../core/plugins.js";
import { Qudo } from "../qudo.js";
import type { WorkerOptions } from "../worker/options.js";
import { parent } from "../worker/prefork/link.js";
import { wantsChildren, workAsChild, workInChildren, type ChildrenFlags } from "./children.js";
import { addCommand, type CommonOptions } from "./command.js";
import { EXIT, type ExitCode } from "./exit.js";
import { loadJobs } from "./jobs-file.js";
import { printJson, say } from "./output.js";
import { firstSignal } from "./signals.js";
import { statsLine } from "./stats-text.js";
import { duration, part, whole } from "./values.js";

interface WorkFlags extends CommonOptions, ChildrenFlags {
  jobs: string[];
  queue?: string[];
  concurrency?: string;
  lease?: string;
  name?: string;
  grace?: string;
  throttle?: string;
  isolate?: string;
}

export function addWork(program: Command, use: readonly Usable[] = []): void {
  addCommand(
    program,
    {
      name: "work",
      summary: "run jobs until SIGTERM or Ctrl-C",
      description:
        "Runs jobs of the kinds that the given files export, until SIGTERM or Ctrl-C. Then it takes no new jobs, lets " +
        "running ones finish within the grace period, gives the others back, and exits with 0. A second signal ends it at once.\n\n" +
        "With --processes, --max-jobs or --health a parent keeps so many child processes at work: one that crashes is followed by another, " +
        "SIGHUP restarts them one after the other, new code and all, and /live, /ready and figures are answered over HTTP.\n\n" +
        "The tables are made when they are missing. Messages go to stderr; with --json one line of figures goes to stdout at the end.",
      examples: [
        ["qudo work --jobs dist/jobs.js", "all queues of the jobs defined in dist/jobs.js"],
        [
          "qudo work --jobs dist/mail.js dist/http.js --queue mail --queue http=20",
          "two queues, http with 20 at once",
        ],
        [
          "qudo work --jobs dist/jobs.js --database sqlite:/var/lib/app/jobs.db --grace 10s",
          "as a service",
        ],
        [
          "qudo work --jobs dist/jobs.js --processes 4 --max-jobs 10000 --health 8080",
          "four processes, each replaced after 10,000 jobs; SIGHUP restarts them one by one",
        ],
      ],
      runsUserCode: true,
    },
    (flags: WorkFlags) => work(flags, use),
  )
    .requiredOption("--jobs <file...>", "modules that export job definitions (defineJob)")
    .option(
      "--queue <name...>",
      "serve this queue; name=20 runs 20 jobs at once (default: the queues of the jobs)",
    )
    .option(
      "--concurrency <n>",
      `jobs at once in each queue without its own number (default: ${DEFAULTS.concurrency})`,
    )
    .option(
      "--lease <duration>",
      "without a sign of life for so long, others may take its jobs (default: 30s)",
    )
    .option("--grace <duration>", "how long running jobs may go on after a signal (default: 30s)")
    .option("--name <name>", "shown in qudo status (default: host:pid)")
    .option("--throttle <part>", "the part of the time in which to work, as in 0.5 (default: 1)")
    .option(
      "--isolate <where>",
      "run handlers in a thread or process each: one that blocks or dies fails alone",
    )
    .option("--processes <n>", "so many child processes (default: none, or 1 with the next two)")
    .option("--max-jobs <n>", "replace a child after so many jobs (default: never)")
    .option("--health <address>", "answer HTTP at this port, or address:port");
}

async function work(flags: WorkFlags, use: readonly Usable[]): Promise<ExitCode> {
  const options = workerOptions(flags);
  const graceMs =
    flags.grace === undefined
      ? DEFAULTS.stopGraceMs
      : durationMs(duration(flags.grace, "--grace"), "--grace");
  if (parent() !== null) return workAsChild(flags, { ...options, grace: graceMs / 1_000 }, use);
  if (wantsChildren(flags)) return workInChildren(flags, graceMs);
  const jobs = await loadJobs(flags.jobs);
  await using qudo = new Qudo({ databases: flags.database, jobs, use });
  const told = firstSignal();
  const worker = await qudo.work(options);
  say(`working on ${await qudo.label()}, kinds: ${kinds(jobs)} (pid ${process.pid}); Ctrl-C stops`);
  const signal = await Promise.race([told, worker.stopped]);
  say(
    `${signal}: stopping; running jobs have ${humanDuration(graceMs)} to finish, a second signal ends them at once`,
  );
  await worker.stop({ grace: graceMs / 1_000, exiting: true });
  if (flags.json) printJson({ database: await qudo.label(), ...worker.stats });
  else say(statsLine(worker.stats));
  return EXIT.ok;
}

function workerOptions(flags: WorkFlags): WorkerOptions {
  const usual = concurrency(flags.concurrency, "--concurrency") ?? DEFAULTS.concurrency;
  return {
    concurrency: usual,
    // They are handled here, with words for people.
    signals: false,
    ...(flags.queue && {
      queues: Object.fromEntries(flags.queue.map((text) => queue(text, usual))),
    }),
    ...(flags.lease !== undefined && { lease: duration(flags.lease, "--lease") }),
    ...(flags.name !== undefined && { name: flags.name }),
    ...(flags.isolate !== undefined && { isolate: checkIsolation(flags.isolate) }),
    ...(flags.throttle !== undefined && { throttle: part(flags.throttle, "--throttle") }),
  };
}

/** "http" or "http=20". A name may hold "=" itself: the last one counts. */
function queue(text: string, usual: number): [name: string, concurrency: number] {
  const at = text.lastIndexOf("=");
  if (at === -1) return [text, usual];
  return [text.slice(0, at), concurrency(text.slice(at + 1), `--queue ${text}: the concurrency`)!];
}

function concurrency(text: string | undefined, what: string): number | undefined {
  if (text === undefined) return undefined;
  return whole(text, what, 1, 10_000);
}

function kinds(jobs: readonly AnyJobDefinition[]): string {
  return jobs.map(({ kind }) => kind).join(", ");
}
