/**
 * One run that was handed out: what may be done with it, once. The face that its owner has of it (task.ts) points here, and nothing here
 * points back, so that a task that was dropped can be found out.
 */
import { inTurn } from "../../core/chain.js";
import { encodeResult } from "../../core/codec.js";
import { durationMs, type Duration } from "../../core/duration.js";
import type { Chain } from "../../core/hooks.js";
import type { WorkJob } from "../../core/job.js";
import { afterCancel, afterSnooze, afterSuccess } from "../../core/outcome.js";
import type { RunState } from "../../core/states.js";
import type { Settlement } from "../../storage/driver.js";
import type { Run } from "../context.js";
import { failed, givenBack, rolledBack, settlement, startClock, timedOut } from "../executor.js";
import type { HandCrew } from "../hand.js";
import type { Answers } from "./answers.js";
import type { TaskState } from "./api.js";

export class Hold {
  /** Resolves when it is out of its owner's hands. */
  readonly over: Promise<void>;
  private leave!: () => void;
  private known: TaskState = "reserved";
  private starting: Promise<boolean> | null = null;
  private clock: { stop(): void } | null = null;

  constructor(
    readonly run: Run,
    private readonly crew: HandCrew,
    private readonly answers: Answers,
  ) {
    this.over = new Promise((resolve) => (this.leave = resolve));
    // It counts no more: its lease is to be closed. What must stop may still be finished.
    run.onInterrupt = (cause) => {
      if (cause === "lost") void this.release();
    };
  }

  get state(): TaskState {
    // Taken back by a process that ends.
    return this.run.decided && isOpen(this.known) ? "released" : this.known;
  }

  get active(): boolean {
    return !this.run.decided;
  }

  start(): Promise<boolean> {
    if (!this.active) return Promise.resolve(false);
    if (this.known === "running") return Promise.resolve(true);
    this.starting ??= this.mark().finally(() => (this.starting = null));
    return this.starting;
  }

  private async mark(): Promise<boolean> {
    const { run, crew } = this;
    const ours = await crew.mark(run);
    if (!ours) {
      run.interrupt("lost");
      await this.release();
    }
    if (!this.active) return false;
    this.known = "running";
    run.marked = true;
    run.startedMono = run.time.now();
    this.clock = startClock(run, () => void this.end(() => timedOut(run, crew)));
    crew.started(run);
    return run.chain === null || this.hooked(run.chain);
  }

  /** As before a handler: what they throw is how the run ends. */
  private async hooked({ preWork }: Chain<WorkJob>): Promise<boolean> {
    const { run, crew } = this;
    try {
      await inTurn(preWork, (hook) => hook(run));
    } catch (error) {
      await this.end(() => failed(run, error, crew));
    }
    return this.active;
  }

  /** @throws InvalidInputError QUDO_INVALID_RESULT, or for jobs in its place that cannot be enqueued. */
  async finish(result: unknown): Promise<boolean> {
    const { run } = this;
    const text = encodeResult(result);
    if (run.replacing !== null) await run.replacing.checked();
    const state = await this.end(() =>
      run.completed ? rolledBack(run, "") : settlement(run, afterSuccess(run.claimed), text, null),
    );
    return state === "done";
  }

  fail(error: unknown): Promise<boolean> {
    return this.ends(() => failed(this.run, error, this.crew));
  }

  release(): Promise<boolean> {
    return this.ends(() => givenBack(this.run));
  }

  /** @throws InvalidInputError QUDO_INVALID_DURATION. */
  async snooze(delay: Duration): Promise<boolean> {
    const { run } = this;
    const delayMs = durationMs(delay, "snooze");
    return this.ends(() => settlement(run, afterSnooze(run.claimed, delayMs), null, null));
  }

  cancel(): Promise<boolean> {
    const { run } = this;
    return this.ends(() => settlement(run, afterCancel(run.claimed), null, null));
  }

  async refresh(): Promise<TaskState> {
    if (this.active) await this.crew.ask(this.run);
    return this.state;
  }

  /** Its worker has ended, and looks after it no more. */
  leftBehind(): void {
    if (this.active) {
      this.run.decided = true;
      this.known = "lost";
    }
    this.clock?.stop();
    this.leave();
  }

  private async ends(make: () => Settlement): Promise<boolean> {
    return (await this.end(make)) !== "lost";
  }

  /** Once. What comes after it is lost. */
  private async end(make: () => Settlement): Promise<RunState | "lost"> {
    const { run, known } = this;
    if (run.decided) return "lost";
    const made = make();
    const end = known === "running" ? made : { ...made, elapsedMs: null };
    run.decided = true;
    run.outcome = end.state;
    this.clock?.stop();
    this.known = run.cause === "lost" ? "lost" : (end.state as TaskState);
    const answer = this.answers.to(end);
    this.crew.settle(run, end);
    this.leave();
    const state = await answer;
    if (this.known !== "lost") this.known = state as TaskState;
    return state;
  }
}

const isOpen = (state: TaskState): boolean => state === "reserved" || state === "running";
