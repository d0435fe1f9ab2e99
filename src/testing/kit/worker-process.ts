/** A worker in a process of its own on the stage. */
import type { Qudo } from "../../qudo.js";
import type { RunningWorker, StopOptions } from "../../worker/running.js";
import type { WorkerStats } from "../../worker/stats.js";
import type { Handlers } from "./handlers.js";
import type { Process } from "./process.js";

/** Made by `work` and `crashWorker` of {@link TestQudo}. */
export class WorkerProcess implements AsyncDisposable {
  constructor(
    /** What it runs in. */
    readonly process: Process,
    private readonly qudo: Qudo,
    private readonly worker: RunningWorker,
    private readonly handlers: Handlers,
  ) {}

  /** "alive"; "frozen": it stands still, and time goes on without it; "dead". */
  get life(): Process["life"] {
    return this.process.life;
  }

  /** What it has done so far, as it knows. */
  get stats(): WorkerStats {
    return this.worker.stats;
  }

  /** It dies now, as by `kill -9`. What its handlers still do in this process counts for nobody. */
  crash(): void {
    this.process.die();
  }

  /** It stands still, as by SIGSTOP: no timer of it fires, and no answer reaches it. What a handler does meanwhile goes on. */
  freeze(): void {
    this.process.freeze();
  }

  /** It goes on, and finds that time has passed. */
  thaw(): void {
    this.process.thaw();
  }

  /** Stops it as a program does. While its handlers wait for time, move it: `await kit.until(worker.stop())`. */
  async stop(options: StopOptions = {}): Promise<void> {
    if (this.life === "dead") return;
    await this.worker.stop(options);
    await this.qudo.close();
    this.process.die();
  }

  /** At the end of a test: as gently as it can without moving time. */
  async end(): Promise<void> {
    if (this.life === "alive" && this.handlers.runningIn(this.process) === 0) await this.stop();
    this.process.die();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}
