/** One of several databases: opened when it is first needed, left in peace while it is out, tried again when it is time. */
import { closedError, DatabaseError, QudoError } from "../../core/errors.js";
import type {
  DatabaseMode,
  DatabaseStatus,
  Driver,
  InsertOutcome,
  NewJob,
  Part,
} from "../driver.js";
import type { Target } from "./enqueue.js";
import { Gathering, TakenBack } from "./gathering.js";
import { guard, type CallOptions, type Guarded } from "./guard.js";
import { Health } from "./health.js";
import { Identities, stricter } from "./identity.js";
import type { PartPlan, SeveralPlan } from "./plan.js";
import { endsWithin, type Surroundings } from "./surroundings.js";

/** What all of them are told. */
interface Shared {
  /** False: tables are made by nobody here, and a database without them is out. */
  readonly migrate: boolean;
  /** The middle of the time after which one that is out is tried again. */
  readonly retryMs: number;
  readonly surroundings: Surroundings;
  readonly identities: Identities;
}

/** All of a list, none of them opened yet. */
export function partsOf(
  { parts, retryMs }: SeveralPlan,
  common: Pick<Shared, "migrate" | "surroundings">,
): DatabasePart[] {
  const names = parts.map(({ name }) => name);
  const identities = new Identities(names, common.surroundings);
  const shared: Shared = { ...common, retryMs, identities };
  return parts.map((plan) => new DatabasePart(plan, shared));
}

/** So old the stored mode may become while the database is in use. */
const MODE_MS = 5_000;

export class DatabasePart implements Part, Guarded, Target {
  readonly name: string;
  readonly weight: number;
  readonly driver: Driver;
  private readonly health: Health;
  private readonly watchers = new Set<(status: DatabaseStatus) => void>();
  private readonly gathering: Gathering;
  private readonly openers: ((driver: Driver) => void)[] = [];
  private opening: Promise<Driver> | null = null;
  private preparing: Promise<Driver> | null = null;
  /** Open, with its tables, and the one that it is called. */
  private current: Driver | null = null;
  private openingSince: number | null = null;
  private stored: DatabaseMode = "active";
  /** Monotonic: when the stored mode was last asked for, and last told. */
  private askedAt = -Infinity;
  private toldAt = -Infinity;
  private asking: Promise<void> | null = null;
  private cancelAsking: (() => void) | null = null;
  private cancelProbe: () => void = noop;
  private closing: Promise<void> | null = null;
  /** Under way while it is tried whether it is back. */
  trial: Promise<void> | null = null;

  constructor(
    private readonly options: PartPlan,
    private readonly shared: Shared,
  ) {
    this.name = options.name;
    this.weight = options.weight;
    this.health = new Health(shared);
    this.driver = guard(this, options.label);
    this.gathering = new Gathering(
      (jobs, through) => this.call((driver) => driver.insertJobs(jobs), { through, wrote }),
      shared.surroundings,
    );
  }

  status(): DatabaseStatus {
    const { state, reason, since, retryAt } = this.health;
    const { name, label } = this.options;
    return { name, label, state, mode: this.mode, reason, since, retryAt };
  }

  watch(onChange: (status: DatabaseStatus) => void): () => void {
    // Of its own, so that one function may watch twice.
    const watcher = (status: DatabaseStatus): void => onChange(status);
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  }

  /** The stricter one of what the configuration says and what the database says. */
  get mode(): DatabaseMode {
    return stricter(this.options.mode, this.stored);
  }

  get opened(): Driver | null {
    return this.current;
  }

  whenOpened(then: (driver: Driver) => void): void {
    if (this.current !== null) then(this.current);
    else this.openers.push(then);
  }

  /** Whether new jobs may be put here now. */
  get takesJobs(): boolean {
    return this.health.state === "healthy" && this.mode === "active" && this.closing === null;
  }

  underwayMs(job: NewJob): number {
    const since = this.openingSince;
    return Math.max(this.gathering.underwayMs(job), since === null ? 0 : this.now - since);
  }

  /** Why it takes no jobs, for people. */
  get refusal(): string {
    const { state, reason } = this.health;
    if (state !== "healthy") return `out (${reason})`;
    return this.mode === "active" ? "busy" : `takes no new jobs (${this.mode})`;
  }

  /** Open, with its tables, and the one that it is called. */
  ready(): Promise<Driver> {
    if (this.current !== null) return Promise.resolve(this.current);
    if (this.preparing === null) {
      this.openingSince = this.now;
      this.preparing = this.prepare();
    }
    return this.preparing;
  }

  /** Open, whatever is in it. */
  open(): Promise<Driver> {
    if (this.opening === null) {
      this.opening = this.options.open();
      this.opening.catch(() => (this.opening = null));
    }
    return this.opening;
  }

  /**
   * Resolves after the commit that holds it, which it shares with others.
   * @throws TakenBack when it has waited for `waitMs` behind one batch, or to be let in, or the database takes no new jobs: it is not
   * there, and will not be.
   */
  async insert(job: NewJob, waitMs: number): Promise<InsertOutcome> {
    this.refuseWhereOut();
    const inTime = async (promise: Promise<unknown>): Promise<void> => {
      if (!(await endsWithin(promise, waitMs, this.shared.surroundings)))
        throw new TakenBack("did not open in time");
    };
    if (this.current === null) await inTime(this.ready());
    if (this.now - this.toldAt > 2 * MODE_MS) await inTime(this.askMode());
    if (!this.takesJobs) throw new TakenBack(this.refusal);
    return this.gathering.add(job, waitMs);
  }

  /** Once more, also while it is out: whether it is there is not known. */
  async insertAgain(job: NewJob): Promise<InsertOutcome> {
    const outcome = await this.gathering.addAgain(job);
    // It answers again, so that it may take writes again.
    if (this.health.hurry()) this.try();
    return outcome;
  }

  /** One operation, as long as the database is not out; what becomes of it is held against its health. */
  async call<T>(
    perform: (driver: Driver) => Promise<T>,
    { doing = "working", through = false, wrote }: CallOptions<T> = {},
  ): Promise<T> {
    if (this.closing !== null) throw closedError();
    const open = through ? this.current : null;
    if (open === null) this.refuseWhereOut();
    this.use();
    const era = this.health.begin();
    try {
      const value = await perform(open ?? (await this.ready()));
      if (wrote?.(value) === true) this.told(this.health.wrote(era));
      return value;
    } catch (error) {
      this.told(this.health.failed(error, doing, era));
      throw error;
    }
  }

  /** The same on a database that may not have its tables yet. */
  async callOpen<T>(perform: (driver: Driver) => Promise<T>): Promise<T> {
    if (this.closing !== null) throw closedError();
    this.refuseWhereOut();
    const era = this.health.begin();
    try {
      return await perform(await this.open());
    } catch (error) {
      this.told(this.health.failed(error, "opening", era));
      throw error;
    }
  }

  /** The stored mode is known now. */
  modeIs(mode: DatabaseMode): void {
    const before = this.mode;
    this.stored = mode;
    this.toldAt = this.askedAt = this.now;
    if (this.mode !== before) this.tell();
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    this.cancelProbe();
    this.cancelAsking?.();
    await this.preparing?.catch(noop);
    const driver = await this.opening?.catch(noop);
    await driver?.close();
  }

  private async prepare(): Promise<Driver> {
    const era = this.health.begin();
    try {
      const driver = await this.open();
      if (this.shared.migrate) await driver.migrate();
      else if ((await driver.schemaVersion()) === null) throw this.withoutTables();
      await this.identify(driver);
      this.current = driver;
      for (const then of this.openers.splice(0)) then(driver);
      return driver;
    } catch (error) {
      this.told(this.health.failed(error, "opening", era));
      throw error;
    } finally {
      this.preparing = null;
      this.openingSince = null;
    }
  }

  /** Asks who it is, and refuses another one. */
  private async identify(driver: Driver): Promise<void> {
    const { options, shared } = this;
    // Whoever makes no tables gives no names: a program that only looks leaves the database as it is.
    const answer = driver.identify(shared.migrate ? this.name : undefined);
    const identity = await shared.identities.check(options, answer);
    this.modeIs(identity.mode);
  }

  private refuseWhereOut(): void {
    const { state, reason, retryAt } = this.health;
    if (state === "healthy") return;
    const leftMs = (retryAt ?? 0) - this.shared.surroundings.wall();
    const seconds = Math.ceil(Math.max(0, leftMs) / 1_000);
    const when = state === "out" ? `in ${seconds} s` : "now";
    throw new DatabaseError(
      "QUDO_DATABASE_OUT",
      `The database "${this.name}" is out, and is tried again ${when}. ${reason}`,
      true,
    );
  }

  private told(changed: boolean): void {
    if (!changed) return;
    this.schedule();
    this.tell();
  }

  private tell(): void {
    const status = this.status();
    for (const watcher of this.watchers) watcher(status);
  }

  private schedule(): void {
    this.cancelProbe();
    const ms = this.health.dueInMs;
    if (ms === null || this.closing !== null) return;
    this.cancelProbe = this.shared.surroundings.aside(() => this.try(), ms);
  }

  private try(): void {
    this.cancelProbe();
    const trial = this.probe().finally(() => {
      if (this.trial === trial) this.trial = null;
    });
    this.trial = trial;
  }

  private async probe(): Promise<void> {
    // A timer may come too early, by less than a millisecond.
    if (!this.health.startProbe()) return this.schedule();
    this.tell();
    let failure: unknown = null;
    try {
      // It may have been replaced meanwhile.
      if (this.current === null) await this.ready();
      else await this.identify(this.current);
      await this.current!.ping();
    } catch (error) {
      failure = error;
    }
    this.told(this.health.probed(failure));
  }

  /** While it is in use its mode is asked for, again and again. */
  private use(): void {
    if (this.cancelAsking !== null || this.current === null) return;
    const ms = Math.max(0, this.askedAt + MODE_MS - this.now);
    this.cancelAsking = this.shared.surroundings.aside(() => {
      this.cancelAsking = null;
      if (this.health.state === "healthy") this.askMode().catch(noop);
    }, ms);
  }

  /** Those who ask meanwhile wait for the same answer. */
  private askMode(): Promise<void> {
    this.asking ??= this.readMode().finally(() => (this.asking = null));
    return this.asking;
  }

  private async readMode(): Promise<void> {
    this.askedAt = this.now;
    const driver = this.current;
    if (driver === null || this.closing !== null) return;
    const era = this.health.begin();
    try {
      this.modeIs((await driver.identify()).mode);
    } catch (error) {
      this.told(this.health.failed(error, "working", era));
      throw error;
    }
  }

  private withoutTables(): QudoError {
    const { label } = this.options;
    return new DatabaseError(
      "QUDO_SCHEMA_MISSING",
      `${label} holds no qudo tables. Run: qudo migrate --database ${label}`,
      false,
    );
  }

  private get now(): number {
    return this.shared.surroundings.now();
  }
}

const wrote = (outcomes: InsertOutcome[]): boolean =>
  outcomes.some(({ status }) => status === "inserted");

const noop = (): void => undefined;
