/** Maintenance of plugins: rounds at their times, while there is a worker in this process. */
import { timerMs } from "../core/duration.js";
import type { Round } from "../core/plugins.js";
import type { Cancel, Time } from "../core/time.js";

/** One thing that is done now and then. */
interface Turn {
  readonly everyMs: number;
  readonly run: Round;
  readonly failed: (error: unknown) => void;
}

export class Rounds {
  private readonly turns = new Map<Turn, Turning>();
  private workers = 0;

  constructor(private readonly time: Time) {}

  /** Returns the way to take it back, which resolves when no round is under way. */
  add(turn: Turn): () => Promise<void> {
    const turning = new Turning(turn, this.time);
    this.turns.set(turn, turning);
    if (this.workers > 0) turning.start();
    return () => {
      this.turns.delete(turn);
      return turning.stop();
    };
  }

  workerStarted(): void {
    this.workers++;
    if (this.workers === 1) for (const turning of this.turns.values()) turning.start();
  }

  workerStopped(): void {
    this.workers--;
    if (this.workers === 0) for (const turning of this.turns.values()) void turning.stop();
  }
}

class Turning {
  private cancel: Cancel = () => undefined;
  private stopping: AbortController | null = null;
  private underWay: Promise<void> = Promise.resolve();

  constructor(
    private readonly turn: Turn,
    private readonly time: Time,
  ) {}

  start(): void {
    this.stopping = new AbortController();
    this.plan(this.stopping.signal);
  }

  async stop(): Promise<void> {
    this.cancel();
    this.stopping?.abort();
    this.stopping = null;
    await this.underWay;
  }

  private plan(signal: AbortSignal): void {
    if (signal.aborted) return;
    this.cancel = this.time.aside(() => {
      // One that was stopped and begun again meanwhile waits for its last round.
      this.underWay = this.underWay.then(() => this.round(signal));
    }, timerMs(this.turn.everyMs));
  }

  private async round(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    try {
      await this.turn.run({ signal });
    } catch (error) {
      if (!signal.aborted) this.turn.failed(error);
    }
    this.plan(signal);
  }
}
