/**
 * A worker's session in the database: opened, lost and renewed, closed. An ended session never comes back to life: what it
 * held is others' now, and the worker begins again under a new id.
 */
import { hostname } from "node:os";
import { DatabaseError } from "../core/errors.js";
import { sleep, type Time } from "../core/time.js";
import { VERSION } from "../core/version.js";
import type { Driver, LimitDeclaration, NewSession } from "../storage/driver.js";
import { newId } from "../storage/ids.js";
import type { Logger } from "./options.js";
import { ownIdentity } from "./process.js";
import { Bell } from "./signal.js";
import { isOut, type Trouble } from "./trouble.js";

/** What a session needs of its worker. */
export interface SessionOf {
  readonly time: Time;
  readonly name: string;
  readonly kinds: readonly string[];
  /** Declared when it starts, and not again when its session was lost: others may have said something newer since. */
  readonly limits: readonly LimitDeclaration[];
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  readonly watchdogMs: number;
  /** False as soon as it stops: then no new session is needed. */
  wanted(): boolean;
  /** The session was ended by others: forget all that was held. */
  lost(session: string): void;
  /** There is a new one. */
  renewed(): void;
}

const CLOSE_TRIES = 3;
const CLOSE_PAUSE_MS = 100;

export class Session {
  private current = newId();
  private isOpen = false;
  /** It was sent to the database, which may know it though no answer came. */
  private isKnown = false;
  private hasDeclared = false;
  private renewal: Promise<void> | null = null;
  /** Rung when waiting for the database has no sense any more. */
  private readonly hurried: Bell;

  constructor(
    private readonly driver: Driver,
    private readonly owner: SessionOf,
    private readonly trouble: Trouble,
    private readonly logger: Logger,
  ) {
    this.hurried = new Bell(owner.time);
  }

  get id(): string {
    return this.current;
  }

  /** It is known to the database: jobs can be claimed under it. */
  get open(): boolean {
    return this.isOpen;
  }

  /** Waits for a database in passing trouble; rejects when no waiting will help. */
  start(): Promise<void> {
    return this.opened((error) => error instanceof DatabaseError && error.transient);
  }

  /**
   * Begins again, once for each lost session: heartbeat and trip may both find out, and a late answer about an older
   * session must not end the new one.
   */
  renew(lost: string): Promise<void> {
    if (lost === this.current && this.isOpen) {
      this.logger.warn("qudo: this worker's session was ended by others; it starts a new one");
      this.current = newId();
      this.isOpen = false;
      this.owner.lost(lost);
      this.renewal = this.opened(() => true).then(() => this.owner.renewed());
    }
    return this.renewal ?? Promise.resolve();
  }

  /** The database is back, or the worker stops: does not wait for the next try. */
  hurry(): void {
    this.hurried.ring();
  }

  /** Gives back what is still listed under it and closes it. A failure is reported only: its reaper will come. */
  async close(): Promise<void> {
    if (!this.isKnown) return;
    this.isOpen = false;
    for (let tries = 1; ; tries++)
      try {
        return await this.end();
      } catch (error) {
        // While this process lives its reaper waits for the whole lease: passing trouble is worth another try.
        if (tries < CLOSE_TRIES && error instanceof DatabaseError && error.transient) {
          await sleep(this.owner.time, CLOSE_PAUSE_MS);
          continue;
        }
        return this.logger.warn(
          `qudo: a session could not be closed and will be reaped: ${String(error)}`,
        );
      }
  }

  private async end(): Promise<void> {
    if (await this.driver.closeSession(this.current)) return;
    // A claim whose answer was lost: nobody here works on it.
    const { leases } = await this.driver.heartbeat({ session: this.current, running: [] });
    if (leases.length > 0) await this.driver.release(this.current, leases);
    await this.driver.closeSession(this.current);
  }

  /** Leaves it to its reaper, at once: nobody here will ever beat for it again. */
  async abandon(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    await this.driver.closeSession(this.current).catch(() => undefined);
  }

  private async opened(mayPass: (error: unknown) => boolean): Promise<void> {
    while (this.owner.wanted()) {
      const wasKnown = this.isKnown;
      try {
        this.isKnown = true;
        await this.driver.openSession(this.introduction());
        this.hasDeclared = true;
        const { heartbeatMs, watchdogMs } = this.owner;
        await this.driver.keepAlive?.(this.current, { everyMs: heartbeatMs, watchdogMs });
        this.isOpen = true;
        return;
      } catch (error) {
        if (!mayPass(error)) throw error;
        if (isOut(error)) this.isKnown = wasKnown;
        await this.hurried.wait(this.trouble.met("opening a session", error));
      }
    }
  }

  /** How this process introduces itself to the database. */
  private introduction(): NewSession {
    return {
      id: this.current,
      name: this.owner.name,
      host: hostname(),
      pid: process.pid,
      process: ownIdentity(),
      leaseMs: this.owner.leaseMs,
      kinds: this.owner.kinds,
      version: VERSION,
      ...(this.hasDeclared ? {} : { limits: this.owner.limits }),
    };
  }
}
