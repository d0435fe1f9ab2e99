/**
 * Upkeep: jobs that came due, sessions that died. Every worker does it, no worker leads: all of it is idempotent.
 */
import { DEFAULTS, LIMITS } from "../core/defaults.js";
import type { Cancel, Time } from "../core/time.js";
import type { DeadSession, Driver, SessionRow } from "../storage/driver.js";
import { REAL } from "../storage/time.js";
import { unchangedBeatFor, type Logger } from "./options.js";
import { isGone } from "./process.js";
import { Trouble } from "./trouble.js";

/** After a wake-up, how long to wait for more of them before looking for due jobs. */
const SOON_MS = 20;

interface Sighting {
  readonly beat: number;
  /** Own monotonic time at which this beat was first seen. */
  readonly since: number;
}

export interface MaintenanceTimes {
  readonly unchangedBeatMs: number;
}

export class Maintenance {
  private cancel: Cancel | null = null;
  private nextAt = 0;
  private reapAt = 0;
  private lookedAt = 0;
  private stopped = false;
  private tick: Promise<void> = Promise.resolve();
  private readonly sightings = new Map<string, Sighting>();

  constructor(
    private readonly driver: Driver,
    private readonly times: MaintenanceTimes,
    private readonly ownSession: () => string,
    private readonly onWork: () => void,
    private readonly logger: Logger,
    private readonly trouble = new Trouble(logger),
    private readonly time: Time = REAL,
  ) {}

  /** Sessions at the last look, this worker's own among them. */
  get sessions(): number {
    return this.sightings.size + 1;
  }

  /** Resolves after the first round, so that a restarted worker finds what its dead forerunner left. */
  async start(): Promise<void> {
    await this.round();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.cancel?.();
    await this.tick;
  }

  /** A job comes due in so many milliseconds: be there in time. */
  dueIn(ms: number): void {
    if (this.stopped || ms >= DEFAULTS.maintenanceMs) return;
    this.plan(ms);
  }

  /** Somebody wrote: it may have been a job that comes due before the next round. */
  soon(): void {
    this.plan(SOON_MS);
  }

  private plan(ms: number): void {
    if (this.stopped) return;
    const at = this.time.now() + ms;
    if (this.cancel !== null && this.nextAt <= at) return;
    this.cancel?.();
    this.nextAt = at;
    this.cancel = this.time.aside(() => {
      this.cancel = null;
      this.tick = this.tick.then(() => this.round());
    }, ms);
  }

  private async round(): Promise<void> {
    let next: number = DEFAULTS.maintenanceMs;
    try {
      if (this.time.now() >= this.reapAt) {
        await this.reap();
        this.reapAt = this.time.now() + DEFAULTS.maintenanceMs;
      }
      const due = await this.promote();
      this.trouble.over();
      next = Math.min(due ?? next, Math.max(0, this.reapAt - this.time.now()));
    } catch (error) {
      next = this.trouble.met("maintenance", error);
    }
    this.plan(next);
  }

  /** Milliseconds until the next job is due. */
  private async promote(): Promise<number | null> {
    const { moved, nextDueMs } = await this.driver.promote(LIMITS.rowsPerStatement);
    if (moved > 0) this.onWork();
    return nextDueMs;
  }

  private async reap(): Promise<void> {
    const dead = this.findDead(await this.driver.sessions());
    if (dead.length === 0) return;
    const outcomes = await this.driver.reap(dead);
    outcomes.forEach((outcome, i) => {
      if (outcome.status !== "reaped") return;
      const jobs = Object.values(outcome.decided).reduce((sum, n) => sum + n, 0);
      const why = dead[i]!.cause === "gone" ? "its process is dead" : "its heartbeat stopped";
      this.logger.info(`qudo: ended the session ${dead[i]!.id} (${why}); ${jobs} jobs come back`);
    });
    this.onWork();
  }

  private findDead(sessions: readonly SessionRow[]): DeadSession[] {
    const now = this.time.now();
    const dead: DeadSession[] = [];
    // Who slept through it has seen nothing: when a whole machine was paused, all beats look old to whoever wakes first.
    if (now - this.lookedAt > Math.max(this.times.unchangedBeatMs, 2 * DEFAULTS.maintenanceMs))
      this.sightings.clear();
    this.lookedAt = now;
    const present = new Set(sessions.map((session) => session.id));
    for (const id of this.sightings.keys()) if (!present.has(id)) this.sightings.delete(id);
    for (const { id, beat, process, leaseMs } of sessions) {
      // Nobody declares himself dead: his next heartbeat will tell.
      if (id === this.ownSession()) continue;
      const seen = this.sightings.get(id);
      if (seen?.beat !== beat) this.sightings.set(id, { beat, since: now });
      else if (now - seen.since >= unchangedBeatFor(leaseMs))
        dead.push({ id, beat, leaseMs, cause: "expired" });
      if (isGone(process)) dead.push({ id, beat, leaseMs, cause: "gone" });
    }
    return dead;
  }
}
