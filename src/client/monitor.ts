/** Looking at a queue: counts, sessions, attempts, single jobs. */
import { decode } from "../core/codec.js";
import { invalidId, isUuid } from "../core/ids.js";
import { InvalidInputError } from "../core/errors.js";
import { checkInteger, checkOptions, show } from "../core/options.js";
import { RUN_STATES, type JobState, type Reason, type RunState } from "../core/states.js";
import type {
  AttemptRow,
  CancelOutcome,
  Driver,
  JobRow,
  LaneCounts,
  RetryOutcome,
  SessionRow,
} from "../storage/driver.js";

/** A job as users see it. */
export interface JobInfo {
  readonly id: string;
  readonly kind: string;
  readonly queue: string;
  readonly state: JobState;
  readonly priority: number;
  readonly createdAt: Date;
  /** When it may run, or might have run first. */
  readonly runAt: Date;
  /** Failed tries so far. */
  readonly fails: number;
  readonly crashes: number;
  readonly maxAttempts: number;
  readonly uniqueKey: string | null;
  readonly payload: unknown;
  readonly last: AttemptInfo | null;
}

/** What became of one run of a job. */
export interface AttemptInfo {
  readonly job: string;
  readonly run: number;
  readonly kind: string;
  readonly queue: string;
  readonly state: RunState;
  /** Why it was abandoned. */
  readonly reason: Reason | null;
  readonly worker: string | null;
  readonly startedAt: Date | null;
  readonly endedAt: Date;
  /** When the job runs next, if it does. */
  readonly nextAt: Date | null;
  readonly result: unknown;
  readonly error: string | null;
}

/** Which attempts {@link Attempts.list} shows. Default: all. */
export interface AttemptFilter {
  queue?: string;
  kind?: string;
  states?: readonly RunState[];
}

export class Jobs {
  /** `onReady` hears of jobs that are ready again. */
  constructor(
    private readonly driver: () => Promise<Driver>,
    private readonly onReady: () => void = () => undefined,
  ) {}

  /** Null when there is no such job (any more). */
  async get(id: string): Promise<JobInfo | null> {
    const [row] = await (await this.driver()).getJobs([checkId(id)]);
    return row ? jobInfo(row) : null;
  }

  /** Waiting jobs never run; running ones are told through their signal. "already" had ended, "absent" is unknown. */
  async cancel(id: string): Promise<CancelOutcome> {
    return (await (await this.driver()).cancel([checkId(id)]))[0]!;
  }

  /** Another life for an abandoned or cancelled job, with its attempts counted from zero. */
  async retry(id: string): Promise<RetryOutcome> {
    const outcome = (await (await this.driver()).retry([checkId(id)]))[0]!;
    if (outcome.status === "requeued") this.onReady();
    return outcome;
  }
}

export class Attempts {
  constructor(private readonly driver: () => Promise<Driver>) {}

  /** Every outcome, oldest first, read in pages: `for await (const attempt of qudo.attempts.list({ queue }))`. */
  async *list(filter: AttemptFilter = {}, pageSize = 1_000): AsyncGenerator<AttemptInfo> {
    const limit = checkInteger(pageSize, "pageSize", 1, 10_000);
    checkOptions(filter, ["queue", "kind", "states"], "attempts.list");
    checkStates(filter.states ?? []);
    const driver = await this.driver();
    let after: string | undefined;
    for (;;) {
      const page = await driver.listAttempts({ ...filter, limit, ...(after && { after }) });
      for (const row of page.rows) yield attemptInfo(row);
      if (page.next === null) return;
      after = page.next;
    }
  }
}

export class Monitor {
  constructor(private readonly driver: () => Promise<Driver>) {}

  /** Jobs by state, for each queue and kind. */
  async counts(filter: { queue?: string; kind?: string } = {}): Promise<LaneCounts[]> {
    return (await this.driver()).counts(filter);
  }

  /** Workers that are known to the database, dead ones until they are reaped. */
  async workers(): Promise<SessionRow[]> {
    return (await this.driver()).sessions();
  }
}

function checkStates(states: readonly unknown[]): void {
  for (const state of states)
    if (typeof state !== "string" || !Object.hasOwn(RUN_STATES, state))
      throw new InvalidInputError(
        "QUDO_INVALID_OPTION",
        `There is no run state ${show(state)}. There are: ${Object.keys(RUN_STATES).join(", ")}.`,
      );
}

function checkId(id: unknown): string {
  if (!isUuid(id)) throw invalidId(id);
  return id.toLowerCase();
}

function jobInfo(row: JobRow): JobInfo {
  const { createdAt, runAt, last, payload, run: _run, ...rest } = row;
  return {
    ...rest,
    createdAt: new Date(createdAt),
    runAt: new Date(runAt),
    payload: readable(payload.text),
    last: last === null ? null : attemptInfo(last),
  };
}

function attemptInfo(row: AttemptRow): AttemptInfo {
  return {
    job: row.job,
    run: row.run,
    kind: row.kind,
    queue: row.queue,
    state: row.state,
    reason: row.reason,
    worker: row.session,
    startedAt: row.startedAt === null ? null : new Date(row.startedAt),
    endedAt: new Date(row.endedAt),
    nextAt: row.nextAt === null ? null : new Date(row.nextAt),
    result: readable(row.result),
    error: row.error,
  };
}

/** One unreadable row must not hide the others. */
function readable(text: string | null): unknown {
  if (text === null) return null;
  try {
    return decode(text);
  } catch {
    return null;
  }
}
