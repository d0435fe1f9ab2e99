/** One of the places that prefork keeps filled: a child, and whoever follows it when it leaves or crashes. */
import { DEFAULTS } from "../../core/defaults.js";
import { humanDuration } from "../../core/duration.js";
import { Child, type Ended } from "./child.js";
import type { PreforkSettings } from "./options.js";

/** What a place needs of the parent. */
export interface PlaceOf {
  readonly settings: PreforkSettings;
  /** False as soon as it stops: then nothing is filled any more. */
  working(): boolean;
  born(child: Child): void;
  /** `crashed`: by itself, and not as it should. */
  ended(child: Child, end: Ended, crashed: boolean): void;
}

export class Place {
  private current: Child | null = null;
  /** Crashes in a row. */
  private crashes = 0;
  private spawnedAt = 0;
  private waiting: NodeJS.Timeout | undefined;

  constructor(private readonly parent: PlaceOf) {}

  /** Fills it, now. */
  fill(): void {
    clearTimeout(this.waiting);
    if (this.parent.working()) this.current = this.spawn();
  }

  /** Is not filled any more. */
  leave(): void {
    clearTimeout(this.waiting);
  }

  /** A new child is ready before the old one is told to stop, and the old one has ended when this resolves. False: the old one stays. */
  async replace(): Promise<boolean> {
    const old = this.current;
    const next = this.spawn();
    const late = setTimeout(() => next.kill(), this.parent.settings.startMs);
    const ready = await next.ready;
    clearTimeout(late);
    if (!ready || !this.parent.working()) {
      next.stop();
      return false;
    }
    clearTimeout(this.waiting);
    // Meanwhile the old one may have left, or crashed, and another one may stand here.
    const between = this.current;
    this.current = next;
    this.crashes = 0;
    for (const one of new Set([old, between])) one?.stop();
    await Promise.all([old?.ended, between?.ended]);
    return true;
  }

  private spawn(): Child {
    this.spawnedAt = performance.now();
    const child = new Child(this.parent.settings, (one) => this.changed(one));
    this.parent.born(child);
    void child.ended.then((end) => this.ended(child, end));
    return child;
  }

  /** One that leaves by itself still finishes what it does: its place is filled meanwhile. */
  private changed(child: Child): void {
    const { logger } = this.parent.settings;
    if (child.state === "ready") logger.info(`qudo: child ${child.pid} is ready`);
    const leaves = child.state === "stopping" && !child.failed;
    if (child === this.current && leaves && this.parent.working()) this.fillIn(this.restMs);
  }

  private ended(child: Child, end: Ended): void {
    const isOurs = child === this.current;
    if (isOurs) this.current = null;
    const crashed = !end.expected && (child.failed || end.code !== 0);
    this.parent.ended(child, end, crashed);
    if (!isOurs || !this.parent.working()) return;
    // The one that is to follow it may be on its way: it left, and has ended before that.
    const ms = crashed ? this.pauseMs(child) : this.restMs;
    const { logger } = this.parent.settings;
    if (crashed)
      logger.warn(
        `qudo: child ${child.pid} crashed (${end.how}); another one starts in ${humanDuration(ms)}`,
      );
    this.fillIn(ms);
  }

  private fillIn(ms: number): void {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.fill(), ms);
  }

  /** Children that leave as soon as they have come are no reason to start them without a pause. */
  private get restMs(): number {
    return Math.max(0, this.spawnedAt + DEFAULTS.respawnFirstMs - performance.now());
  }

  /** One crash after the other makes the pauses longer; whoever lived for long has shown that it can. */
  private pauseMs(child: Child): number {
    const { respawnFirstMs, respawnLastMs } = DEFAULTS;
    const livedMs = child.readyAt === null ? 0 : performance.now() - child.readyAt;
    if (livedMs >= respawnLastMs) this.crashes = 0;
    return Math.min(respawnLastMs, respawnFirstMs * 2 ** Math.min(this.crashes++, 20));
  }
}
