/**
 * The child's side of prefork: tells the parent that it is ready, lives, and leaves. Any program whose parent is prefork has it, from
 * its first worker on.
 */
import { DEFAULTS } from "../../core/defaults.js";
import type { RunningWorker } from "../running.js";
import { superviseSignals } from "../signals.js";
import { sumOf } from "../stats.js";
import { isToParent, type ToParent } from "./wire.js";

/** Null in a program that prefork did not start. */
export interface Parent {
  /** After how many jobs a child leaves; null for never. */
  readonly maxJobs: number | null;
}

export function parent(): Parent | null {
  const [pid, maxJobs] = (process.env["QUDO_PREFORK"] ?? "").split(" ").map(Number);
  // The parent's pid, and after how many jobs a child leaves. What a child starts inherits its environment.
  if (pid !== process.ppid || process.send === undefined) return null;
  return { maxJobs: maxJobs || null };
}

/** The options of a worker here: after how many jobs it leaves is said by the parent, where the program does not. */
export function underParent<Options extends { maxJobs?: number }>(options: Options): Options {
  const maxJobs = parent()?.maxJobs ?? null;
  return maxJobs === null || options.maxJobs !== undefined ? options : { ...options, maxJobs };
}

class Link {
  private readonly workers = new Set<RunningWorker>();
  /** Those that have stopped. */
  private readonly over = new Set<RunningWorker>();
  private readonly force = superviseSignals();

  constructor() {
    process.on("message", (message) => {
      if (isToParent(message) && (message.qudo as string) === "force") this.force();
    });
    // A terminal that is closed tells all of a group; whether that is a reason to end or to restart is the parent's to say.
    process.on("SIGHUP", () => undefined);
    // Without a parent nobody would ever replace or stop it.
    process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
    // Listeners hold the channel, and the channel would hold a process that has nothing left to do.
    process.channel?.unref();
    setInterval(() => this.sign(), DEFAULTS.childSignMs).unref();
  }

  join(worker: RunningWorker): void {
    this.workers.add(worker);
    const ended = (what: "leaving" | "failed"): void => {
      this.sign();
      this.over.add(worker);
      if (this.over.size === this.workers.size) this.say({ qudo: what });
    };
    void worker.stopped.then(
      () => ended("leaving"),
      () => ended("failed"),
    );
  }

  ready(): void {
    this.sign();
    this.say({ qudo: "ready" });
  }

  private sign(): void {
    const stats = sumOf(Array.from(this.workers, (worker) => worker.stats));
    this.say({ qudo: "sign", figures: { stats, memory: process.memoryUsage.rss() } });
  }

  private say(message: ToParent): void {
    if (process.connected) process.send!(message, undefined, undefined, () => undefined);
  }
}

let link: Link | undefined;

/**
 * Null in a program that prefork did not start. `onStarted` is given what to call when a worker's session is open; the worker itself is
 * given to what is returned.
 */
export function parentToTell(
  onStarted: (ready: () => void) => void,
): ((worker: RunningWorker) => void) | null {
  if (parent() === null) return null;
  link ??= new Link();
  const one = link;
  onStarted(() => one.ready());
  return (worker) => one.join(worker);
}
