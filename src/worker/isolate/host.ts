/**
 * The entry of a thread or process in which handlers run apart from their worker, one job at a time: loads the module, and does
 * what it is told. In a process nobody but its worker ends it, and it does not outlive that.
 */
import { fileURLToPath } from "node:url";
import { parentPort, Worker as Thread, workerData } from "node:worker_threads";
import { encodeResult } from "../../core/codec.js";
import { definitionsIn } from "../../core/exported.js";
import { registry, type AnyJobDefinition, type Registry } from "../../core/job.js";
import { validate } from "../../core/schema.js";
import { Snooze } from "../../core/snooze.js";
import { AbortedByHandler, DequeuedByHandler } from "../context.js";
import { HostedRun } from "./context.js";
import { enterIsolation } from "./inside.js";
import { packThrown, type Ending, type FromHost, type Order, type ToHost } from "./wire.js";

class Host {
  private current: HostedRun | null = null;

  constructor(
    private readonly jobs: Registry,
    private readonly context: unknown,
  ) {}

  take(message: ToHost): void {
    if (message === "end") process.exit(0);
    else if ("run" in message) void this.run(message.run);
    else if ("answer" in message) this.current?.answered(message);
    else this.current?.interrupt(message.abort);
  }

  private async run({ job, payload }: Order): Promise<void> {
    const run = new HostedRun(job, this.context, say);
    this.current = run;
    say("begun");
    const ended = await ending(this.jobs.get(job.kind)!, payload, run);
    run.end();
    this.current = null;
    say({ ended });
  }
}

async function ending(
  { schema, run, kind }: AnyJobDefinition,
  payload: unknown,
  job: HostedRun,
): Promise<Ending> {
  try {
    const checked =
      schema === null ? payload : await validate(schema, payload, `Payload of "${kind}"`);
    const returned: unknown = await run(checked, job);
    if (Snooze.is(returned)) return { snoozeMs: returned.delayMs };
    await job.ordersChecked();
    return { result: encodeResult(returned) };
  } catch (thrown) {
    if (Snooze.is(thrown)) return { snoozeMs: thrown.delayMs };
    if (AbortedByHandler.is(thrown)) return { aborted: thrown.message };
    if (DequeuedByHandler.is(thrown)) return "dequeued";
    return { thrown: packThrown(thrown) };
  }
}

/** What the module exports as `context`: a value, or what a function returns. */
async function contextOf(module: { context?: unknown }): Promise<unknown> {
  const { context } = module;
  return typeof context === "function" ? (context as () => unknown)() : context;
}

const say = (message: FromHost): void => {
  if (parentPort !== null) parentPort.postMessage(message);
  else if (process.connected) process.send!(message, undefined, undefined, () => undefined);
};

/** Its worker decides when it ends; a signal for the whole group, as Ctrl-C in a terminal sends, is not for it. */
function belongToWorker(pid: number, module: string): void {
  process.title = `qudo handlers ${module.startsWith("file:") ? fileURLToPath(module) : ""}`;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);
  process.on("disconnect", () => process.exit(0));
  process.on("uncaughtExceptionMonitor", (error) => say({ dying: packThrown(error) }));
  // A handler that blocks would never hear of it.
  const warden = new URL("./warden.js", import.meta.url);
  new Thread(warden, { workerData: pid, execArgv: [] }).unref();
}

function listen(take: (message: ToHost) => void): void {
  if (parentPort !== null) parentPort.on("message", take);
  else process.on("message", take);
}

enterIsolation();
const [, , given, pid] = process.argv;
const address = parentPort === null ? given! : (workerData as { module: string }).module;
if (parentPort === null) belongToWorker(Number(pid), address);
try {
  const module = (await import(address)) as object;
  const jobs = registry(definitionsIn(module).filter((job, i, all) => all.indexOf(job) === i));
  const host = new Host(jobs, await contextOf(module));
  listen((message) => host.take(message));
  say({ kinds: [...jobs.keys()] });
} catch (error) {
  say({ unusable: packThrown(error) });
}
