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
import { durationMs, type Duration } from "../core/duration.js";
import { SessionLostError } from "../core/errors.js";
import type { Registry } from "../core/job.js";
import { afterRelease } from "../core/outcome.js";
import type {
  ClaimRequest,
  Driver,
  RunKey,
  SettleGroup,
  Settlement,
  TripOutcome,
} from "../storage/driver.js";
import { newId } from "../storage/ids.js";
import { Run } from "./context.js";
import { execute, givenBack } from "./executor.js";
import { Heartbeats } from "./heartbeat.js";
import { Maintenance } from "./maintenance.js";
import type { WorkerSettings } from "./options.js";
import { HeldQueue, mustRunAlone, type HeldJob } from "./queue.js";
import { newSession } from "./session.js";
import { Settler } from "./settler.js";
import { Bell } from "./signal.js";
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

export interface WorkerStats {
  readonly done: number;
  readonly failed: number;
  readonly abandoned: number;
  readonly released: number;
  /** Settled here, but decided by others before. */
  readonly lost: number;
  readonly trips: number;
}

type Phase = "starting" | "working" | "stopping" | "stopped";

export class Worker implements AsyncDisposable {
  private phase: Phase = "starting";
  private sessionId = newId();
  private readonly queues: HeldQueue[];
  private readonly runs = new Set<Run>();
  private readonly suspects: HeldJob[] = [];
  private alone = false;
  /** There may be jobs that were not claimed yet. */
  private mayBeMore = true;
  private lastClaimAt = 0;
  private claiming: string | null = null;
  private readonly settler = new Settler(() => this.sessionId);
  private readonly bell = new Bell();
  private readonly trouble: Trouble;
  private readonly heartbeats: Heartbeats;
  private readonly maintenance: Maintenance;
  private readonly counters = { done: 0, failed: 0, abandoned: 0, released: 0, lost: 0, trips: 0 };
  private unsubscribe: () => void = () => undefined;
  private renewal: Promise<void> = Promise.resolve();
  private markTimer: NodeJS.Timeout | undefined;

  /** Resolves when the worker has stopped; rejects when it could not start. */
  readonly stopped: Promise<void>;

  constructor(
    private readonly driver: Driver,
    private readonly registry: Registry,
    private readonly settings: WorkerSettings,
  ) {
    const { logger } = settings;
    this.queues = Array.from(
      settings.queues,
      ([name, concurrency]) => new HeldQueue(name, concurrency, [...registry.keys()]),
    );
    this.trouble = new Trouble(logger);
    this.heartbeats = new Heartbeats(driver, this.heart(), settings, logger);
    this.maintenance = new Maintenance(driver, settings, () => this.wake(), logger);
    this.stopped = this.live();
    this.stopped.catch(() => undefined);
  }

  get stats(): WorkerStats {
    return { ...this.counters };
  }

  /** There may be new jobs: look at once. */
  wake(): void {
    this.mayBeMore = true;
    this.bell.ring();
  }

  /** Claims no more, gives back what has not started, lets handlers finish within the grace. */
  async stop(options: StopOptions = {}): Promise<void> {
    const graceMs =
      options.grace === undefined ? DEFAULTS.stopGraceMs : durationMs(options.grace, "grace");
    if (this.phase === "starting" || this.phase === "working") this.phase = "stopping";
    this.bell.ring();
    const timers = [
      setTimeout(() => this.interruptAll("stop"), graceMs),
      setTimeout(() => this.giveUp(options.exiting ?? false), graceMs + DEFAULTS.abortGraceMs),
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
      await this.openSession();
      await this.maintenance.start();
      this.heartbeats.start();
      this.unsubscribe = this.driver.subscribe?.(() => this.wake()) ?? this.unsubscribe;
      this.markTimer = setInterval(() => void this.markLongRuns(), DEFAULTS.markStartedAfterMs / 4);
      this.markTimer.unref();
      if (this.phase === "starting") this.phase = "working";
      await this.pump();
    } finally {
      this.phase = "stopped";
      this.unsubscribe();
      clearInterval(this.markTimer);
      await Promise.all([this.heartbeats.stop(), this.maintenance.stop()]);
    }
    await this.driver.closeSession(this.sessionId);
  }

  private async openSession(): Promise<void> {
    await this.driver.openSession(
      newSession(this.sessionId, this.settings.name, [...this.registry.keys()]),
    );
  }

  // — the pump

  private async pump(): Promise<void> {
    for (;;) {
      if (this.phase === "stopping") this.giveBackHeld();
      this.startHeld();
      if (this.phase === "stopping" && this.runs.size === 0 && this.settler.waiting === 0) return;
      if (this.shouldTrip()) {
        await this.trip();
        // A database in this thread answers without waiting: let timers and handlers have their turn.
        await new Promise((resolve) => setImmediate(resolve));
      } else await this.bell.wait(this.pauseMs());
    }
  }

  private shouldTrip(): boolean {
    const { waiting, waitingMs } = this.settler;
    const look = this.mayBeMore || performance.now() - this.lastClaimAt >= DEFAULTS.pollMs;
    if (look && this.mayClaim() && this.queues.some((queue) => queue.hungry)) return true;
    if (waiting === 0) return false;
    return (
      this.runs.size === 0 ||
      waiting >= LIMITS.rowsPerStatement ||
      waitingMs >= DEFAULTS.settleLingerMs
    );
  }

  /** Until completions have waited long enough for company, or until it is time to poll. */
  private pauseMs(): number {
    const { waiting, waitingMs } = this.settler;
    if (waiting > 0) return Math.max(0, DEFAULTS.settleLingerMs - waitingMs);
    return DEFAULTS.pollMs;
  }

  private mayClaim(): boolean {
    return this.phase === "working" && !this.alone && this.suspects.length === 0;
  }

  private async trip(): Promise<void> {
    const claim = this.claimRequest();
    const settle = this.settler.take();
    this.claiming = claim?.lease ?? null;
    if (claim !== null) {
      // Before the trip, so that a wake-up during it is not forgotten.
      this.mayBeMore = false;
      this.lastClaimAt = performance.now();
    }
    try {
      this.counters.trips++;
      const outcome = await this.driver.trip({ settle, claim });
      this.trouble.over();
      this.landed(settle, claim, outcome);
    } catch (error) {
      this.settler.putBack(settle);
      if (error instanceof SessionLostError) await this.renewSession(this.sessionId);
      else await this.bell.wait(this.trouble.met("a trip to the database", error));
    } finally {
      this.claiming = null;
    }
  }

  private claimRequest(): ClaimRequest | null {
    if (!this.mayClaim()) return null;
    const wants = this.queues.map((queue) => queue.want()).filter((want) => want.limit > 0);
    return wants.length === 0 ? null : { lease: newId(), session: this.sessionId, wants };
  }

  private landed(
    settle: readonly SettleGroup[],
    claim: ClaimRequest | null,
    { settled, claimed, more }: TripOutcome,
  ): void {
    this.counters.lost += this.settler.applied(settle, settled);
    if (claim === null) return;
    if (claimed.length > 0) this.settler.opened(claim.lease, claimed.length);
    const byName = new Map(this.queues.map((queue) => [queue.name, queue]));
    for (const job of claimed) byName.get(job.queue)!.hold({ job, lease: claim.lease });
    const full = claim.wants.some(
      ({ queue, limit }) => claimed.reduce((n, job) => n + Number(job.queue === queue), 0) >= limit,
    );
    if (more || full) this.mayBeMore = true;
  }

  // — running

  private startHeld(): void {
    if (this.alone) return;
    for (const queue of this.queues) {
      while (this.suspects.length === 0) {
        const held = queue.next();
        if (held === undefined) break;
        if (mustRunAlone(held)) this.suspects.push(held);
        else this.start(queue, held);
      }
    }
    const suspect = this.runs.size === 0 ? this.suspects.shift() : undefined;
    if (suspect === undefined) return;
    this.alone = true;
    this.start(
      this.queues.find((queue) => queue.name === suspect.job.queue)!,
      suspect,
    );
  }

  private start(queue: HeldQueue, { job, lease }: HeldJob): void {
    const run = new Run(job, lease, this.registry.get(job.kind)!);
    this.runs.add(run);
    queue.running++;
    void this.runToEnd(run).finally(() => {
      queue.running--;
      queue.ran(run.elapsedMs);
      this.runs.delete(run);
      this.alone = false;
      if (!this.startNext(queue)) this.bell.ring();
    });
  }

  /** The usual case without a turn of the pump: the next held job takes the free place. */
  private startNext(queue: HeldQueue): boolean {
    if (this.phase !== "working" || this.suspects.length > 0) return false;
    const held = queue.next();
    if (held === undefined) return false;
    if (mustRunAlone(held)) {
      this.suspects.push(held);
      return false;
    }
    this.start(queue, held);
    return (
      this.settler.waiting < LIMITS.rowsPerStatement &&
      this.settler.waitingMs < DEFAULTS.settleLingerMs
    );
  }

  private async runToEnd(run: Run): Promise<void> {
    // A job that may have killed its worker before is shown as running first: if it does so again, it is found out.
    if (run.claimed.crashes > 0 && !(await this.mark([run]))[0]) {
      this.settle(run.lease, givenBack(run));
      return;
    }
    await execute(
      run,
      async (job) => (await this.driver.payloads([job]))[0] ?? null,
      (settlement) => this.settle(run.lease, settlement),
    );
  }

  private settle(lease: string, settlement: Settlement): void {
    const { state } = settlement;
    if (state === "done" || state === "failed" || state === "abandoned" || state === "released")
      this.counters[state]++;
    this.settler.add(lease, settlement);
    // The first one tells the pump how long it may sleep.
    if (this.settler.waiting === 1) this.bell.ring();
    if (settlement.next !== null && settlement.next !== "same-place")
      this.maintenance.dueIn(settlement.next.delayMs);
  }

  /** False for runs that are not ours any more: they must not start. */
  private async mark(runs: readonly Run[]): Promise<boolean[]> {
    for (const run of runs) run.marked = true;
    const session = this.sessionId;
    try {
      return await this.driver.markStarted(
        runs.map(({ claimed: { job, run }, lease }) => ({ job, run, lease, session })),
      );
    } catch {
      for (const run of runs) run.marked = false;
      return runs.map(() => false);
    }
  }

  private async markLongRuns(): Promise<void> {
    const long = [...this.runs].filter(
      (run) => !run.marked && run.elapsedMs >= DEFAULTS.markStartedAfterMs,
    );
    if (long.length > 0) await this.mark(long);
  }

  // — stopping

  private giveBackHeld(): void {
    const held = [...this.suspects.splice(0), ...this.queues.flatMap((queue) => queue.drop())];
    for (const { job, lease } of held)
      this.settle(lease, {
        job: job.job,
        run: job.run,
        ...afterRelease(job),
        elapsedMs: null,
        result: null,
        error: null,
      });
  }

  private interruptAll(cause: "stop" | "lost"): void {
    for (const run of this.runs) run.interrupt(cause);
  }

  /** Handlers that ignore their signal: the very last thing this process does is to give their jobs back. */
  private giveUp(exiting: boolean): void {
    if (!exiting) {
      const { logger } = this.settings;
      logger.warn(`qudo: ${this.runs.size} handlers ignore their signal; stop() waits for them`);
      return;
    }
    for (const run of this.runs) {
      if (!run.decided) this.settle(run.lease, givenBack(run));
      run.decided = true;
    }
    this.runs.clear();
    this.bell.ring();
  }

  // — losing the session

  private heart(): ConstructorParameters<typeof Heartbeats>[1] {
    return {
      session: () => this.sessionId,
      running: () => Array.from(this.runs, ({ claimed: { job, run } }) => ({ job, run })),
      holds: (lease) => lease === this.claiming || this.settler.holds(lease),
      fenced: (runs) => this.interruptFenced(runs),
      lost: (session) => this.renewSession(session),
    };
  }

  private interruptFenced(runs: readonly RunKey[]): void {
    const fenced = new Set(runs.map(({ job, run }) => `${job}/${run}`));
    for (const run of this.runs)
      if (!run.decided && fenced.has(`${run.id}/${run.run}`)) run.interrupt("lost");
  }

  /** Everything held is others' now. Begin again under a new name: an ended session never comes back to life. */
  private renewSession(lost: string): Promise<void> {
    if (lost === this.sessionId) this.renewal = this.beginAgain();
    return this.renewal;
  }

  private async beginAgain(): Promise<void> {
    this.settings.logger.warn(
      "qudo: this worker's session was ended by others; it starts a new one",
    );
    this.interruptAll("lost");
    for (const queue of this.queues) queue.drop();
    this.suspects.length = 0;
    this.settler.clear();
    this.sessionId = newId();
    while (this.phase !== "stopped") {
      try {
        await this.openSession();
        break;
      } catch (error) {
        await this.bell.wait(this.trouble.met("opening a session", error));
      }
    }
    this.wake();
  }
}
