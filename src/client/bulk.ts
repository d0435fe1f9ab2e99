/** Many jobs at once, by filter: page by page, in sets, each job at most once. */
import { LIMITS } from "../core/defaults.js";
import { InvalidInputError } from "../core/errors.js";
import { checkFlag, checkOptions } from "../core/options.js";
import type { JobState } from "../core/states.js";
import type { Driver, JobPage, JobRow } from "../storage/driver.js";
import { Gaps } from "./gaps.js";
import { checkFilter, type JobFilter, type Selection } from "./filter.js";

/** What many jobs at once are acted on with. */
export interface BulkOptions {
  /** Counts only what the filter means, and changes nothing. Default false. */
  dryRun?: boolean;
}

/** What became of the jobs that a filter meant. */
export interface BulkOutcome {
  readonly matched: number;
  /** Cancelled, or asked for again. */
  readonly changed: number;
  /**
   * How many were left as they were, by why: "already" had ended, "absent" is gone meanwhile, "unique": another job has
   * the key, or the state in which nothing can be asked for again.
   */
  readonly refused: Readonly<Partial<Record<Refusal, number>>>;
}

/** Why a job that was meant was left as it was, or the state it was in. */
export type Refusal = "already" | "absent" | "unique" | JobState;

export interface BulkAction {
  readonly name: string;
  /** What is meant where a filter names no state: those in which the action can do something. */
  readonly states: readonly JobState[];
  /** What has moved meanwhile, from where had not been looked yet to where had, is looked for again, until there is nothing left. Default: no. */
  readonly thorough?: true;
  /** One answer per job, in order; null for one that was changed. */
  act(driver: Driver, ids: readonly string[]): Promise<(Refusal | null)[]>;
}

/** A page holds whole payloads. */
export const PAGE = 100;

export async function actOnAll(
  open: () => Promise<Driver>,
  action: BulkAction,
  filter: JobFilter,
  options: BulkOptions,
): Promise<BulkOutcome> {
  if (filter === undefined) throw wantsFilter(action.name);
  checkOptions(options, ["dryRun"], action.name);
  const dryRun = checkFlag(options.dryRun ?? false, "dryRun");
  const select = checkFilter(filter, action.name);
  const { driver, selection } = await select(await open());
  const meant = await bounded(driver, { states: action.states, ...selection });
  const refused: Partial<Record<Refusal, number>> = {};
  const unasked = new Gaps();
  let [matched, changed] = [0, 0];
  for (let before = -1; changed > before;) {
    before = action.thorough === true && !dryRun ? changed : Infinity;
    for await (const ids of sets(driver, meant, unasked)) {
      matched += ids.length;
      if (dryRun) continue;
      for (const refusal of await unasked.passing(action.act(driver, ids)))
        if (refusal === null) changed++;
        else refused[refusal] = (refused[refusal] ?? 0) + 1;
    }
  }
  return unasked.complete({ matched, changed, refused });
}

/** A forgotten variable must not mean everything. */
function wantsFilter(name: string): InvalidInputError {
  return new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `${name} takes a filter, as in { queue: "mail" }. To mean everything give {}.`,
  );
}

/** Jobs that arrive while it runs are not meant: it ends, however fast they come. */
async function bounded(driver: Driver, selection: Selection): Promise<Selection> {
  const { now } = await driver.ping();
  // What was enqueued in this very millisecond was there before the call.
  return { ...selection, until: Math.min(selection.until ?? Infinity, now + 1) };
}

/** Ids, up to 1,000 at a time. A job that moves is found again on a later page; it is given once. */
async function* sets(
  driver: Driver,
  selection: Selection,
  unasked: Gaps,
): AsyncGenerator<string[]> {
  const given = new Set<string>();
  let set: string[] = [];
  for await (const { id } of rowsOf(driver, selection, unasked)) {
    if (given.has(id)) continue;
    given.add(id);
    set.push(id);
    if (set.length < LIMITS.rowsPerStatement) continue;
    yield set;
    set = [];
  }
  if (set.length > 0) yield set;
}

/** All rows of a selection, read in pages. `unasked` hears of databases whose rows are missing. */
export async function* rowsOf(
  driver: Driver,
  selection: Selection,
  unasked: Gaps,
): AsyncGenerator<JobRow> {
  let after: string | null = null;
  do {
    const query = { ...selection, limit: PAGE, ...(after && { after }) };
    const page: JobPage = await unasked.passing(driver.listJobs(query));
    yield* page.rows;
    after = page.next;
  } while (after !== null);
}
