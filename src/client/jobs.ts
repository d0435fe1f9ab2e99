/** Single jobs, lists of them, and what operators do to them. */
import { mapped } from "../core/ask.js";
import { durationMs, type Duration } from "../core/duration.js";
import { InvalidInputError } from "../core/errors.js";
import {
  checkCursor,
  checkDate,
  checkInteger,
  checkOptions,
  checkPriority,
} from "../core/options.js";
import type { Serializers } from "../core/serializer.js";
import type {
  CancelOutcome,
  Driver,
  JobRow,
  LogRow,
  Reschedule,
  RescheduleOutcome,
  RetryOutcome,
} from "../storage/driver.js";
import { actOnAll, PAGE, rowsOf, type BulkOptions, type BulkOutcome } from "./bulk.js";
import { checkFilter, type JobFilter } from "./filter.js";
import { Gaps } from "./gaps.js";
import { checkId, jobInfo, logLine, type JobInfo, type JobLogLine } from "./info.js";
import { purge, type Purged, type PurgeOptions } from "./purge.js";
import type { ResultOptions, Results } from "./results.js";

/** Which jobs a page shows, and how many. */
export interface PageOptions extends JobFilter {
  /** `next` of the page before. */
  after?: string;
  /** 1 to 1,000. Default 100. */
  limit?: number;
}

/** One page of jobs, and where the next begins. */
export interface JobsPage {
  readonly jobs: readonly JobInfo[];
  /** For the next page; null at the end. A page may be short, or empty, before the end. */
  readonly next: string | null;
}

/** Which lines of a job's log are shown. */
export interface LogOptions {
  /** Only lines of this run. Default: of all. */
  run?: number;
}

/** Where a job that waits is to stand. What is left out stays. */
export interface RescheduleOptions {
  /** Runs at the earliest so long from now. */
  delay?: Duration;
  /** Runs at the earliest at this moment (the database's clock), instead of `delay`; what is past means now. */
  runAt?: Date;
  /** Higher runs first. */
  priority?: number;
}

const LINES_A_PAGE = 500;

function checkChange(options: RescheduleOptions): Omit<Reschedule, "id"> {
  checkOptions(options, ["delay", "runAt", "priority"], "jobs.reschedule");
  const { delay, runAt, priority } = options ?? {};
  const wrong =
    delay === undefined && runAt === undefined && priority === undefined
      ? "jobs.reschedule needs delay, runAt or priority: it changes nothing else."
      : delay !== undefined && runAt !== undefined
        ? "Give delay or runAt, not both."
        : null;
  if (wrong !== null) throw new InvalidInputError("QUDO_INVALID_OPTION", wrong);
  return {
    delayMs: delay === undefined ? null : durationMs(delay, "delay"),
    runAt: runAt === undefined ? null : checkDate(runAt, "runAt"),
    priority: priority === undefined ? null : checkPriority(priority),
  };
}

export class Jobs {
  /** `onReady` hears of jobs that are ready again. */
  constructor(
    private readonly driver: () => Promise<Driver>,
    private readonly results: Results,
    private readonly serializers: Serializers,
    private readonly onReady: () => void = () => undefined,
  ) {}

  /**
   * Null when there is no such job (any more).
   * @throws IncompleteError when none of those databases has it that could be asked.
   */
  async get(id: string): Promise<JobInfo | null> {
    const rows = (await this.driver()).getJobs([checkId(id)]);
    return mapped(rows, ([row]) => (row ? this.info(row) : null));
  }

  /**
   * All that the filter means, read in pages: `for await (const job of qudo.jobs.list({ state: "failed" }))`. Those that
   * are held, then those that wait in the order in which they will be claimed, then those that have ended, newest first. A
   * job that moves meanwhile may be seen twice or not at all. Of several databases the lists are merged; a database that was out
   * is out of this list to its end.
   * @throws IncompleteError at its end, when a database could not be asked.
   */
  async *list(filter: JobFilter = {}): AsyncGenerator<JobInfo> {
    const select = checkFilter(filter, "jobs.list");
    const { driver, database, selection } = await select(await this.driver());
    const unasked = new Gaps();
    for await (const row of rowsOf(driver, selection, unasked)) yield this.info(row, database);
    unasked.complete(undefined);
  }

  /** One page of {@link list}. @throws IncompleteError with the page of the others, when a database could not be asked. */
  async page(options: PageOptions = {}): Promise<JobsPage> {
    const select = checkFilter(options, "jobs.page", ["after", "limit"]);
    const { after, limit = PAGE } = options;
    const query = {
      limit: checkInteger(limit, "limit", 1, 1_000),
      ...(after && { after: checkCursor(after) }),
    };
    const { driver, database, selection } = await select(await this.driver());
    return mapped(driver.listJobs({ ...selection, ...query }), ({ rows, next }) => ({
      jobs: rows.map((row) => this.info(row, database)),
      next,
    }));
  }

  private info(row: JobRow, database?: string): JobInfo {
    return jobInfo(row, this.serializers, database);
  }

  /** What its handlers wrote with `job.log`, oldest first, read in pages. */
  async *log(id: string, options: LogOptions = {}): AsyncGenerator<JobLogLine> {
    const job = checkId(id);
    checkOptions(options, ["run"], "jobs.log");
    const only = options.run !== undefined && {
      run: checkInteger(options.run, "run", 1, 2 ** 31 - 1),
    };
    const driver = await this.driver();
    for (let last: LogRow | undefined; ;) {
      const after = last && { after: { run: last.run, seq: last.seq } };
      const rows = await driver.listLog({ job, ...only, ...after, limit: LINES_A_PAGE });
      for (const row of rows) yield logLine(row);
      last = rows.at(-1);
      if (rows.length < LINES_A_PAGE) return;
    }
  }

  /**
   * Waits for the job to end, and resolves to what its handler returned: the same as `result` of what enqueue gave.
   * @throws QudoError QUDO_JOB_ABSENT when there is no such job (any more).
   */
  async result<Result = unknown>(id: string, options?: ResultOptions): Promise<Result> {
    return (await this.results.wait(checkId(id), options)) as Result;
  }

  /** Waiting jobs never run; running ones are told through their signal. "already" had ended, "absent" is unknown. */
  async cancel(id: string): Promise<CancelOutcome> {
    const outcome = await mapped((await this.driver()).cancel([checkId(id)]), ([one]) => one!);
    if (outcome === "cancelled") this.results.hint();
    return outcome;
  }

  /** Another life for an abandoned or cancelled job, with its attempts counted from zero. */
  async retry(id: string): Promise<RetryOutcome> {
    const outcome = await mapped((await this.driver()).retry([checkId(id)]), ([one]) => one!);
    if (outcome.status === "requeued") this.onReady();
    return outcome;
  }

  /**
   * Another time, or another priority, for a job that waits, with its counted attempts as they are. "refused": it does not wait, because
   * it is held by a worker, or has ended.
   * @throws InvalidInputError for options that say nothing, or both `delay` and `runAt`.
   */
  async reschedule(id: string, options: RescheduleOptions): Promise<RescheduleOutcome> {
    const change = { id: checkId(id), ...checkChange(options) };
    const asked = (await this.driver()).reschedule([change]);
    const outcome = await mapped(asked, ([one]) => one!);
    if (outcome.status === "rescheduled") this.onReady();
    return outcome;
  }

  /**
   * Empties a queue of the jobs that were there before the call, until none of them is left: what waits or is reserved is cancelled,
   * what runs is abandoned ("purged"), and its handler told through its signal. Up to 1,000 to a commit; when it is interrupted, what
   * was done stays so.
   */
  async purge(queue: string, options: PurgeOptions = {}): Promise<Purged> {
    const purged = purge(this.driver, queue, options);
    return purged.finally(() => this.results.hint());
  }

  /**
   * Cancels what the filter means, up to 1,000 to a commit; without a state in it, all that has not ended. Jobs that
   * arrive meanwhile are not meant. When it is interrupted, what was cancelled stays so.
   */
  cancelAll(filter: JobFilter, options: BulkOptions = {}): Promise<BulkOutcome> {
    return actOnAll(
      this.driver,
      {
        name: "jobs.cancelAll",
        states: ["pending", "failed", "reserved", "running"],
        act: (driver, ids) =>
          mapped(driver.cancel(ids), (outcomes) =>
            outcomes.map((outcome) => (outcome === "cancelled" ? null : outcome)),
          ),
      },
      filter,
      options,
    );
  }

  /** Asks for another life of what the filter means, up to 1,000 to a commit; without a state in it, of all that was abandoned or cancelled. */
  retryAll(filter: JobFilter, options: BulkOptions = {}): Promise<BulkOutcome> {
    return actOnAll(
      this.driver,
      {
        name: "jobs.retryAll",
        states: ["abandoned", "cancelled"],
        act: (driver, ids) =>
          mapped(driver.retry(ids), (outcomes) => {
            const refusals = outcomes.map((outcome) => {
              if (outcome.status === "requeued") return null;
              return outcome.status === "refused" ? outcome.state : outcome.status;
            });
            if (refusals.includes(null)) this.onReady();
            return refusals;
          }),
      },
      filter,
      options,
    );
  }
}
