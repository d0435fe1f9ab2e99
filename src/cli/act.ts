/** What `qudo retry` and `qudo cancel` share: jobs by their ids or by a filter, tried out or done, and told. */
import type { Command } from "commander";
import type { BulkOptions, BulkOutcome } from "../client/bulk.js";
import type { JobFilter } from "../client/filter.js";
import { IncompleteError, InvalidInputError } from "../core/errors.js";
import { invalidId, isUuid } from "../core/ids.js";
import { JOB_STATES, type JobState } from "../core/states.js";
import type { Qudo } from "../qudo.js";
import { addCommand, type CommandText, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { Gaps } from "./gaps.js";
import { addFilterOptions, filterOf, type FilterFlags } from "./filter-options.js";
import { hideJob } from "./hide.js";
import { jobTable } from "./job-table.js";
import { painter, plural, print, printJson, say } from "./output.js";
import { during, Progress } from "./progress.js";
import { stdinWords } from "./stdin.js";
import { invalid } from "./values.js";

/** What is done to jobs, and how one speaks of it. */
export interface Action {
  /** "cancelled" */
  readonly done: string;
  /** The jobs to which it can be done. */
  readonly states: readonly JobState[];
  /** What keeps a job in another state from it: "ended well". */
  readonly otherState: (state: JobState) => string;
  /** Why one that a filter means may be passed by though it did not move: "a job was made of it before". */
  readonly already?: string;
  /** Null when it was done, or the job that was made; else why not. */
  one(qudo: Qudo, id: string): Promise<string | Made | null>;
  all(qudo: Qudo, filter: JobFilter, options: BulkOptions): Promise<BulkOutcome>;
}

/** A new job in place of the one that was meant. */
export interface Made {
  readonly made: string;
}

export interface ActFlags extends CommonOptions, FilterFlags {
  all?: true;
  dryRun?: true;
}

/** `actionOf`: what is done, where flags of its own say so. */
export function addAction<Flags extends ActFlags>(
  program: Command,
  text: Omit<CommandText, "args">,
  actionOf: (flags: Flags) => Action,
): Command {
  const command = addCommand<Flags>(
    program,
    { ...text, args: [["[ids...]", 'which jobs; "-" reads their ids from stdin']] },
    (flags, args) =>
      args.length > 0 ? byIds(actionOf(flags), flags, args) : byFilter(actionOf(flags), flags),
  );
  return addFilterOptions(command)
    .option("--all", "all jobs that it can be done to, when nothing else says which")
    .option("--dry-run", "say what would be done, and do nothing");
}

// — by ids

interface Told {
  readonly id: string;
  /** Null: it was, or would be, done. */
  readonly refused: string | null;
  /** The job that was made. */
  readonly made?: string;
}

function told(id: string, answer: string | Made | null): Told {
  if (answer === null || typeof answer === "string") return { id, refused: answer };
  return { id, refused: null, made: answer.made };
}

async function byIds(action: Action, flags: ActFlags, args: readonly string[]): Promise<ExitCode> {
  const filtered = Object.keys(filterOf(flags));
  if (filtered.length > 0 || flags.all)
    throw invalid(`--${filtered[0] ?? "all"}`, "give ids or say which jobs by options, not both.");
  const ids = await checkedIds(args);
  await using qudo = openExisting(flags.database);
  const all: Told[] = [];
  {
    using _ = new Progress(() => `${all.length} of ${plural(ids.length, "job")} ${action.done}`);
    const act = flags.dryRun ? wouldRefuse(action) : action.one.bind(action);
    for (const id of ids) all.push(told(id, await act(qudo, id).catch(missing)));
  }
  const refused = all.filter((one) => one.refused !== null);
  const changed = all.length - refused.length;
  const dryRun = flags.dryRun ?? false;
  if (flags.json) printJson({ dryRun, matched: all.length, changed, jobs: all });
  else {
    for (const one of refused) say(`${one.id}: ${one.refused}`);
    for (const { id, made } of all) if (made !== undefined) print(`${id}: ${made}`);
    print(summary(action, changed, dryRun) + (refused.length > 0 ? `, ${refused.length} not` : ""));
  }
  return refused.length === 0 ? EXIT.ok : EXIT.failed;
}

/** All of them are looked at before anything is done to the first. */
async function checkedIds(args: readonly string[]): Promise<string[]> {
  const lists = await Promise.all(
    args.map((arg) => (arg === "-" ? stdinWords("ids of jobs") : [arg])),
  );
  const ids = lists.flat();
  for (const id of ids) if (!isUuid(id)) throw invalidId(id);
  return [...new Set(ids.map((id) => id.toLowerCase()))];
}

function wouldRefuse({ states, otherState }: Action): Action["one"] {
  return async (qudo, id) => {
    const job = await qudo.jobs.get(id);
    if (job === null) return ABSENT;
    return states.includes(job.state) ? null : `it ${otherState(job.state)}`;
  };
}

export const ABSENT = "there is no such job";

/** In one of several databases that could not be asked it may be. The others of the ids go on. */
function missing(error: unknown): string {
  if (!(error instanceof IncompleteError)) throw error;
  const names = error.unasked.map(({ database }) => database).join(", ");
  return `${ABSENT}, unless it is in what could not be asked: ${names}`;
}

// — by filter

/** How many of them a dry run shows. */
const FIRST = 5;

async function byFilter(action: Action, flags: ActFlags): Promise<ExitCode> {
  const filter = filterOf(flags);
  checkStates(action, flags.state);
  if (Object.keys(filter).length === 0 && !flags.all)
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      "Which jobs? Give their ids, or options such as --queue mail; --all means all of them.",
    );
  await using qudo = openExisting(flags.database);
  return await (flags.dryRun ? tryOut : act)(qudo, action, filter, flags);
}

/** Unknown states are left to the API, which names the known ones. */
function checkStates({ done, states, otherState }: Action, asked: readonly string[] = []): void {
  for (const state of JOB_STATES.filter((known) => asked.includes(known)))
    if (!states.includes(state))
      throw invalid(
        "--state",
        `"${state}" jobs cannot be ${done}: such a job ${otherState(state)}. Give ${states.join(", ")}.`,
      );
}

async function tryOut(
  qudo: Qudo,
  action: Action,
  filter: JobFilter,
  { json }: ActFlags,
): Promise<ExitCode> {
  const gaps = new Gaps();
  const { matched } = await gaps.of(action.all(qudo, filter, { dryRun: true }));
  const page = await gaps.of(qudo.jobs.page({ state: action.states, ...filter, limit: FIRST }));
  const first = page.jobs.map(hideJob);
  if (json) printJson({ dryRun: true, matched, changed: 0, refused: {}, first, ...gaps.json });
  else {
    if (first.length > 0) print(`${jobTable(first, Date.now()).join("\n")}\n`);
    print(summary(action, matched, true) + more(matched - first.length));
  }
  return gaps.tell();
}

function more(unseen: number): string {
  return unseen > 0 ? painter(process.stdout).dim(` (the first ${FIRST} are shown)`) : "";
}

async function act(
  qudo: Qudo,
  action: Action,
  filter: JobFilter,
  { json }: ActFlags,
): Promise<ExitCode> {
  const gaps = new Gaps();
  const { matched, changed, refused } = await during(`jobs are being ${action.done}`, () =>
    gaps.of(action.all(qudo, filter, {})),
  );
  if (json) printJson({ dryRun: false, matched, changed, refused, ...gaps.json });
  else print([summary(action, changed, false), ...refusals(action, refused)].join("\n"));
  // Jobs that moved on by themselves meanwhile are nobody's failure; a key that others have is in the way.
  return gaps.tell(refused.unique === undefined ? EXIT.ok : EXIT.failed);
}

function summary({ done }: Action, n: number, dryRun: boolean): string {
  return `${plural(n, "job")} ${dryRun ? `would be ${done}` : done}`;
}

function refusals({ already }: Action, refused: BulkOutcome["refused"]): string[] {
  return Object.entries(refused).map(([why, n]) => {
    if (why === "already" && already !== undefined) return `${plural(n, "job")} not: ${already}`;
    if (why === "unique")
      return `${plural(n, "job")} not: another unfinished job has the unique key`;
    return `${plural(n, "job")} not: ${why === "absent" ? "gone" : "moved on"} meanwhile`;
  });
}
