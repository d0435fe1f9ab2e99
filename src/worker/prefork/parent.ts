/**
 * The parent of prefork: keeps its places filled, restarts them one by one when asked, watches for children that hang, until it
 * is stopped. It runs no jobs and opens no database, so that nothing a handler does can take it along.
 */
import { DEFAULTS } from "../../core/defaults.js";
import { ChildFailedError } from "../../core/errors.js";
import { NOTHING_DONE, sumOf, type WorkerStats } from "../stats.js";
import type { Child, ChildState, Ended } from "./child.js";
import type { PreforkSettings } from "./options.js";
import { Place, type PlaceOf } from "./place.js";

/** One child, as {@link PreforkFigures} tells of it. */
export interface ChildInfo {
  readonly pid: number;
  /** "starting" until its first worker can claim jobs, "stopping" from when it takes no more. */
  readonly state: Exclude<ChildState, "ended">;
  readonly startedAt: Date;
  /** Milliseconds since its last sign of life; it gives one each second. */
  readonly silentMs: number;
  /** Bytes of memory that it holds. */
  readonly memory: number;
  /** What its workers have done. */
  readonly stats: WorkerStats;
}

/** What a prefork parent knows: what its health endpoint answers. */
export interface PreforkFigures {
  readonly state: "working" | "stopping" | "stopped";
  /** Children that can claim jobs now, of so many that there should be. */
  readonly ready: number;
  readonly processes: number;
  readonly pid: number;
  readonly startedAt: Date;
  /** Children that ended by themselves and not as they should, since the start. */
  readonly crashes: number;
  /** Rolling restarts that went through. */
  readonly restarts: number;
  /** What all children have done, also those that are gone. */
  readonly stats: WorkerStats;
  readonly children: readonly ChildInfo[];
}

export class Parent {
  private readonly children = new Set<Child>();
  private readonly places: readonly Place[];
  private readonly startedAt = new Date();
  private state: PreforkFigures["state"] = "working";
  /** What those have done that are gone. */
  private before: WorkerStats = NOTHING_DONE;
  private crashes = 0;
  private restarts = 0;
  /** Since one child was ready, crashes are no reason to give up. */
  private everReady = false;
  private failure: Error | null = null;
  private rolling: Promise<boolean> | null = null;
  private next: Promise<boolean> | null = null;
  private readonly watch: NodeJS.Timeout;
  private empty: () => void = () => undefined;

  constructor(private readonly settings: PreforkSettings) {
    this.places = Array.from({ length: settings.processes }, () => new Place(this.placeOwner()));
    // One first: a program that cannot work says so once, and the first one makes what is missing in the database.
    this.places[0]!.fill();
    this.watch = setInterval(() => this.killSilent(), DEFAULTS.childSignMs);
  }

  get figures(): PreforkFigures {
    const living = [...this.children];
    return {
      state: this.state,
      ready: living.filter(({ state }) => state === "ready").length,
      processes: this.settings.processes,
      pid: process.pid,
      startedAt: this.startedAt,
      crashes: this.crashes,
      restarts: this.restarts,
      stats: sumOf([this.before, ...living.map(({ figures }) => figures.stats)]),
      children: living.map(infoOf),
    };
  }

  /** Resolves when the last child has ended after a stop. @throws QudoError QUDO_CHILD_FAILED. */
  readonly gone: Promise<void> = this.live();

  /** One at a time; asked meanwhile, it is done once more after that, because the program may have changed again. */
  restart(): Promise<boolean> {
    if (this.state !== "working" || !this.everReady) return Promise.resolve(false);
    if (this.rolling === null) {
      this.rolling = this.roll().finally(() => (this.rolling = null));
      return this.rolling;
    }
    this.next ??= this.rolling.then(() => {
      this.next = null;
      return this.restart();
    });
    return this.next;
  }

  private async live(): Promise<void> {
    await new Promise<void>((resolve) => (this.empty = resolve));
    clearInterval(this.watch);
    this.state = "stopped";
    if (this.failure !== null) throw this.failure;
  }

  stop(): void {
    if (this.state === "working") this.state = "stopping";
    for (const place of this.places) place.leave();
    for (const child of this.children) child.stop();
    this.checkEmpty();
  }

  force(): void {
    this.stop();
    for (const child of this.children) child.force();
  }

  private async roll(): Promise<boolean> {
    const { logger } = this.settings;
    logger.info(`qudo: restarting ${this.places.length} children, one after the other`);
    for (const place of this.places)
      if (!(await place.replace())) {
        if (this.state === "working")
          logger.error(
            "qudo: a new child did not become ready: the restart is given up, and the old children go on",
          );
        return false;
      }
    this.restarts++;
    logger.info("qudo: all children were restarted");
    return true;
  }

  /** The program works. */
  private fillAll(): void {
    if (this.everReady) return;
    this.everReady = true;
    for (const place of this.places.slice(1)) place.fill();
  }

  private placeOwner(): PlaceOf {
    return {
      settings: this.settings,
      working: () => this.state === "working",
      born: (child) => {
        this.children.add(child);
        if (!this.everReady) void child.ready.then((ready) => ready && this.fillAll());
      },
      ended: (child, end, crashed) => this.ended(child, end, crashed),
    };
  }

  private ended(child: Child, end: Ended, crashed: boolean): void {
    this.children.delete(child);
    this.before = sumOf([this.before, child.figures.stats]);
    if (crashed) this.crashes++;
    // A program that never works is for whoever starts it to mend: trying it again and again would only hide that.
    if (!this.everReady && !end.expected && this.state === "working") {
      this.failure = new ChildFailedError(child.pid, end.code, end.how);
      this.stop();
    }
    this.checkEmpty();
  }

  private checkEmpty(): void {
    if (this.state === "stopping" && this.children.size === 0) this.empty();
  }

  private killSilent(): void {
    const { silentMs: most, logger } = this.settings;
    for (const child of this.children)
      if (child.state === "ready" && child.silentMs > most) {
        logger.error(
          `qudo: child ${child.pid} has given no sign of life for ${Math.round(child.silentMs / 1_000)} s and is killed`,
        );
        child.kill();
      }
  }
}

function infoOf(child: Child): ChildInfo {
  const { pid, startedAt, figures, silentMs } = child;
  const state = child.state as ChildInfo["state"];
  return { pid, state, startedAt, silentMs: Math.round(silentMs), ...figures };
}
