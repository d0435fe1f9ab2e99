/**
 * Keeps a session alive, and learns what others have decided about its jobs.
 *
 * A lease without an answered heartbeat is no proof that all is lost: the main loop may have been blocked while the
 * driver beat for it (`keepAlive`). So the database is asked once more, and only its silence, or its no, counts.
 */
import { sleep, turn, type Cancel, type Time } from "../core/time.js";
import type { Driver, HeartbeatOutcome, RunKey } from "../storage/driver.js";
import type { Trouble } from "./trouble.js";

/** So long the database may take to say whether a session that is overdue lives. */
const DOUBT_MS = 1_000;

/** What a heartbeat needs of its worker. */
export interface HeartOf {
  readonly time: Time;
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
  private cancelBeat: Cancel = () => undefined;
  /** Of its own, because a heartbeat may hang for longer than the lease. */
  private cancelDeadline: Cancel = () => undefined;
  private stopped = false;
  private isOverdue = false;
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

  /** No heartbeat was answered for a whole lease, nor the question after it. */
  get overdue(): boolean {
    return this.isOverdue;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.cancelBeat();
    this.cancelDeadline();
    await this.beating;
  }

  private plan(ms: number): void {
    if (this.stopped) return;
    this.cancelBeat = this.heart.time.aside(() => {
      this.beating = this.beat().then((next) => this.plan(next));
    }, ms);
  }

  private arrived(): void {
    this.isOverdue = false;
    this.cancelDeadline();
    if (this.stopped) return;
    this.cancelDeadline = this.heart.time.aside(() => void this.doubt(), this.times.leaseMs);
  }

  /** Milliseconds until the next one. */
  private async beat(): Promise<number> {
    const session = this.heart.session();
    try {
      const { fenced, leases } = await this.ask(session);
      this.trouble.over();
      this.heart.fenced(fenced);
      const orphans = leases.filter((lease) => !this.heart.holds(lease));
      if (orphans.length > 0) await this.driver.release(session, orphans);
      return this.times.heartbeatMs;
    } catch (error) {
      if (this.isOverdue) this.heart.overdue();
      return Math.min(this.times.heartbeatMs, this.trouble.met("a heartbeat", error));
    }
  }

  private async ask(session: string): Promise<HeartbeatOutcome> {
    const answer = await this.driver.heartbeat({ session, running: this.heart.running() });
    this.arrived();
    if (!answer.alive) await this.heart.lost(session);
    return answer;
  }

  /** The lease has run out, or this loop was blocked and its time was kept elsewhere. */
  private async doubt(): Promise<void> {
    const { time } = this.heart;
    const silence = new AbortController();
    const asked = this.ask(this.heart.session()).then(
      () => true,
      () => false,
    );
    const patience = sleep(time, DOUBT_MS, { aside: true, signal: silence.signal })
      // Blocked again meanwhile? An answer that has come is heard before time is up.
      .then(() => turn(time))
      .catch(() => undefined)
      .then(() => false);
    const answered = await Promise.race([asked, patience]);
    silence.abort();
    if (answered || this.stopped) return;
    this.isOverdue = true;
    this.heart.overdue();
  }
}
