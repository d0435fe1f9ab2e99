/** `qudo enqueue`: adds a job, or one for each line of stdin. */
import type { Command } from "commander";
import type { EnqueueOptions } from "../core/order.js";
import type { Order } from "../client/orders.js";
import { LIMITS } from "../core/defaults.js";
import { InvalidInputError, QudoError } from "../core/errors.js";
import { invalidId, isUuid } from "../core/ids.js";
import { checkMaxAttempts, checkName } from "../core/options.js";
import type { Usable } from "../core/plugins.js";
import { Qudo } from "../qudo.js";
import { addCommand, type CommonOptions } from "./command.js";
import { silent } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { Hider } from "./hide.js";
import { painter, plural, print, printJson, say } from "./output.js";
import { Progress } from "./progress.js";
import { check, checkedLines, definition, parsed } from "./payloads.js";
import { stdinText } from "./stdin.js";
import { safe } from "./text.js";
import { duration, invalid, moment, whole } from "./values.js";

interface EnqueueFlags extends CommonOptions {
  jobs?: string[];
  lines?: true;
  queue?: string;
  delay?: string;
  runAt?: string;
  expiresAt?: string;
  priority?: string;
  maxAttempts?: string;
  uniqueKey?: string;
  id?: string;
  keep?: string;
  wait?: true;
  timeout?: string;
}

export function addEnqueue(program: Command, use: readonly Usable[] = []): void {
  addCommand(
    program,
    {
      name: "enqueue",
      args: [
        ["<kind>", "which kind of job"],
        ["[payload]", 'JSON; "-" reads it from stdin (default: null)'],
      ],
      summary: "add a job, or many from stdin",
      description:
        "Adds a job and prints its id. The payload is JSON: in a shell put it into single quotes. When the id is printed, " +
        "the job is on disk.\n\n" +
        "With --lines each line of stdin is the payload of a job of its own. All lines are checked before the first job is " +
        "added: if one is wrong it is named by its number, and nothing is added.\n\n" +
        "The queue, attempts and schema of a kind stand in its definition: --jobs reads them. Without it the job goes to " +
        'the queue "default" unless --queue says otherwise; a worker finds it there only if it serves that queue.\n\n' +
        "The tables are made when they are missing.",
      examples: [
        ['qudo enqueue mail.send \'{"to":"ada@example.org"}\'', "one job"],
        [
          'qudo enqueue mail.send \'{"to":"ada@example.org"}\' --jobs dist/jobs.js',
          "checked and queued as its definition says",
        ],
        ["qudo enqueue report --delay 1h --unique-key nightly", "later, and only if none waits"],
        ["jq -c '.users[]' users.json | qudo enqueue greet --lines", "a job for each line"],
        ["qudo enqueue sum '[1,2]' --wait --timeout 10s", "wait for its result and print it"],
      ],
      runsUserCode: true,
    },
    (flags: EnqueueFlags, args) => enqueue(flags, args, use),
  )
    .option("--lines", "each line of stdin is one payload")
    .option(
      "--jobs <file>",
      "module that exports the kind's definition; may be given again",
      // Not as a list, as for work: it would swallow the payload.
      (file: string, before: string[] = []) => [...before, file],
    )
    .option("--queue <name>", 'which queue (default: the kind\'s, or "default")')
    .option("--delay <duration>", "run it so long from now at the earliest")
    .option("--run-at <date>", "run it at this moment at the earliest")
    .option("--expires-at <date>", "do not start it after this moment")
    .option("--priority <n>", "higher runs first (default: the kind's, or 0)")
    .option(
      "--max-attempts <n>",
      "failed tries before it is given up, -1 for ever (default: the kind's, or 6)",
    )
    .option("--unique-key <key>", "only if no unfinished job of the kind has this key")
    .option("--id <uuid>", "give it this id; the same id again adds nothing")
    .option("--keep <duration>", "how long it is kept after its end")
    .option("--wait", "wait for the job to end, and print its result as JSON")
    .option("--timeout <duration>", "how long to wait (default: as long as it takes)");
}

async function enqueue(
  flags: EnqueueFlags,
  args: readonly string[],
  use: readonly Usable[],
): Promise<ExitCode> {
  const [kind, payload] = args as [string, string?];
  const [options, timeout] = [enqueueOptions(flags), waitTime(flags, payload)];
  const job = await definition(kind, flags.jobs);
  const texts = flags.lines
    ? await checkedLines(job)
    : [payload === "-" ? await stdinText("a payload") : (payload ?? "null")];
  const place = payload === "-" ? "stdin" : "PAYLOAD";
  const order = (text: string): Order<unknown> => [job, parsed(text, place), options];
  if (!flags.lines) await check(job, parsed(texts[0]!, place));
  await using qudo = new Qudo({ databases: flags.database, logger: silent, use });
  // Of several each makes its own, and one that is out must not be in the way.
  if (!Array.isArray(flags.database)) await sayIfMade(qudo);
  const added = await addAll(qudo, texts, order, flags);
  if (flags.wait) return await waitFor(qudo, added[0]!, order(texts[0]!), timeout, flags);
  if (flags.json) printJson({ jobs: added });
  else sayCounts(added, flags);
  return EXIT.ok;
}

function enqueueOptions(flags: EnqueueFlags): EnqueueOptions {
  const { queue, delay, runAt, expiresAt, priority, maxAttempts, uniqueKey, id, keep } = flags;
  if (id !== undefined && !isUuid(id)) throw invalidId(id);
  if (delay !== undefined && runAt !== undefined)
    throw invalid("--run-at", "give --delay or --run-at, not both.");
  const most = LIMITS.priority;
  return {
    ...(queue !== undefined && { queue: checkName(queue, "--queue") }),
    ...(delay !== undefined && { delay: duration(delay, "--delay") }),
    ...(runAt !== undefined && { runAt: moment(runAt, "--run-at") }),
    ...(expiresAt !== undefined && { expiresAt: moment(expiresAt, "--expires-at") }),
    ...(priority !== undefined && { priority: whole(priority, "--priority", -most, most) }),
    ...(maxAttempts !== undefined && {
      maxAttempts: checkMaxAttempts(whole(maxAttempts, "--max-attempts", -1, 1_000_000)),
    }),
    ...(uniqueKey !== undefined && { uniqueKey }),
    ...(id !== undefined && { id }),
    ...(keep !== undefined && { keep: duration(keep, "--keep") }),
  };
}

/** What cannot go together is refused before anything is read. Returns the time-out. */
function waitTime(flags: EnqueueFlags, payload: string | undefined): string | number | undefined {
  if (flags.lines) {
    if (payload !== undefined && payload !== "-")
      throw invalid("--lines", "the payloads come from stdin; leave PAYLOAD out.");
    for (const [name, value] of Object.entries({
      "--id": flags.id,
      "--unique-key": flags.uniqueKey,
      "--wait": flags.wait,
    }))
      if (value !== undefined) throw invalid("--lines", `${name} is for one job only.`);
  }
  if (flags.timeout === undefined) return undefined;
  if (!flags.wait) throw invalid("--timeout", "it belongs to --wait.");
  return duration(flags.timeout, "--timeout");
}

interface Added {
  readonly id: string;
  readonly status: "inserted" | "duplicate" | "unique";
  readonly holder: string | null;
}

/** As many as share a commit. */
const PIECE = LIMITS.rowsPerStatement;

/** In pieces, so that ids appear as their jobs are on disk. */
async function addAll(
  qudo: Qudo,
  texts: readonly string[],
  order: (text: string) => Order<unknown>,
  { json, wait }: EnqueueFlags,
): Promise<Added[]> {
  const added: Added[] = [];
  const printed = !json && !wait;
  using _ = new Progress(
    () => `${plural(added.length, "job")} of ${texts.length.toLocaleString("en-US")} added`,
    printed && process.stdout.isTTY ? "hidden" : "shown",
  );
  for (let i = 0; i < texts.length; i += PIECE) {
    const orders = texts.slice(i, i + PIECE).map(order);
    const outcomes = await qudo.enqueueMany(orders).catch((error: unknown) => {
      throw texts.length > 1 ? interrupted(error, i) : error;
    });
    for (const { id, status, holder } of outcomes) added.push({ id, status, holder });
    if (printed) print(outcomes.map(({ id, holder }) => holder ?? id).join("\n"));
  }
  return added;
}

/** Nobody should have to guess how far it came. */
function interrupted(error: unknown, done: number): unknown {
  if (!(error instanceof QudoError) || error instanceof InvalidInputError) return error;
  const far = `The first ${plural(done, "job")} were added; of the next ${PIECE} some may have been.`;
  return new QudoError(error.code, `${error.message}\n${far}`, { cause: error });
}

async function sayIfMade(qudo: Qudo): Promise<void> {
  const { from } = await qudo.migrate();
  if (from === null) say(`${safe(await qudo.label())}: tables created`);
}

function sayCounts(added: readonly Added[], { lines }: EnqueueFlags): void {
  if (lines) say(`${plural(added.length, "job")} added`);
  else if (added[0]!.status === "duplicate")
    say("nothing added: there is a job with this id already");
  else if (added[0]!.status === "unique")
    say("nothing added: this job has the unique key and has not ended");
}

/** The id goes to stderr, so that stdout is the result alone. */
async function waitFor(
  qudo: Qudo,
  added: Added,
  [{ redact }, payload]: Order<unknown>,
  timeout: string | number | undefined,
  { json }: EnqueueFlags,
): Promise<ExitCode> {
  const id = added.holder ?? added.id;
  if (!json) say(painter(process.stderr).dim(`waiting for job ${id}`));
  try {
    const result = await qudo.jobs.result(id, timeout === undefined ? {} : { timeout });
    if (json) printJson({ jobs: [added], result: result ?? null });
    else print(JSON.stringify(result ?? null, null, 2));
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof QudoError)) throw error;
    const message = new Hider({ payload, redact }).text(error.message);
    if (!json) throw new QudoError(error.code, message, { cause: error });
    printJson({ jobs: [added], error: { code: error.code, message } });
    return EXIT.failed;
  }
}
