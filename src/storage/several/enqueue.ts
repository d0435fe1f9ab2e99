/**
 * New jobs among several databases. A job whose database fails before anything can have happened goes to the next one; one of which
 * nobody knows whether it was written goes to the same one again, under the same id, for only that can find out.
 */
import { DatabaseError, EnqueueOutcomeUnknownError, type QudoError } from "../../core/errors.js";
import type { Placement } from "../database.js";
import type { DatabaseMode, Driver, InsertOutcome, NewJob } from "../driver.js";
import { STALL_MS, TakenBack } from "./gathering.js";
import { isConflict, isOurs } from "./health.js";
import { preference, type Candidate } from "./placement.js";
import type { Surroundings } from "./surroundings.js";

/** What is asked of each of them. */
export interface Target extends Candidate {
  readonly mode: DatabaseMode;
  /** Healthy, active, and not closed. */
  readonly takesJobs: boolean;
  /** Why it takes none, or not now: for people. */
  readonly refusal: string;
  stalled(job: NewJob): boolean;
  /** @throws TakenBack when it has not left within `waitMs`: it is not there, and will not be. */
  insert(job: NewJob, waitMs: number): Promise<InsertOutcome>;
  /** Once more, also while it is out. */
  insertAgain(job: NewJob): Promise<InsertOutcome>;
}

export interface EnqueueOptions {
  readonly targets: readonly Target[];
  readonly placement: Placement;
  readonly surroundings: Surroundings;
}

/** So long a job is offered to one database after the other. */
export const DEADLINE_MS = 5_000;
/** At least so long the same database is asked again, where its answer was lost late. */
const AGAIN_MS = 2_000;
const PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;

/**
 * `insertJobs` of all of them together. Each job goes its own way: where some have failed the others are written all the same.
 * @throws what the first one failed with; EnqueueOutcomeUnknownError before any other, with all ids of that database.
 */
export function placing(options: EnqueueOptions): Driver["insertJobs"] {
  return async (jobs) => {
    if (jobs.length === 1) return [await insertOne(options, jobs[0]!)];
    const results = await Promise.allSettled(jobs.map((job) => insertOne(options, job)));
    const errors = results.flatMap((one) =>
      one.status === "rejected" ? [one.reason as unknown] : [],
    );
    if (errors.length > 0) throw worstOf(errors);
    return results.map((one) => (one as PromiseFulfilledResult<InsertOutcome>).value);
  };
}

/** One job into one of them. @throws DatabaseError QUDO_DATABASES_OUT, EnqueueOutcomeUnknownError */
export function insertOne(options: EnqueueOptions, job: NewJob): Promise<InsertOutcome> {
  return new Offer(options, job).insert();
}

/** One job on its way from database to database. */
class Offer {
  private readonly deadline: number;
  /** Why those that were asked did not take it. */
  private readonly refusals = new Map<Target, string>();
  private lastError: unknown = null;

  constructor(
    private readonly options: EnqueueOptions,
    private readonly job: NewJob,
  ) {
    this.deadline = this.now + DEADLINE_MS;
  }

  async insert(): Promise<InsertOutcome> {
    for (;;) {
      const target = this.next();
      if (target === null) throw this.nobody();
      try {
        return { ...(await target.insert(this.job, this.waitMs(target))), database: target.name };
      } catch (error) {
        if (isUnknown(error)) return this.again(target, error);
        if (!this.mayGoOn(error)) throw error;
        this.lastError = error;
        this.refusals.set(target, error instanceof TakenBack ? target.refusal : wordsOf(error));
      }
    }
  }

  /** The one that is asked next; null when nobody is left, or no time to stand in a line. */
  private next(): Target | null {
    if (this.isAtHome) {
      const { home } = this;
      return home === null || this.refusals.has(home) ? null : home;
    }
    const able = this.options.targets.filter(
      (target) => target.takesJobs && !this.refusals.has(target),
    );
    const fluent = able.filter((target) => !target.stalled(this.job));
    const some = fluent.length > 0 || this.now >= this.deadline ? fluent : able;
    return preference(this.job.id, some)[0] ?? null;
  }

  /** Where the key belongs, also while it is out: elsewhere it would be unique no more. Null when none is active. */
  private get home(): Target | null {
    const { kind, uniqueKey } = this.job;
    const active = this.options.targets.filter(({ mode }) => mode === "active");
    return preference(`${kind.length}:${kind}${uniqueKey}`, active)[0] ?? null;
  }

  /** Where there is another one, it does not wait here for long. */
  private waitMs(target: Target): number {
    const left = Math.max(STALL_MS, this.deadline - this.now);
    const others = this.options.targets.some(
      (other) =>
        other !== target &&
        other.takesJobs &&
        !this.refusals.has(other) &&
        !other.stalled(this.job),
    );
    return others && !this.isAtHome ? STALL_MS : left;
  }

  private get isAtHome(): boolean {
    return this.options.placement === "hash" && this.job.uniqueKey !== null;
  }

  /** Whether another database may take it: nothing has happened, and the fault is not the job's. */
  private mayGoOn(error: unknown): boolean {
    if (error instanceof TakenBack) return true;
    if (!(error instanceof DatabaseError) || isConflict(error) || isOurs(error)) return false;
    return !this.isAtHome;
  }

  /** The same id, so that it is there once, whatever has become of the first try. */
  private async again(target: Target, lost: Error): Promise<InsertOutcome> {
    const until = Math.max(this.deadline, this.now + AGAIN_MS);
    for (let tries = 0; ; tries++) {
      try {
        const outcome = await target.insertAgain(this.job);
        // It was we who put it there.
        const told = outcome.status === "duplicate" ? ({ status: "inserted" } as const) : outcome;
        return { ...told, database: target.name };
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error;
      }
      const longest = Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** tries);
      const ms = longest * (1 - this.options.surroundings.chance() / 2);
      if (this.now + ms >= until)
        throw new EnqueueOutcomeUnknownError(target.name, [this.job.id], { cause: lost });
      await this.pause(ms);
    }
  }

  private nobody(): QudoError {
    const { home } = this;
    const asked = this.isAtHome && home !== null ? [home] : this.options.targets;
    const why = asked.map(
      (target) => `${target.name}: ${this.refusals.get(target) ?? target.refusal}`,
    );
    return new DatabaseError(
      "QUDO_DATABASES_OUT",
      `No database took the job; nothing of it was written. ${why.join("; ")}`,
      true,
      { cause: this.lastError },
    );
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.options.surroundings.later(resolve, ms));
  }

  private get now(): number {
    return this.options.surroundings.now();
  }
}

function worstOf(errors: readonly unknown[]): unknown {
  const unknown = errors.filter((error) => error instanceof EnqueueOutcomeUnknownError);
  const [first] = unknown;
  if (first === undefined) return errors[0];
  const there = unknown.filter(({ database }) => database === first.database);
  const ids = there.flatMap((error) => error.ids);
  return new EnqueueOutcomeUnknownError(first.database, ids, { cause: first.cause });
}

function isUnknown(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.happened === "perhaps";
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
