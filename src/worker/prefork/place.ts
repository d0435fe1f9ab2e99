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
    const child = new Child(this.parent.settings, (one) => this.changed(one));
    this.parent.born(child);
    void child.ended.then((end) => this.ended(child, end));
    return child;
  }

  /** One that leaves by itself still finishes what it does: its place is filled meanwhile. */
  private changed(child: Child): void {
    const { logger } = this.parent.settings;
    if (child.state === "ready") logger.info(`qudo: child ${child.pid} is ready`);
    if (child === this.current && child.state === "stopping" && this.parent.working()) this.fill();
  }

  private ended(child: Child, end: Ended): void {
    const isOurs = child === this.current;
    if (isOurs) this.current = null;
    const crashed = !end.expected && end.code !== 0;
    this.parent.ended(child, end, crashed);
    if (!isOurs || !this.parent.working()) return;
    const ms = this.pauseMs(child, crashed);
    const { logger } = this.parent.settings;
    const next = ms === 0 ? "" : `; another one starts in ${humanDuration(ms)}`;
    if (crashed) logger.warn(`qudo: child ${child.pid} crashed (${end.how})${next}`);
    this.waiting = setTimeout(() => this.fill(), ms);
  }

  /** One crash after the other makes the pauses longer; whoever lived for long has shown that it can. */
  private pauseMs(child: Child, crashed: boolean): number {
    const { respawnFirstMs, respawnLastMs } = DEFAULTS;
    const livedMs = child.readyAt === null ? 0 : performance.now() - child.readyAt;
    // Neither is a program run in a circle that ends by itself at once.
    if (!crashed) return Math.max(0, respawnFirstMs - livedMs);
    if (livedMs >= respawnLastMs) this.crashes = 0;
    return Math.min(respawnLastMs, respawnFirstMs * 2 ** Math.min(this.crashes++, 20));
  }
}
