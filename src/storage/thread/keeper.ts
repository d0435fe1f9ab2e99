/** Heartbeats from the thread, for sessions whose main loop is too busy to send its own. */
import type { Driver, KeepAlive } from "../driver.js";
import { silentMs } from "./pulse.js";

/** So much later than due, in heartbeats: a main loop that comes round has sent its own by then. */
const LATE = 1.25;

interface Kept {
  readonly session: string;
  readonly times: KeepAlive;
  timer: NodeJS.Timeout | undefined;
}

export class Keeper {
  private readonly kept = new Map<string, Kept>();

  /** `pulse` is where the main loop leaves its signs of life. */
  constructor(
    private readonly driver: Driver,
    private readonly pulse: SharedArrayBuffer,
  ) {}

  keep(session: string, times: KeepAlive): void {
    this.forget(session);
    const kept: Kept = { session, times, timer: undefined };
    this.kept.set(session, kept);
    this.plan(kept);
  }

  /** The main loop's own heartbeat was answered. */
  beaten(session: string, alive: boolean): void {
    const kept = this.kept.get(session);
    if (kept === undefined) return;
    if (alive) this.plan(kept);
    else this.forget(session);
  }

  forget(session: string): void {
    clearTimeout(this.kept.get(session)?.timer);
    this.kept.delete(session);
  }

  stop(): void {
    for (const session of this.kept.keys()) this.forget(session);
  }

  private plan(kept: Kept): void {
    clearTimeout(kept.timer);
    kept.timer = setTimeout(() => void this.beat(kept), kept.times.everyMs * LATE);
  }

  private async beat(kept: Kept): Promise<void> {
    const { session, times } = kept;
    // Hung for too long: its jobs are to go to others.
    if (silentMs(this.pulse) <= times.watchdogMs && !(await this.beatOnce(session)))
      return this.forget(session);
    if (this.kept.get(session) === kept) this.plan(kept);
  }

  /** False when the session is dead. A database in trouble says nothing about that: the next one will tell. */
  private async beatOnce(session: string): Promise<boolean> {
    try {
      return (await this.driver.heartbeat({ session, running: [] })).alive;
    } catch {
      return true;
    }
  }
}
