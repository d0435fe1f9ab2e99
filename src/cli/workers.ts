/** `qudo workers`: who works, and the end of one that hangs. */
import type { Command } from "commander";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { Gaps } from "./gaps.js";
import { plural, print, printJson, say } from "./output.js";
import { workerJson, workerLines } from "./worker-table.js";
import { invalid } from "./values.js";

export function addWorkers(program: Command): void {
  addCommand(
    program,
    {
      name: "workers",
      args: [
        ["[what]", "list, reset or cancel (default: list)"],
        ["[worker]", "which worker: its name, or the id of its session"],
      ],
      summary: "show workers, or take everything from one that hangs",
      description:
        "list shows each worker's session, with its id. reset takes from a worker all that it holds: its jobs wait again at " +
        "their places, at no cost in attempts, and others run them. cancel abandons them instead; they can be retried.\n\n" +
        "It is for workers that hang. Dead ones are found by themselves. A handler that still runs is told through its signal, " +
        "by its worker's next heartbeat, and nothing that it does counts any more; after reset its job may run a second " +
        "time meanwhile. The worker goes on under a new session.\n\n" +
        "Exit code 1 when there is no such worker.",
      examples: [
        ["qudo workers", "who works, and on what"],
        ["qudo workers reset app-1:4711", "its jobs run elsewhere"],
        ["qudo workers cancel 01a2056e-0fcc-7000-b73f-72fe5e0a14cb", "its jobs are abandoned"],
      ],
    },
    workers,
  );
}

async function workers(flags: CommonOptions, args: readonly string[]): Promise<ExitCode> {
  const [what = "list", worker] = args;
  if (what !== "list" && what !== "reset" && what !== "cancel")
    throw invalid(what, "give list, reset or cancel.");
  if (what === "list" && worker !== undefined)
    throw invalid("list", "it shows all of them; leave the worker out.");
  if (what === "list") return list(flags);
  if (worker === undefined) throw invalid(what, "give the worker: qudo workers shows them.");
  return end(flags, what, worker);
}

async function list({ database, json }: CommonOptions): Promise<ExitCode> {
  await using qudo = openExisting(database);
  const gaps = new Gaps();
  const rows = await gaps.of(qudo.monitor.workers());
  if (json) printJson({ workers: rows.map(workerJson), ...gaps.json });
  else print(workerLines(rows, Date.now(), { ids: true }).join("\n"));
  return gaps.tell();
}

async function end(
  { database, json }: CommonOptions,
  what: "reset" | "cancel",
  worker: string,
): Promise<ExitCode> {
  await using qudo = openExisting(database);
  const gaps = new Gaps();
  const ending = what === "reset" ? qudo.resetWorker(worker) : qudo.cancelWorker(worker);
  const { sessions, jobs } = await gaps.of(ending);
  if (json) printJson({ worker, sessions, jobs, ...gaps.json });
  else if (sessions > 0)
    print(`${plural(jobs, "job")} ${what === "reset" ? "given back" : "abandoned"}`);
  else say("there is no such worker: qudo workers shows them");
  return gaps.tell(sessions > 0 ? EXIT.ok : EXIT.failed);
}
