/**
 * New jobs among several databases. A job whose database fails before anything can have happened goes to the next one; one of which
 * nobody knows whether it was written goes to the same one again, under the same id, for only that can find out.
 */
import { DatabaseError, EnqueueOutcomeUnknownError, QudoError } from "../../core/errors.js";
import type { Placement } from "../database.js";
import type { DatabaseMode, InsertOutcome, NewJob } from "../driver.js";
import { ConflictError } from "../sql/errors.js";
import { STALL_MS, TakenBack } from "./gathering.js";
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
        return await target.insert(this.job, this.waitMs(target));
      } catch (error) {
        if (isUnknown(error)) return this.again(target, error);
        if (!this.mayGoOn(error)) throw error;
        this.lastError = error;
        this.refusals.set(target, error instanceof TakenBack ? target.refusal : wordsOf(error));
      }
    }
  }

  /** The one that is asked next; null when nobody is left, or no time. */
  private next(): Target | null {
    if (this.now >= this.deadline) return null;
    const { uniqueKey, kind, id } = this.job;
    const { placement, targets } = this.options;
    if (placement === "hash" && uniqueKey !== null) {
      // Also one that is out: elsewhere the key would be unique no more.
      const active = targets.filter(({ mode }) => mode === "active");
      const home = preference(`${kind.length}:${kind}${uniqueKey}`, active)[0];
      return home === undefined || this.refusals.has(home) ? null : home;
    }
    const able = targets.filter((target) => target.takesJobs && !this.refusals.has(target));
    const fluent = able.filter((target) => !target.stalled(this.job));
    return preference(id, fluent.length > 0 ? fluent : able)[0] ?? null;
  }

  /** Where there is another one, it does not wait here for long. */
  private waitMs(target: Target): number {
    const left = this.deadline - this.now;
    const others = this.options.targets.some(
      (other) =>
        other !== target &&
        other.takesJobs &&
        !this.refusals.has(other) &&
        !other.stalled(this.job),
    );
    return others && !this.isAtHome ? Math.min(STALL_MS, left) : left;
  }

  private get isAtHome(): boolean {
    return this.options.placement === "hash" && this.job.uniqueKey !== null;
  }

  /** Whether another database may take it: nothing has happened, and the fault is not the job's. */
  private mayGoOn(error: unknown): boolean {
    if (error instanceof TakenBack) return true;
    if (!(error instanceof DatabaseError) || error instanceof ConflictError) return false;
    return !this.isAtHome;
  }

  /** The same id, so that it is there once, whatever has become of the first try. */
  private async again(target: Target, lost: Error): Promise<InsertOutcome> {
    const until = Math.max(this.deadline, this.now + AGAIN_MS);
    for (let tries = 0; ; tries++) {
      try {
        const outcome = await target.insertAgain(this.job);
        // It was we who put it there.
        return outcome.status === "duplicate" ? { status: "inserted" } : outcome;
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
    const { targets } = this.options;
    const why = targets.map(
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

function isUnknown(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.happened === "perhaps";
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
