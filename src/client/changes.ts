/**
 * What changed since a moment, in the order of time: jobs that became due and wait, runs that are shown as running, and runs that
 * ended. Three lists of the database, each in order by an index of its own, merged as they are read: what is asked for is what was
 * written since, and not what is kept.
 */
import type { Duration } from "../core/duration.js";
import { durationMs } from "../core/duration.js";
import { DatabaseError } from "../core/errors.js";
import { checkName, checkOptions, checkSignal } from "../core/options.js";
import type { RunState } from "../core/states.js";
import { sleep, type Time } from "../core/time.js";
import type { AttemptRow, Driver, DueRow, RunningRow } from "../storage/driver.js";
import { checkKinds } from "./attempts.js";
import { choose, type Chosen } from "./databases.js";
import { checkMoment } from "./filter.js";
import { Gaps } from "./gaps.js";
import { attemptInfo, type AttemptInfo } from "./info.js";
import { rowsOfPages } from "./overdue.js";

/** Whose changes are shown. */
export interface ChangesOptions {
  /** Of this queue. Default: of all. */
  queue?: string;
  /** Any of these kinds. Default: all. */
  kinds?: readonly string[];
  /** Name of one of several databases. Default: all. */
  database?: string;
}

/** Whose changes are followed, and from when on. */
export interface FollowOptions extends ChangesOptions {
  /** From this moment on, or from so long ago, by the database's clock. Default: from now on. */
  since?: Date | Duration;
  /** Between two looks. Default 1 s. */
  every?: Duration;
  /** Ends it: the loop over it ends, and throws nothing. */
  signal?: AbortSignal;
}

/** One change of one job. */
export interface Change {
  /** By its database's clock. */
  readonly at: Date;
  /**
   * "due": it became due then, and waits; "running": a worker runs it since; else what a run came to then. A job that somebody has
   * taken since is told of by what became of it, and not as "due" any more.
   */
  readonly what: "due" | "running" | RunState;
  readonly job: string;
  readonly run: number;
  readonly kind: string;
  readonly queue: string;
  /** The worker's session; null where none had it. */
  readonly worker: string | null;
  /** What the run came to; null while it has not ended. */
  readonly attempt: AttemptInfo | null;
  /** Name of the one it is in, of several databases. */
  readonly database?: string;
}

const OPTIONS = ["queue", "kinds", "database"] as const satisfies readonly (keyof ChangesOptions)[];

/** The filter, checked. */
interface Asked {
  readonly since: number;
  readonly query: Omit<Query, "since" | "until">;
  readonly chosen: Chosen;
}

interface Query {
  readonly queue?: string;
  readonly kinds?: readonly string[];
  readonly since: number;
  readonly until: number;
}

/** All that changed from then until now. */
export async function* changesSince(
  open: () => Promise<Driver>,
  since: Date | Duration,
  options: ChangesOptions,
): AsyncGenerator<Change> {
  checkOptions(options, OPTIONS, "monitor.changesSince");
  const { since: from, query, chosen } = await checkChanges(since, options)(await open());
  const unasked = new Gaps();
  const until = (await chosen.driver.time()) + 1;
  yield* inOrder(listsOf(chosen, { ...query, since: from, until }, unasked));
  unasked.complete(undefined);
}

/**
 * A transaction's moments are those of its statements, and others see it when it has committed: each look goes back by so much, and
 * passes over what it has shown. What takes longer to commit, as a user's own transaction may, is not followed.
 */
const OVERLAP_MS = 5_000;

const FOLLOW_OPTIONS = [...OPTIONS, "since", "every", "signal"] as const;

/** All that changes from then on, until the signal ends it. */
export async function* follow(
  open: () => Promise<Driver>,
  time: Time,
  options: FollowOptions,
): AsyncGenerator<Change> {
  checkOptions(options, FOLLOW_OPTIONS, "monitor.follow");
  const { since = 0, every = "1s", signal, ...only } = options;
  const check = checkChanges(since, only);
  if (signal !== undefined) checkSignal(signal);
  const everyMs = Math.max(10, durationMs(every, "every"));
  const { since: begin, query, chosen } = await check(await open());
  const parts: readonly Chosen[] = chosen.driver.parts?.map(({ name, driver }) => ({
    driver,
    database: name,
  })) ?? [chosen];
  const followed = parts.map((part) => new Followed(part, query, begin));
  const seen = new Seen();
  if (signal?.aborted === true) return;
  for (;;) {
    const lists = await Promise.all(followed.map((one) => one.look()));
    for await (const change of inOrder(lists.flat())) if (seen.isNew(change)) yield change;
    for (const one of followed) one.looked();
    seen.forget(Math.min(...followed.map(({ from }) => from)));
    try {
      await sleep(time, everyMs, signal === undefined ? {} : { signal });
    } catch {
      return;
    }
  }
}

/** One database while it is followed. One that cannot be asked is asked again from where it was, by each look. */
class Followed {
  private until: number | null = null;

  constructor(
    private readonly chosen: Chosen,
    private readonly query: Asked["query"],
    /** From here on it may hold what was not shown. */
    public from: number,
  ) {}

  async look(): Promise<AsyncGenerator<Change>[]> {
    const { chosen, query, from: since } = this;
    try {
      const until = (await chosen.driver.time()) + 1;
      this.until = until;
      const lists = listsOf(chosen, { ...query, since, until }, new Gaps());
      return lists.map((list) => this.asFarAsItGoes(list));
    } catch (error) {
      this.failed(error);
      return [];
    }
  }

  looked(): void {
    if (this.until !== null) this.from = Math.max(this.from, this.until - OVERLAP_MS);
    this.until = null;
  }

  private async *asFarAsItGoes(list: AsyncGenerator<Change>): AsyncGenerator<Change> {
    try {
      yield* list;
    } catch (error) {
      this.failed(error);
    }
  }

  private failed(error: unknown): void {
    if (!(error instanceof DatabaseError && error.transient)) throw error;
    this.until = null;
  }
}

/** What was shown and may be met again. */
class Seen {
  private readonly keys = new Map<string, number>();

  isNew({ what, job, run, at }: Change): boolean {
    const key = `${what}/${job}/${run}`;
    if (this.keys.has(key)) return false;
    this.keys.set(key, at.getTime());
    return true;
  }

  /** Nothing before this moment is asked for again. */
  forget(before: number): void {
    for (const [key, at] of this.keys) if (at < before) this.keys.delete(key);
  }
}

function checkChanges(
  since: Date | Duration,
  { queue, kinds, database }: ChangesOptions = {},
): (all: Driver) => Promise<Asked> {
  const from = checkMoment(since, "since");
  const query = {
    ...(queue !== undefined && { queue: checkName(queue, "queue") }),
    ...(kinds !== undefined && { kinds: checkKinds(kinds) }),
  };
  return async (all) => {
    const chosen = choose(all, database);
    return { chosen, query, since: await from(chosen.driver) };
  };
}

function listsOf(
  { driver, database }: Chosen,
  query: Query,
  unasked: Gaps,
): AsyncGenerator<Change>[] {
  const due = rowsOfPages(unasked, (page) => driver.listDue({ ...query, ...page }));
  const running = rowsOfPages(unasked, (page) => driver.listRunning({ ...query, ...page }));
  const ended = rowsOfPages(unasked, (page) => driver.listAttempts({ ...query, ...page }));
  return [
    mapped(due, (row) => dueChange(row, database)),
    mapped(running, (row) => runningChange(row, database)),
    mapped(ended, (row) => endedChange(row, database)),
  ];
}

async function* mapped<Row>(
  rows: AsyncGenerator<Row>,
  map: (row: Row) => Change,
): AsyncGenerator<Change> {
  for await (const row of rows) yield map(row);
}

/** Lists that are in order each, as one. Of one moment the earlier lists come first. */
async function* inOrder(lists: readonly AsyncGenerator<Change>[]): AsyncGenerator<Change> {
  try {
    const next = await Promise.all(lists.map((list) => list.next()));
    for (;;) {
      let first = -1;
      for (const [i, { value, done }] of next.entries())
        if (done !== true && (first < 0 || value.at < (next[first]!.value as Change).at)) first = i;
      if (first < 0) return;
      yield next[first]!.value as Change;
      next[first] = await lists[first]!.next();
    }
  } finally {
    await Promise.all(lists.map((list) => list.return(undefined)));
  }
}

interface Common {
  readonly job: string;
  readonly run: number;
  readonly kind: string;
  readonly queue: string;
  readonly database?: string;
}

function common(row: Common, database = row.database) {
  const { job, run, kind, queue } = row;
  return { job, run, kind, queue, ...(database !== undefined && { database }) };
}

function dueChange(row: DueRow, database?: string): Change {
  const at = new Date(row.dueAt);
  return { at, what: "due", ...common(row, database), worker: null, attempt: null };
}

function runningChange(row: RunningRow, database?: string): Change {
  const at = new Date(row.startedAt);
  return { at, what: "running", ...common(row, database), worker: row.session, attempt: null };
}

function endedChange(row: AttemptRow, database?: string): Change {
  const attempt = attemptInfo(row, database);
  const { endedAt: at, state: what, worker } = attempt;
  return { at, what, ...common(row, database), worker, attempt };
}
