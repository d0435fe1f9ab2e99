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
import { durationMs } from "../core/duration.js";
import { SessionLostError } from "../core/errors.js";
import { silent } from "../core/events.js";
import type { Registry } from "../core/job.js";
import { checkOptions } from "../core/options.js";
import { every, type Cancel, type Time } from "../core/time.js";
import type {
  ClaimRequest,
  Driver,
  SettleGroup,
  Settlement,
  TripOutcome,
} from "../storage/driver.js";
import { newId } from "../storage/ids.js";
import { REAL } from "../storage/time.js";
import { Afterwards } from "./afterwards.js";
import { Crew, type CrewOf } from "./crew.js";
import { tell } from "./dying.js";
import { Ends, type EndsOf } from "./ends.js";
import { Heartbeats, type HeartOf } from "./heartbeat.js";
import { Herald } from "./herald.js";
import { Looks } from "./looks.js";
import { Maintenance } from "./maintenance.js";
import type { WorkerSettings } from "./options.js";
import { waitFor } from "./patience.js";
import { Pruning } from "./pruning.js";
import type { HeldJob } from "./queue.js";
import type { RunningWorker, StopOptions } from "./running.js";
import { Session, type SessionOf } from "./session.js";
import { Settler } from "./settler.js";
import { Shift } from "./shift.js";
import { Bell } from "./signal.js";
import { stopAtSignals } from "./signals.js";
import type { WorkerStats } from "./stats.js";
import { runOf, type Surroundings } from "./surroundings.js";
import { Trouble } from "./trouble.js";

type Phase = "starting" | "working" | "stopping" | "stopped";

/** The worker of one database. */
export class Worker implements RunningWorker {
  private phase: Phase = "starting";
  private readonly crew: Crew;
  private readonly looks: Looks;
  private readonly shift: Shift;
  /** A claim on its way, or one whose answer was lost: it is sent again under its id, which takes what it took before. */
  private unanswered: ClaimRequest | null = null;
  private readonly session: Session;
  private readonly settler: Settler;
  private readonly bell: Bell;
  private readonly time: Time;
  private readonly trouble: Trouble;
  private readonly herald: Herald;
  private readonly afterwards: Afterwards;
  private readonly ends: Ends;
  private readonly heartbeats: Heartbeats;
  private readonly maintenance: Maintenance;
  private readonly pruning: Pruning;
  private unsubscribe: () => void = () => undefined;
  private cancelTick: Cancel = () => undefined;
  /** The database is back: waiting for that is over. */
  private hurried = false;

  readonly stopped: Promise<void>;

  constructor(
    private readonly driver: Driver,
    private readonly registry: Registry,
    private readonly settings: WorkerSettings,
    private readonly surroundings: Surroundings = {},
  ) {
    const { logger } = settings;
    const { emit = silent, part, hand, time = REAL } = surroundings;
    this.time = time;
    // Whoever ends a task by hand waits for the answer.
    const lingerMs = (): number => (hand ? 0 : DEFAULTS.settleLingerMs);
    this.settler = new Settler(() => this.session.id, lingerMs, time);
    this.bell = new Bell(time);
    const trouble = (): Trouble =>
      new Trouble(logger, (what, error) => this.herald.trouble(what, error), part?.isOut, time);
    this.herald = new Herald(emit, logger, part?.name, hand?.ended);
    this.trouble = trouble();
    const woken = (): boolean => driver.capabilities.wakeups && (driver.listens?.() ?? true);
    this.looks = new Looks(time, woken, settings.sleepMs);
    this.shift = surroundings.shift ?? new Shift(settings, () => void this.quit(), time);
    this.afterwards = new Afterwards(logger, surroundings, () => this.bell.ring(), time);
    this.ends = new Ends(driver, this.herald, this.afterwards, this.trouble, this.endsOwner());
    this.crew = new Crew(driver, registry, settings, this.crewOwner(), trouble());
    this.session = new Session(driver, this.sessionOwner(), this.trouble, logger);
    this.heartbeats = new Heartbeats(driver, this.heart(), settings, trouble());
    this.maintenance = new Maintenance(
      driver,
      settings,
      () => this.session.id,
      () => this.madeReady(),
      logger,
      trouble(),
      time,
    );
    this.pruning = new Pruning(driver, settings, () => this.maintenance.sessions, trouble(), time);
    this.stopped = this.live();
    this.stopped.catch(() => undefined);
  }

  get stats(): WorkerStats {
    return this.ends.stats;
  }

  /** There may be new jobs: look at once. */
  wake(): void {
    for (const queue of this.crew.queues) queue.mayBeMore = true;
    this.bell.ring();
    this.maintenance.soon();
  }

  /** The database is back, or may be claimed from again: nothing waits any longer. */
  hurry(): void {
    this.hurried = true;
    this.session.hurry();
    this.wake();
  }

  /** Gives back what runs: the process ends now. */
  force(): void {
    this.phase = "stopping";
    this.abandonShip();
  }

  quit(): Promise<void> {
    if (this.phase === "starting" || this.phase === "working") this.phase = "stopping";
    this.session.hurry();
    this.bell.ring();
    return this.stopped;
  }

  async stop(options: StopOptions = {}): Promise<void> {
    checkOptions(options, ["grace", "exiting"], "stop");
    const graceMs = durationMs(options.grace ?? this.settings.graceMs / 1_000, "grace");
    await waitFor(this.quit(), graceMs, this.time, {
      interrupt: () => this.crew.interruptAll("stop"),
      giveUp: () => this.giveUp(options.exiting ?? false),
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  private async live(): Promise<void> {
    const { name, prune } = this.settings;
    const leave = this.settings.signals ? stopAtSignals(this) : () => undefined;
    try {
      await this.session.start();
      if (this.session.open)
        this.herald.tell("worker:started", () => ({ session: this.session.id, name }));
      await this.maintenance.start();
      if (prune) this.pruning.start();
      this.heartbeats.start();
      this.unsubscribe = this.driver.subscribe?.(() => this.wake()) ?? this.unsubscribe;
      this.cancelTick = every(this.time, DEFAULTS.markStartedAfterMs / 4, () => this.crew.tick());
      if (this.phase === "starting") this.phase = "working";
      await this.pump();
      await this.ends.told();
    } catch (error) {
      // Nobody may be looking at `stopped`: a worker that does nothing must not do it silently.
      this.settings.logger.error(`qudo: a worker ended: ${String(error)}`);
      await this.session.abandon();
      throw error;
    } finally {
      this.phase = "stopped";
      leave();
      this.unsubscribe();
      if (this.surroundings.shift === undefined) this.shift.stop();
      this.cancelTick();
      // Suspects of a worker that failed would be waited for by the others.
      this.crew.drop();
      this.crew.leave();
      await Promise.all([
        this.heartbeats.stop(),
        this.maintenance.stop(),
        this.pruning.stop(),
        this.crew.told(),
        this.ends.known(),
      ]);
    }
    await this.session.close();
    this.herald.tell("worker:stopped", () => ({ session: this.session.id }));
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
      const due = this.looks.dueInMs <= 0;
      if (this.unanswered !== null) return true;
      if (this.crew.queues.some((queue) => queue.hungry && (queue.mayBeMore || due))) return true;
    }
    const { waiting, due } = this.settler;
    return due || (waiting > 0 && this.crew.running === 0);
  }

  /** Until completions have waited long enough for company, or until it is time to poll. */
  private pauseMs(): number {
    const { waiting, dueInMs } = this.settler;
    if (waiting > 0) return Math.max(0, dueInMs);
    if (!this.mayClaim() || !this.crew.queues.some((queue) => queue.hungry)) return DEFAULTS.pollMs;
    return Math.max(1, this.looks.dueInMs);
  }

  private mayClaim(): boolean {
    if (this.phase !== "working" || !this.session.open || this.crew.blocked) return false;
    return !this.afterwards.full && (this.surroundings.part?.givesJobs() ?? true);
  }

  private async trip(): Promise<void> {
    const claim = this.claimRequest();
    const settle = this.settler.take(LIMITS.rowsPerStatement);
    const asked = this.crew.asks(claim?.wants ?? []);
    if (claim !== null) {
      this.unanswered = claim;
      this.looks.looked();
    }
    this.hurried = false;
    try {
      this.ends.trip();
      const outcome = await this.driver.trip({ settle, claim });
      this.trouble.over();
      this.landed(settle, claim, outcome);
      this.crew.answered(asked, false);
    } catch (error) {
      this.ends.lost(this.settler.putBack(settle));
      this.crew.answered(asked, true);
      if (claim !== null && error instanceof SessionLostError)
        await this.session.renew(claim.session);
      else await this.sitOut(this.trouble.met("a trip to the database", error));
    }
  }

  private claimRequest(): ClaimRequest | null {
    if (!this.mayClaim()) return null;
    if (this.unanswered !== null) return this.unanswered;
    const wants = this.crew.wants();
    return wants.length === 0 ? null : { lease: newId(), session: this.session.id, wants };
  }

  private landed(
    settle: readonly SettleGroup[],
    claim: ClaimRequest | null,
    outcome: TripOutcome,
  ): void {
    const { claimed, more } = outcome;
    this.settler.applied(settle);
    if (settle.length > 0 || claimed.length > 0) this.looks.worked();
    this.ends.arrived(settle, outcome);
    // A session that ended while the answer was on its way: what it claimed is others' now.
    if (claim === null || claim.session !== this.session.id) return;
    this.unanswered = null;
    this.shift.looked();
    this.looks.promised(outcome.tokenInMs);
    if (claimed.length > 0) this.settler.opened(claim.lease, claimed.length);
    this.crew.hold(claim, claimed, more);
  }

  private madeReady(): void {
    this.wake();
    this.surroundings.onWork?.();
  }

  /** The database is in trouble: neither wake-ups nor completions shorten the wait, only stop() does, and that it is back. */
  private async sitOut(ms: number): Promise<void> {
    const { phase } = this;
    await this.bell.waitWhile(() => this.phase === phase && !this.hurried, ms);
  }

  // — running

  private settle({ job, lease }: HeldJob, settlement: Settlement): void {
    this.ends.settling(settlement, job);
    if (!this.settler.add(lease, settlement)) this.ends.lost([settlement]);
    // The first one tells the pump how long it may sleep.
    else if (this.settler.waiting === 1) this.bell.ring();
  }

  /** With the database out of reach for a whole lease, the last outcomes are given up: stop() must come to its end. */
  private allSettled(): boolean {
    if (this.settler.waiting === 0) return true;
    if (!this.heartbeats.overdue) return false;
    const dropped = this.settler.clear();
    this.ends.lost(dropped);
    this.settings.logger.error(
      `qudo: ${dropped.length} outcomes could not be written; their jobs will run again`,
    );
    return true;
  }

  /** Handlers that ignore their signal: the very last thing this process does is to give their jobs back. */
  private giveUp(exiting: boolean): void {
    const { running } = this.crew;
    if (running === 0) return;
    if (exiting) this.abandonShip();
    else
      this.settings.logger.warn(
        `qudo: ${running} handlers ignore their signal; stop() waits for them`,
      );
  }

  private abandonShip(): void {
    this.crew.abandonShip();
    this.bell.ring();
  }

  // — what the parts ask of the whole

  private endsOwner(): EndsOf {
    return { madeReady: () => this.madeReady(), dueIn: (ms) => this.maintenance.dueIn(ms) };
  }

  private crewOwner(): CrewOf {
    const { part, hand } = this.surroundings;
    const { onDie, logger } = this.settings;
    return {
      ...runOf(this.surroundings),
      shift: this.shift,
      died: (error, job) => void (onDie && tell(onDie, error, job, logger)),
      ...(hand && { hand }),
      session: () => this.session.id,
      working: () => this.phase === "working",
      mayClaim: () => this.mayClaim(),
      opening: () => this.phase === "starting" && !(part?.isOut() ?? false),
      places: (queue) => part?.places(queue),
      started: (job) => this.herald.started(job),
      settle: (held, settlement) => this.settle(held, settlement),
      ending: (run, settlement) => this.afterwards.settling(run, settlement),
      idle: () => this.bell.ring(),
      full: () => this.settler.due,
    };
  }

  private sessionOwner(): SessionOf {
    return {
      ...this.settings,
      time: this.time,
      kinds: [...this.registry.keys()],
      wanted: () => this.phase === "starting" || this.phase === "working",
      lost: (session) => {
        this.forgetAll();
        this.herald.tell("worker:lost", () => ({ session }));
      },
      renewed: () => this.wake(),
    };
  }

  private heart(): HeartOf {
    return {
      time: this.time,
      session: () => this.session.id,
      running: () => this.crew.keys,
      holds: (lease) => lease === this.unanswered?.lease || this.settler.holds(lease),
      fenced: (runs) => this.crew.interrupt(runs),
      lost: (session) => this.session.renew(session),
      overdue: () => this.crew.overdue(),
    };
  }

  /** Everything held is others' now. */
  private forgetAll(): void {
    this.crew.interruptAll("lost");
    this.crew.drop();
    this.unanswered = null;
    this.ends.lost(this.settler.clear());
  }
}
