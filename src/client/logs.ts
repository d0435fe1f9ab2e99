/** The logs that an older queue kept in tables of their own: here they are views of the one log of outcomes. */
import { askAll, complete } from "../core/ask.js";
import type { Duration } from "../core/duration.js";
import { InvalidInputError } from "../core/errors.js";
import { checkInteger, checkOptions } from "../core/options.js";
import type { Reason, RunState } from "../core/states.js";
import type { Serializers } from "../core/serializer.js";
import type { AttemptRow, Driver, JobRow, LaneCounts } from "../storage/driver.js";
import { checkAttemptFilter, checkKinds, MOST_OFFSET } from "./attempts.js";
import { choose } from "./databases.js";
import { Gaps } from "./gaps.js";
import { attemptInfo, jobInfo } from "./info.js";

/** Which rows of a log are shown. */
export interface LogOptionsOfRuns {
  /** At most so many, 1 to 1,000. Default 10. */
  limit?: number;
  /** Passes over so many, at most 10,000. Default 0. */
  offset?: number;
  /** Any of these kinds. Default: all. */
  kinds?: readonly string[];
  /** The same as `kinds`, as it was once called. */
  funcs?: readonly string[];
  /** Of this queue. Default: of all. */
  queue?: string;
  /** Ended at this moment or later; a duration means so long ago, by the database's clock. */
  since?: Date | Duration;
  /** Ended before this moment; a duration means longer ago than that. */
  until?: Date | Duration;
  /** Default false: oldest first, as they are written. */
  newestFirst?: boolean;
  /** Name of one of several databases. Default: all of them merged. */
  database?: string;
}

/** What both logs say of a run. */
export interface LoggedRun {
  readonly job: string;
  readonly run: number;
  readonly kind: string;
  readonly queue: string;
  /** What its job was enqueued with; null where that cannot be read. */
  readonly arg: unknown;
  readonly uniqueKey: string | null;
  /** Paths in `arg` that are not to be shown to people. */
  readonly redact: readonly string[] | null;
  /** The worker's session; null where nobody held it. */
  readonly worker: string | null;
  readonly state: RunState;
  /** Name of the one it is in, of several databases. */
  readonly database?: string;
}

/** A run that failed: thrown, timed out, given up, or its worker died. */
export interface ExceptionInfo extends LoggedRun {
  readonly at: Date;
  /** The first line of the error; why it was given up where there is none. */
  readonly message: string;
  /** With its stack; null where the run left none. */
  readonly error: string | null;
  /** A new job was made of it: `qudo.enqueueFromFailed` refuses to make another one. */
  readonly retried: boolean;
  /** That job. */
  readonly retriedBy: string | null;
}

/** A run that ended, be it well or not. */
export interface JobStatusInfo extends LoggedRun {
  /** "abort": given up without another try, by its handler or by an operator. */
  readonly status: "completed" | "failed" | "abort";
  /** Null where it never started. */
  readonly startedAt: Date | null;
  readonly endedAt: Date;
}

/** How many unfinished jobs there are in one database. */
export interface JobCount {
  /** Its name among several; null where there is no list of databases. */
  readonly database: string | null;
  readonly jobs: number;
}

const OPTIONS = [
  "limit",
  "offset",
  "kinds",
  "funcs",
  "queue",
  "since",
  "until",
  "newestFirst",
  "database",
] as const satisfies readonly (keyof LogOptionsOfRuns)[];

export class Logs {
  constructor(
    private readonly driver: () => Promise<Driver>,
    private readonly serializers: Serializers,
  ) {}

  exceptions(options: LogOptionsOfRuns = {}): Promise<ExceptionInfo[]> {
    const states = ["failed", "abandoned", "crashed"] as const;
    return this.read("exceptionList", options, states, (run, attempt) => {
      const { error, retriedBy = null } = attempt;
      const { endedAt: at, reason } = attemptInfo(attempt);
      const message = error === null ? without(reason) : error.trimStart().split(/[\r\n]/, 1)[0]!;
      return { ...run, at, message, error, retried: retriedBy !== null, retriedBy };
    });
  }

  statuses(options: LogOptionsOfRuns = {}): Promise<JobStatusInfo[]> {
    const states = ["done", "failed", "abandoned", "crashed"] as const;
    return this.read("jobStatusList", options, states, (run, attempt) => {
      const { startedAt, endedAt, reason } = attemptInfo(attempt);
      return { ...run, status: statusOf(run.state, reason), startedAt, endedAt };
    });
  }

  /** Unfinished jobs of these kinds, of each database by itself. */
  async count(kinds: string | readonly string[] | undefined, name?: string): Promise<JobCount[]> {
    const wanted = kinds === undefined ? undefined : checkKinds([kinds].flat());
    const all = await this.driver();
    choose(all, name);
    const jobsOf = async (driver: Driver): Promise<number> =>
      (await driver.counts({ ended: false }))
        .filter(({ kind }) => wanted?.includes(kind) ?? true)
        .reduce((sum, row) => sum + unfinished(row), 0);
    if (all.parts === undefined) return [{ database: null, jobs: await jobsOf(all) }];
    const parts = all.parts.filter((part) => name === undefined || part.name === name);
    const { answers, unasked } = await askAll(parts, ({ driver }) => jobsOf(driver));
    return complete(
      unasked,
      answers.map(({ part, said: jobs }) => ({ database: part.name, jobs })),
    );
  }

  private async read<Row>(
    name: string,
    options: LogOptionsOfRuns,
    states: readonly RunState[],
    show: (run: LoggedRun, attempt: AttemptRow) => Row,
  ): Promise<Row[]> {
    const { limit = 10, offset = 0, funcs, ...filter } = options ?? {};
    checkOptions(options ?? {}, OPTIONS, name);
    const select = checkAttemptFilter({ ...filter, ...kindsOf(filter.kinds, funcs), states }, name);
    checkInteger(limit, "limit", 1, 1_000);
    checkInteger(offset, "offset", 0, MOST_OFFSET);
    const { driver, database } = choose(await this.driver(), filter.database);
    const unasked = new Gaps();
    const query = { ...(await select(driver)), limit, offset };
    const { rows } = await unasked.passing(driver.listAttempts(query));
    const ids = [...new Set(rows.map(({ job }) => job))];
    const found = ids.length === 0 ? [] : await unasked.passing(driver.getJobs(ids));
    const jobs = new Map(found.map((job, i) => [ids[i]!, job]));
    return unasked.complete(
      rows.map((row) => show(this.loggedRun(row, jobs.get(row.job) ?? null, database), row)),
    );
  }

  /** The job may have been pruned between the two looks. */
  private loggedRun(row: AttemptRow, job: JobRow | null, where: string | undefined): LoggedRun {
    const { run, kind, queue, session: worker, state } = row;
    const database = where ?? row.database;
    const { payload, uniqueKey, redact } =
      job === null
        ? { payload: null, uniqueKey: null, redact: null }
        : jobInfo(job, this.serializers);
    const said = { job: row.job, run, kind, queue, arg: payload, uniqueKey, redact, worker, state };
    return { ...said, ...(database !== undefined && { database }) };
  }
}

function kindsOf(
  kinds: readonly string[] | undefined,
  funcs: readonly string[] | undefined,
): { kinds?: readonly string[] } {
  if (kinds !== undefined && funcs !== undefined)
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      "kinds and funcs mean the same: give one of them.",
    );
  const all = kinds ?? funcs;
  return all === undefined
    ? {}
    : { kinds: checkKinds(all, kinds === undefined ? "funcs" : "kinds") };
}

const GIVEN_UP: Readonly<Record<Reason, string>> = {
  attempts: "no tries left",
  crashes: "its workers died",
  aborted: "given up by its handler",
  purged: "its queue was purged",
  worker_cancelled: "its worker was cancelled",
  expired: "it expired before it could run",
};

function without(reason: Reason | null): string {
  return reason === null ? "its worker died" : GIVEN_UP[reason];
}

/** Tries that ran out are failures; what was given up while there were some is not. */
function statusOf(state: RunState, reason: Reason | null): JobStatusInfo["status"] {
  if (state === "done") return "completed";
  const failed = state !== "abandoned" || reason === "attempts" || reason === "crashes";
  return failed ? "failed" : "abort";
}

function unfinished({ pending, failed, reserved, running }: LaneCounts): number {
  return pending + failed + reserved + running;
}
