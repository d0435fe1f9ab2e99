/**
 * The stage of {@link testQudo}: what needs no time happens by itself, as in any program, and time stands still until it is moved.
 */
import { CommonStage } from "./stage.js";
import type { Call, Process } from "./process.js";

/** The real ones, whatever a test does to the globals. */
const { setImmediate: realImmediate, setTimeout: realTimeout, performance: real } = globalThis;

/** Turns of the event loop in which nothing happens, after which nothing will. */
const CALM_TURNS = 3;

export class AutoStage extends CommonStage {
  /** Turns and calls that are to come. */
  private under = 0;
  private activity = 0;

  soon(_process: Process, then: () => void): void {
    this.under++;
    realImmediate(() => {
      this.under--;
      this.activity++;
      then();
    });
  }

  async call<T>(process: Process, call: Call, perform: () => Promise<T>): Promise<T> {
    this.under++;
    try {
      const answer = await perform();
      await this.done(process, call, answer);
      return answer;
    } finally {
      this.under--;
      this.activity++;
    }
  }

  /**
   * Resolves when nothing more happens without time passing. Handlers that wait for something real, a file or an answer, are waited for:
   * each for so many real milliseconds.
   */
  async quiet(patienceMs: number): Promise<void> {
    for (let calm = 0; calm < CALM_TURNS;) {
      const before = this.activity;
      await new Promise((resolve) => realImmediate(resolve));
      if (this.under > 0 || this.activity !== before) calm = 0;
      else if (this.handlers.isAwake(patienceMs)) await this.rest();
      else calm++;
    }
  }

  /** For so many real milliseconds at most. False when it has not come. */
  async waitFor(hasCome: () => boolean, ms: number): Promise<boolean> {
    const end = real.now() + ms;
    while (!hasCome() && real.now() < end) await this.rest();
    return hasCome();
  }

  /** Real time, for what only that brings. */
  private async rest(): Promise<void> {
    await new Promise((resolve) => realTimeout(resolve, 1));
  }
}
