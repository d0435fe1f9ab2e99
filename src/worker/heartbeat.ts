/** Keeps a session alive, and learns what others have decided about its jobs. */
import type { Driver, RunKey } from "../storage/driver.js";
import type { Trouble } from "./trouble.js";

/** What a heartbeat needs of its worker. */
export interface HeartOf {
  session(): string;
  running(): readonly RunKey[];
  /** Leases it works on, or is just asking for. */
  holds(lease: string): boolean;
  fenced(runs: readonly RunKey[]): void;
  /** Others ended the session. */
  lost(session: string): Promise<void>;
  /** No heartbeat got through for as long as the lease lasts: others may have taken everything. */
  overdue(): void;
}

export class Heartbeats {
  private timer: NodeJS.Timeout | undefined;
  /** Of its own, because a heartbeat may hang for longer than the lease. */
  private deadline: NodeJS.Timeout | undefined;
  private stopped = false;
  private lastOk = performance.now();
  private beating: Promise<void> = Promise.resolve();

  constructor(
    private readonly driver: Driver,
    private readonly heart: HeartOf,
    private readonly times: { heartbeatMs: number; leaseMs: number },
    private readonly trouble: Trouble,
  ) {}

  start(): void {
    this.arrived();
    this.plan(this.times.heartbeatMs);
  }

  get overdue(): boolean {
    return performance.now() - this.lastOk > this.times.leaseMs;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    clearTimeout(this.deadline);
    await this.beating;
  }

  private plan(ms: number): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.beating = this.beat().then((next) => this.plan(next));
    }, ms);
    this.timer.unref();
  }

  private arrived(): void {
    this.lastOk = performance.now();
    clearTimeout(this.deadline);
    if (this.stopped) return;
    this.deadline = setTimeout(() => this.heart.overdue(), this.times.leaseMs);
    this.deadline.unref();
  }

  /** Milliseconds until the next one. */
  private async beat(): Promise<number> {
    const session = this.heart.session();
    try {
      const answer = await this.driver.heartbeat({ session, running: this.heart.running() });
      this.trouble.over();
      this.arrived();
      if (!answer.alive) await this.heart.lost(session);
      this.heart.fenced(answer.fenced);
      const orphans = answer.leases.filter((lease) => !this.heart.holds(lease));
      if (orphans.length > 0) await this.driver.release(session, orphans);
      return this.times.heartbeatMs;
    } catch (error) {
      if (this.overdue) this.heart.overdue();
      return Math.min(this.times.heartbeatMs, this.trouble.met("a heartbeat", error));
    }
  }
}
