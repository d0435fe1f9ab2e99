/**
 * A worker: one session in one database. Its life: starting → working → stopping → stopped.
 *
 *   starting   the session is opened, what dead workers left is taken back
 *   working    trips: settle what is finished, claim what there is room for, start it
 *   stopping   nothing is claimed; what has not started is given back; handlers may finish
 *   stopped    all is settled, the session is closed
 *
 * There is one pump, and it makes one trip at a time, so that at most one settle per lease is under way.
 */
import { DEFAULTS, LIMITS } from "../core/defaults.js";
import { durationMs, timerMs, type Duration } from "../core/duration.js";
import { SessionLostError } from "../core/errors.js";
import type { Registry } from "../core/job.js";
import { checkOptions } from "../core/options.js";
import type {
  ClaimRequest,
  Driver,
  SettleGroup,
  Settlement,
  SettleOutcome,
  TripOutcome,
} from "../storage/driver.js";
import { newId } from "../storage/ids.js";
import { Crew, type CrewOf } from "./crew.js";
import { Heartbeats, type HeartOf } from "./heartbeat.js";
import { Maintenance } from "./maintenance.js";
import type { WorkerSettings } from "./options.js";
import { Session, type SessionOf } from "./session.js";
import { Settler } from "./settler.js";
import { Bell } from "./signal.js";
import { Counters, type WorkerStats } from "./stats.js";
import { Trouble } from "./trouble.js";

export interface StopOptions {
  /** How long handlers may go on before their signals are aborted. Default 30 s. */
  grace?: Duration;
  /**
   * The process ends right after stop(): handlers that ignore their signal are given back to others as the last act.
   * Never set it when the process lives on. Default false: stop() waits for them.
   */
  exiting?: boolean;
}

export type { WorkerStats };

type Phase = "starting" | "working" | "stopping" | "stopped";

export class Worker implements AsyncDisposable {
  private phase: Phase = "starting";
  private readonly crew: Crew;
  private lastClaimAt = 0;
  /** A claim on its way, or one whose answer was lost: it is sent again under its id, which takes what it took before. */
  private unanswered: ClaimRequest | null = null;
  private readonly session: Session;
  private readonly settler = new Settler(() => this.session.id);
  private readonly bell = new Bell();
  private readonly trouble: Trouble;
  private readonly heartbeats: Heartbeats;
  private readonly maintenance: Maintenance;
  private readonly counters = new Counters();
  private unsubscribe: () => void = () => undefined;
  private ticker: NodeJS.Timeout | undefined;

  /** Resolves when the worker has stopped; rejects when it could not start. */
  readonly stopped: Promise<void>;

  /** `onWork` hears of jobs that this worker made ready: `subscribe` tells only of other connections' writes. */
  constructor(
    private readonly driver: Driver,
    private readonly registry: Registry,
    private readonly settings: WorkerSettings,
    private readonly onWork: () => void = () => undefined,
  ) {
    const { logger } = settings;
    this.trouble = new Trouble(logger);
    this.crew = new Crew(driver, registry, settings.queues, this.crewOwner(), this.trouble);
    this.session = new Session(driver, this.sessionOwner(), this.trouble, logger);
    this.heartbeats = new Heartbeats(driver, this.heart(), settings, logger);
    this.maintenance = new Maintenance(
      driver,
      settings,
      () => this.session.id,
      () => this.madeReady(),
      logger,
    );
    this.stopped = this.live();
    this.stopped.catch(() => undefined);
  }

  get stats(): WorkerStats {
    return this.counters.stats;
  }

  /** There may be new jobs: look at once. */
  wake(): void {
    for (const queue of this.crew.queues) queue.mayBeMore = true;
    this.bell.ring();
    this.maintenance.soon();
  }

  /** Claims no more, gives back what has not started, lets handlers finish within the grace. */
  async stop(options: StopOptions = {}): Promise<void> {
    checkOptions(options, ["grace", "exiting"], "stop");
    const graceMs =
      options.grace === undefined ? DEFAULTS.stopGraceMs : durationMs(options.grace, "grace");
    if (this.phase === "starting" || this.phase === "working") this.phase = "stopping";
    this.bell.ring();
    const lastMs = graceMs + DEFAULTS.abortGraceMs;
    const timers = [
      setTimeout(() => this.crew.interruptAll("stop"), timerMs(graceMs)),
      setTimeout(() => this.giveUp(options.exiting ?? false), timerMs(lastMs)),
    ];
    try {
      await this.stopped;
    } finally {
      timers.forEach(clearTimeout);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  private async live(): Promise<void> {
    try {
      await this.session.start();
      await this.maintenance.start();
      this.heartbeats.start();
      this.unsubscribe = this.driver.subscribe?.(() => this.wake()) ?? this.unsubscribe;
      this.ticker = setInterval(() => this.crew.tick(), DEFAULTS.markStartedAfterMs / 4);
      this.ticker.unref();
      if (this.phase === "starting") this.phase = "working";
      await this.pump();
    } catch (error) {
      // Nobody may be looking at `stopped`: a worker that does nothing must not do it silently.
      this.settings.logger.error(`qudo: a worker ended: ${String(error)}`);
      await this.session.abandon();
      throw error;
    } finally {
      this.phase = "stopped";
      this.unsubscribe();
      clearInterval(this.ticker);
      await Promise.all([this.heartbeats.stop(), this.maintenance.stop()]);
    }
    await this.session.close();
  }

  // — the pump

  private async pump(): Promise<void> {
    for (;;) {
      if (this.phase === "stopping") this.crew.giveBackHeld();
      this.crew.startHeld();
      if (this.phase === "stopping" && this.crew.running === 0 && this.allSettled()) return;
      if (this.shouldTrip()) {
        await this.trip();
        // A database in this thread answers without waiting: let timers and handlers have their turn.
        await this.crew.turn();
      } else await this.bell.wait(this.pauseMs());
    }
  }

  private shouldTrip(): boolean {
    if (this.mayClaim()) {
      const due = performance.now() - this.lastClaimAt >= DEFAULTS.pollMs;
      if (this.unanswered !== null) return true;
      if (this.crew.queues.some((queue) => queue.hungry && (queue.mayBeMore || due))) return true;
    }
    const { waiting, waitingMs } = this.settler;
    if (waiting === 0) return false;
    return (
      this.crew.running === 0 ||
      waiting >= LIMITS.rowsPerStatement ||
      waitingMs >= DEFAULTS.settleLingerMs
    );
  }

  /** Until completions have waited long enough for company, or until it is time to poll. */
  private pauseMs(): number {
    const { waiting, waitingMs } = this.settler;
    if (waiting > 0) return Math.max(0, DEFAULTS.settleLingerMs - waitingMs);
    if (!this.mayClaim() || !this.crew.queues.some((queue) => queue.hungry)) return DEFAULTS.pollMs;
    return Math.max(1, this.lastClaimAt + DEFAULTS.pollMs - performance.now());
  }

  private mayClaim(): boolean {
    return this.phase === "working" && this.session.open && !this.crew.blocked;
  }

  private async trip(): Promise<void> {
    const claim = this.claimRequest();
    const settle = this.settler.take(LIMITS.rowsPerStatement);
    const asked = this.crew.queues.filter(({ name }) => claim?.wants.some((w) => w.queue === name));
    if (claim !== null) {
      this.unanswered = claim;
      this.lastClaimAt = performance.now();
    }
    // Before the trip, so that a wake-up during it is not forgotten.
    for (const queue of asked) queue.mayBeMore = false;
    try {
      this.counters.trip();
      const outcome = await this.driver.trip({ settle, claim });
      this.trouble.over();
      this.landed(settle, claim, outcome);
    } catch (error) {
      this.counters.lost(this.settler.putBack(settle));
      for (const queue of asked) queue.mayBeMore = true;
      if (claim !== null && error instanceof SessionLostError)
        await this.session.renew(claim.session);
      else await this.sitOut(this.trouble.met("a trip to the database", error));
    }
  }

  private claimRequest(): ClaimRequest | null {
    if (!this.mayClaim()) return null;
    if (this.unanswered !== null) return this.unanswered;
    const wants = this.crew.queues.map((queue) => queue.want()).filter((want) => want.limit > 0);
    return wants.length === 0 ? null : { lease: newId(), session: this.session.id, wants };
  }

  private landed(
    settle: readonly SettleGroup[],
    claim: ClaimRequest | null,
    { settled, claimed, more }: TripOutcome,
  ): void {
    this.settler.applied(settle);
    settle.forEach(({ settlements }, i) => this.arrived(settlements, settled[i] ?? []));
    // A session that ended while the answer was on its way: what it claimed is others' now.
    if (claim === null || claim.session !== this.session.id) return;
    this.unanswered = null;
    if (claimed.length > 0) this.settler.opened(claim.lease, claimed.length);
    for (const { queue: name, limit } of claim.wants) {
      const queue = this.crew.queue(name);
      const jobs = claimed.filter((job) => job.queue === name);
      for (const job of jobs) queue.hold({ job, lease: claim.lease });
      if (more || jobs.length >= limit) queue.mayBeMore = true;
    }
  }

  /** Only now is it known what counts, and when retries are due. */
  private arrived(settlements: readonly Settlement[], outcomes: readonly SettleOutcome[]): void {
    let ready = false;
    settlements.forEach((settlement, i) => {
      this.counters.settled(settlement, outcomes[i] ?? "lost");
      if (outcomes[i] !== "accepted" || settlement.next === null) return;
      const delayMs = settlement.next === "same-place" ? 0 : settlement.next.delayMs;
      if (delayMs > 0) this.maintenance.dueIn(delayMs);
      else ready = true;
    });
    if (ready) this.madeReady();
  }

  private madeReady(): void {
    this.wake();
    this.onWork();
  }

  /** The database is in trouble: neither wake-ups nor completions shorten the wait, only stop() does. */
  private async sitOut(ms: number): Promise<void> {
    const { phase } = this;
    const until = performance.now() + ms;
    for (let left = ms; left > 0 && this.phase === phase; left = until - performance.now())
      await this.bell.wait(left);
  }

  // — running

  private settle(lease: string, settlement: Settlement): void {
    if (!this.settler.add(lease, settlement)) this.counters.lost(1);
    // The first one tells the pump how long it may sleep.
    else if (this.settler.waiting === 1) this.bell.ring();
  }

  /** With the database out of reach for a whole lease, the last outcomes are given up: stop() must come to its end. */
  private allSettled(): boolean {
    if (this.settler.waiting === 0) return true;
    if (!this.heartbeats.overdue) return false;
    const dropped = this.settler.clear();
    this.counters.lost(dropped);
    this.settings.logger.error(
      `qudo: ${dropped} outcomes could not be written; their jobs will run again`,
    );
    return true;
  }

  /** Handlers that ignore their signal: the very last thing this process does is to give their jobs back. */
  private giveUp(exiting: boolean): void {
    const { running } = this.crew;
    if (running === 0) return;
    if (exiting) {
      this.crew.abandonShip();
      this.bell.ring();
    } else
      this.settings.logger.warn(
        `qudo: ${running} handlers ignore their signal; stop() waits for them`,
      );
  }

  // — what the parts ask of the whole

  private crewOwner(): CrewOf {
    return {
      session: () => this.session.id,
      working: () => this.phase === "working",
      settle: (lease, settlement) => this.settle(lease, settlement),
      idle: () => this.bell.ring(),
      full: () =>
        this.settler.waiting >= LIMITS.rowsPerStatement ||
        this.settler.waitingMs >= DEFAULTS.settleLingerMs,
    };
  }

  private sessionOwner(): SessionOf {
    return {
      name: this.settings.name,
      kinds: [...this.registry.keys()],
      leaseMs: this.settings.leaseMs,
      heartbeatMs: this.settings.heartbeatMs,
      watchdogMs: this.settings.watchdogMs,
      wanted: () => this.phase === "starting" || this.phase === "working",
      lost: () => this.forgetAll(),
      renewed: () => this.wake(),
    };
  }

  private heart(): HeartOf {
    return {
      session: () => this.session.id,
      running: () => this.crew.keys,
      holds: (lease) => lease === this.unanswered?.lease || this.settler.holds(lease),
      fenced: (runs) => this.crew.interrupt(runs),
      lost: (session) => this.session.renew(session),
      overdue: () => {
        this.crew.interruptAll("lost");
        this.crew.giveBackHeld();
      },
    };
  }

  /** Everything held is others' now. */
  private forgetAll(): void {
    this.crew.interruptAll("lost");
    this.crew.drop();
    this.unanswered = null;
    this.counters.lost(this.settler.clear());
  }
}
