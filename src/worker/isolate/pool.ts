/**
 * The threads, or processes, in which one module's handlers run: as many as jobs run in them, each with one job at a time, kept for
 * a while when they have none.
 */
import { DEFAULTS } from "../../core/defaults.js";
import type { Isolation } from "../../core/isolation.js";
import type { JobContext, Registry } from "../../core/job.js";
import { NeverBegan, noSuchKind, Remote } from "./remote.js";

export class Pool {
  private readonly all = new Set<Remote>();
  /** The one that was used last comes last, and is taken first. */
  private idle: Remote[] = [];
  private readonly tooLong = new Map<Remote, NodeJS.Timeout>();

  constructor(
    private readonly isolation: Isolation,
    private readonly module: string,
    private readonly jobs: Registry,
  ) {}

  /** One is made ready. @throws QudoError QUDO_ISOLATE_FAILED where these kinds are not in it. */
  async prove(kinds: readonly string[]): Promise<void> {
    const remote = this.take();
    const found = await remote.kinds;
    const missing = kinds.find((kind) => !found.has(kind));
    if (missing === undefined) return this.giveBack(remote);
    remote.kill();
    throw noSuchKind(missing, this.module);
  }

  /** One that ended while it had nothing to do may be found out by the next job: that one is asked of another. */
  async run(payload: unknown, job: JobContext): Promise<unknown> {
    for (;;) {
      const remote = this.take();
      try {
        return await remote.run(payload, job);
      } catch (error) {
        if (!(error instanceof NeverBegan)) throw error;
        job.signal.throwIfAborted();
      } finally {
        this.giveBack(remote);
      }
    }
  }

  close(): void {
    for (const remote of this.all)
      if (this.idle.includes(remote)) remote.end();
      else remote.kill();
    for (const timer of this.tooLong.values()) clearTimeout(timer);
    this.idle = [];
  }

  private take(): Remote {
    const remote = this.idle.pop() ?? this.open();
    clearTimeout(this.tooLong.get(remote));
    this.tooLong.delete(remote);
    return remote;
  }

  private open(): Remote {
    const remote = new Remote(this.isolation, this.module, this.jobs, (over) => this.forget(over));
    this.all.add(remote);
    return remote;
  }

  private giveBack(remote: Remote): void {
    if (remote.over) return;
    this.idle.push(remote);
    const timer = setTimeout(() => {
      remote.end();
      this.forget(remote);
    }, DEFAULTS.isolateIdleMs);
    this.tooLong.set(remote, timer.unref());
  }

  private forget(remote: Remote): void {
    this.all.delete(remote);
    this.idle = this.idle.filter((other) => other !== remote);
    clearTimeout(this.tooLong.get(remote));
    this.tooLong.delete(remote);
  }
}
