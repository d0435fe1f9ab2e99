/** `qudo work --processes`: the parent of children that run the same command line, and one such child. */
import { fileURLToPath } from "node:url";
import { ChildFailedError } from "../core/errors.js";
import type { Usable } from "../core/plugins.js";
import { Qudo } from "../qudo.js";
import type { Logger, WorkerOptions } from "../worker/options.js";
import { prefork } from "../worker/prefork/index.js";
import type { CommonOptions } from "./command.js";
import { EXIT, type ExitCode } from "./exit.js";
import { loadJobs } from "./jobs-file.js";
import { plural, printJson, say } from "./output.js";
import { statsLine } from "./stats-text.js";
import { safeLines } from "./text.js";
import { whole } from "./values.js";

/** Those of `qudo work` that ask for children. */
export interface ChildrenFlags {
  processes?: string;
  maxJobs?: string;
  health?: string;
}

/** Longer than a worker takes from the end of its grace to its own end. */
const AFTER_GRACE_MS = 15_000;

export function wantsChildren({ processes, maxJobs, health }: ChildrenFlags): boolean {
  return processes !== undefined || maxJobs !== undefined || health !== undefined;
}

/** Its children are given the very same command line: what stands in the environment, such as an address, stays there. */
export async function workInChildren(
  flags: ChildrenFlags & CommonOptions,
  graceMs: number,
): Promise<ExitCode> {
  const { maxJobs, health } = flags;
  const processes = whole(flags.processes ?? "1", "--processes", 1, 1_000);
  await using children = await prefork({
    script: fileURLToPath(new URL("./main.js", import.meta.url)),
    args: process.argv.slice(2),
    processes,
    ...(maxJobs !== undefined && { maxJobs: whole(maxJobs, "--max-jobs", 1, 2 ** 31) }),
    ...(health !== undefined && { health }),
    stopTimeout: (graceMs + AFTER_GRACE_MS) / 1_000,
    logger: spoken,
  });
  const endpoint = children.health === null ? "" : `, health at ${children.health}`;
  const who = processes === 1 ? "1 process" : `${processes} processes`;
  say(
    `starting ${who} (parent: pid ${process.pid})${endpoint}; Ctrl-C stops, SIGHUP restarts them one by one`,
  );
  try {
    await children.stopped;
  } catch (error) {
    // It has said why.
    if (!(error instanceof ChildFailedError) || error.exitCode === null) throw error;
    return error.exitCode === EXIT.usage ? EXIT.usage : EXIT.failed;
  }
  const { stats, crashes, restarts } = children.figures;
  if (flags.json) printJson({ processes, crashes, restarts, ...stats });
  else say(`${statsLine(stats)}${crashes === 0 ? "" : `; ${plural(crashes, "crash")}`}`);
  return EXIT.ok;
}

/** It is silent: its parent tells what there is to tell. */
export async function workAsChild(
  flags: { jobs: string[] } & CommonOptions,
  options: WorkerOptions,
  use: readonly Usable[],
): Promise<ExitCode> {
  const jobs = await loadJobs(flags.jobs);
  await using qudo = new Qudo({ databases: flags.database, jobs, use });
  const worker = await qudo.work({ ...options, signals: true });
  await worker.stopped;
  return EXIT.ok;
}

const tell = (message: string): void => say(safeLines(message.replace(/^qudo: /, "")));
const spoken: Logger = { debug: () => undefined, info: tell, warn: tell, error: tell };
