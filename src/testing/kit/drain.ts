/** How far the time of a stage is moved: by so much, as far as there is work, or until something has happened. */
import { durationMs, type Duration } from "../../core/duration.js";
import { QudoError } from "../../core/errors.js";
import { checkInteger, checkOptions } from "../../core/options.js";
import type { Qudo } from "../../qudo.js";
import type { RunningWorker } from "../../worker/running.js";
import type { AutoStage } from "./auto-stage.js";
import { endsBetween, type Ends } from "./ledger.js";
import { Mover } from "./mover.js";
import type { Process } from "./process.js";

/** How far {@link TestQudo.drain} goes. */
export interface DrainOptions {
  /** Moves time by no more than this; what is due later stays. Default: as far as there is work. */
  within?: Duration;
  /** So many ends of runs are too many: jobs that beget jobs. Default 10,000. */
  limit?: number;
}

/** What happened meanwhile: how many runs ended in each way, and how much time has passed. */
export interface Drained extends Ends {
  readonly elapsedMs: number;
}

const RUNS = 10_000;
/** So many steps in which no run ends: none will. */
const STEPS = 20_000;
/** Real milliseconds for which handlers are waited for that nothing else could bring to their end. Below the five seconds of vitest. */
const STUCK_MS = 3_000;
/** Completions wait so long for company, due jobs for a look: a drain that may not move the time may still move it so far. */
const MOMENT_MS = 50;
/** Longer than others need to give up what they hold. */
const CRASH_WITHIN_MS = 120_000;

export class Drain {
  private readonly mover: Mover;

  constructor(
    private readonly stage: AutoStage,
    private readonly qudo: Qudo,
    patienceMs: number,
  ) {
    this.mover = new Mover(stage, patienceMs);
  }

  quiet(): Promise<void> {
    return this.mover.quiet();
  }

  async advance(ms: number): Promise<Drained> {
    const { timeline } = this.stage;
    const end = timeline.now + ms;
    return this.told(async () => {
      await this.quiet();
      while (await this.mover.step(end));
      timeline.moveTo(end);
      await this.quiet();
    });
  }

  async drain(options: DrainOptions): Promise<Drained> {
    checkOptions(options, ["within", "limit"], "drain");
    const { within, limit = RUNS } = options;
    const withinMs = within === undefined ? Infinity : durationMs(within, "within");
    checkInteger(limit, "limit", 1, Number.MAX_SAFE_INTEGER);
    const end = this.stage.timeline.now + Math.max(withinMs, MOMENT_MS);
    await this.quiet();
    return this.told(async () => {
      const own = await this.ownWorker();
      try {
        await this.drainTo(end, limit);
      } finally {
        // With handlers that do not return it would not stop either; closing the kit ends it.
        if (own !== null && this.stage.handlers.running === 0) await own.stop();
      }
    });
  }

  async until<T>(promise: Promise<T>): Promise<T> {
    const wait = { over: false };
    const settled = (): void => void (wait.over = true);
    promise.then(settled, settled);
    const watch = this.watch();
    await this.quiet();
    while (!wait.over) {
      watch.step();
      if (!(await this.mover.step()) && !(await this.somethingReal(() => wait.over)))
        throw this.stuck("What was waited for does not come: nothing waits for time to pass");
    }
    return promise;
  }

  /** Until this process has died. */
  async dies(process: Process, point: string): Promise<void> {
    const end = this.stage.timeline.now + CRASH_WITHIN_MS;
    await this.quiet();
    while (process.life !== "dead" && (await this.mover.step(end)));
    if (process.life === "dead") return;
    process.die();
    throw this.stuck(
      `No job came to the point "${point}" in the worker that was to die there: there was none that it could claim, or others took them`,
    );
  }

  private async drainTo(end: number, limit: number): Promise<void> {
    const { ledger } = this.stage;
    const before = sumOf(ledger.ends);
    const watch = this.watch();
    this.stage.wakeAll();
    await this.quiet();
    for (;;) {
      const { now, nextMs } = await this.mover.work();
      if (now === 0 && nextMs === null) return;
      watch.step();
      if (sumOf(ledger.ends) - before > limit)
        throw this.stuck(`More than ${limit} runs have ended, and there are still jobs`);
      if (await this.mover.step(end)) continue;
      if (end < Infinity) return;
      const { changes } = ledger;
      if (!(await this.somethingReal(() => ledger.changes > changes)))
        throw this.stuck("There are jobs that do not end, and nothing waits for time to pass");
    }
  }

  /** Handlers may wait for something real for longer than it seemed. False when nothing came of that. */
  private async somethingReal(hasCome: () => boolean): Promise<boolean> {
    const { stage } = this;
    if (stage.handlers.running === 0 && !hasCome()) return false;
    return stage.waitFor(hasCome, STUCK_MS);
  }

  /** Where nobody works: on every queue that holds jobs. Null where somebody does, or there is nothing to do. */
  private async ownWorker(): Promise<RunningWorker | null> {
    if (this.stage.ledger.working.some(({ life }) => life === "alive")) return null;
    const lanes = await this.stage.database.counts({});
    const queues = [...new Set(lanes.map(({ queue }) => queue))];
    if (queues.length === 0) return null;
    const worker = await this.qudo.work({ queues, signals: false });
    await this.quiet();
    return worker;
  }

  private async told(act: () => Promise<void>): Promise<Drained> {
    const { ledger, timeline } = this.stage;
    const { ends } = ledger;
    const { now } = timeline;
    await act();
    return { ...endsBetween(ends, ledger.ends), elapsedMs: timeline.now - now };
  }

  /** Counts the steps in which nothing ends. */
  private watch(): { step(): void } {
    const { ledger } = this.stage;
    let { ends } = ledger;
    let steps = 0;
    return {
      step: () => {
        if (ledger.ends !== ends) [ends, steps] = [ledger.ends, 0];
        else if (++steps > STEPS)
          throw this.stuck(`Time was moved ${STEPS} steps, and no run has ended`);
      },
    };
  }

  /** Names those who may be to blame. */
  private stuck(what: string): QudoError {
    const kinds = new Set(this.stage.handlers.kinds);
    const named = Array.from(kinds, (kind) => `"${kind}"`).join(", ");
    const hands = kinds.size === 0 ? "" : ` Handlers that have not returned: ${named}.`;
    return new QudoError("QUDO_TEST_STUCK", `${what}.${hands}`);
  }
}

const sumOf = (ends: Ends): number => Object.values(ends).reduce((sum, n) => sum + n, 0);
