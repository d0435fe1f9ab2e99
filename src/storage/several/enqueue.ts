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
import { endsWithin, type Surroundings } from "./surroundings.js";

/** What is asked of each of them. */
export interface Target extends Candidate {
  readonly mode: DatabaseMode;
  /** Healthy, active, and not closed. */
  readonly takesJobs: boolean;
  /** Why it takes none, or not now: for people. */
  readonly refusal: string;
  /** Resolves when it has been tried whether it is back; null while nobody tries. */
  readonly trial: Promise<void> | null;
  /** For how long that has been under way behind which this job would wait; 0 where there is nothing. */
  underwayMs(job: NewJob): number;
  /** @throws TakenBack when it has waited for `waitMs` behind one batch, or to be let in: it is not there, and will not be. */
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
const DEADLINE_MS = 5_000;
/** So often one that is well is asked, each time for twice as long: 1 s, 2 s, 4 s. */
const ROUNDS = 3;
/** At least so long the same database is asked again, where its answer was lost late. */
const AGAIN_MS = 2_000;
const PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;

/**
 * `insertJobs` of all of them together. Each job goes its own way: where some have failed the others are written all the same.
 * @throws what the first one failed with; EnqueueOutcomeUnknownError before any other, with all ids of that database.
 */
export function placing(options: EnqueueOptions): Driver["insertJobs"] {
  const doubts = new Doubts();
  const insertOne = (job: NewJob): Promise<InsertOutcome> =>
    new Offer(options, doubts, job).insert();
  return async (jobs) => {
    if (jobs.length === 1) return [await insertOne(jobs[0]!)];
    const results = await Promise.allSettled(jobs.map(insertOne));
    const errors = results.flatMap((one) =>
      one.status === "rejected" ? [one.reason as unknown] : [],
    );
    if (errors.length > 0) throw worstOf(errors);
    return results.map((one) => (one as PromiseFulfilledResult<InsertOutcome>).value);
  };
}

/** A job that may be in one database, for all that is known. */
interface Doubt {
  readonly target: Target;
  /** What its answer was lost with. */
  readonly lost: DatabaseError;
}

/** So many jobs of which nobody knows are remembered, the newest. */
const DOUBTS_MAX = 10_000;

/** Whoever enqueues such a job again, under its id, is led to where it may be, and not to another database. */
class Doubts {
  private readonly byId = new Map<string, Doubt>();

  get(id: string): Doubt | undefined {
    return this.byId.get(id);
  }

  add(id: string, doubt: Doubt): void {
    this.byId.delete(id);
    this.byId.set(id, doubt);
    if (this.byId.size <= DOUBTS_MAX) return;
    const [oldest] = this.byId.keys();
    this.byId.delete(oldest!);
  }

  over(id: string): void {
    this.byId.delete(id);
  }
}

/** One job on its way from database to database. */
class Offer {
  private readonly deadline: number;
  /** Why those that were asked did not take it. */
  private readonly refusals = new Map<Target, string>();
  /** Those that only did not get to it, and how often: they are asked again before it is given up. */
  private readonly late = new Map<Target, number>();
  private lastError: unknown = null;

  constructor(
    private readonly options: EnqueueOptions,
    private readonly doubts: Doubts,
    private readonly job: NewJob,
  ) {
    this.deadline = this.now + DEADLINE_MS;
  }

  async insert(): Promise<InsertOutcome> {
    const doubt = this.doubts.get(this.job.id);
    if (doubt !== undefined) return this.again(doubt);
    for (;;) {
      const target = this.next();
      if (target === null) {
        if (await this.oneIsTried()) continue;
        throw this.nobody();
      }
      try {
        return { ...(await target.insert(this.job, this.waitMs(target))), database: target.name };
      } catch (error) {
        if (isUnknown(error)) return this.again({ target, lost: error });
        if (!this.mayGoOn(error)) throw error;
        this.lastError = error;
        const late = error instanceof TakenBack;
        this.refusals.set(target, late ? target.refusal : wordsOf(error));
        if (late) this.late.set(target, this.timesLate(target) + 1);
        else this.late.delete(target);
      }
    }
  }

  /** The one that is asked next; null when nobody is left, or no time to stand in a line. */
  private next(): Target | null {
    if (this.isAtHome) {
      const { home } = this;
      return home === null || this.refusals.has(home) ? null : home;
    }
    const { able } = this;
    const fluent = able.filter((target) => target.underwayMs(this.job) < STALL_MS);
    if (fluent.length > 0) return preference(this.job.id, fluent)[0]!;
    if (this.now >= this.deadline) return null;
    // What has begun last is the most likely to end.
    const underwayMs = (target: Target): number => target.underwayMs(this.job);
    return able.toSorted((a, b) => underwayMs(a) - underwayMs(b))[0] ?? null;
  }

  /** With nobody left: whether one of them is, or may soon be, back. */
  private async oneIsTried(): Promise<boolean> {
    const { targets, surroundings } = this.options;
    const tried = targets.filter(({ trial }) => trial !== null);
    const left = this.deadline - this.now;
    if (tried.length === 0 || left <= 0) return false;
    await endsWithin(Promise.race(tried.map(({ trial }) => trial)), left, surroundings);
    for (const target of tried) if (target.takesJobs) this.refusals.delete(target);
    return tried.some(({ takesJobs, trial }) => takesJobs || trial !== null);
  }

  /** Those that are left; when none is, those that are well and only had too much to do, each as often as the others. */
  private get able(): Target[] {
    const taking = this.options.targets.filter(({ takesJobs }) => takesJobs);
    const fresh = taking.filter((target) => !this.refusals.has(target));
    if (fresh.length > 0) return fresh;
    const late = taking.filter((target) => this.late.has(target));
    const least = Math.min(ROUNDS - 1, ...late.map((target) => this.timesLate(target)));
    return late.filter((target) => this.timesLate(target) === least);
  }

  private timesLate(target: Target): number {
    return this.late.get(target) ?? 0;
  }

  /** Where the key belongs, also while it is out: elsewhere it would be unique no more. Null when none is active. */
  private get home(): Target | null {
    const { kind, uniqueKey } = this.job;
    const active = this.options.targets.filter(({ mode }) => mode === "active");
    return preference(`${kind.length}:${kind}${uniqueKey}`, active)[0] ?? null;
  }

  /** Where there is another one it does not wait here for long, and each time for longer: all of them may be slow, and move. */
  private waitMs(target: Target): number {
    const { targets } = this.options;
    const others = targets.some(
      (other) =>
        other !== target && other.takesJobs && (this.late.has(other) || !this.refusals.has(other)),
    );
    const left = Math.max(STALL_MS, this.deadline - this.now);
    return others && !this.isAtHome ? Math.min(left, STALL_MS * 2 ** this.timesLate(target)) : left;
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
  private async again({ target, lost }: Doubt): Promise<InsertOutcome> {
    const { id } = this.job;
    const until = Math.max(this.deadline, this.now + AGAIN_MS);
    for (let tries = 0; ; tries++) {
      try {
        const outcome = await target.insertAgain(this.job);
        this.doubts.over(id);
        // It was we who put it there.
        const told = outcome.status === "duplicate" ? ({ status: "inserted" } as const) : outcome;
        return { ...told, database: target.name };
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error;
        // It was others of its batch that had been written: this one waits for its key, now as before.
        if (isConflict(error) && isConflict(lost)) throw error;
      }
      const longest = Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** tries);
      const ms = longest * (1 - this.options.surroundings.chance() / 2);
      if (this.now + ms >= until) {
        this.doubts.add(id, { target, lost });
        throw new EnqueueOutcomeUnknownError(target.name, [id], { cause: lost });
      }
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
