/**
 * Jobs that may have killed their workers: one crash before they are condemned they run alone in their process, so that no
 * innocent dies beside them. All workers of this process take turns.
 */
import type { HeldJob } from "./queue.js";

/** So long places are kept free for a suspect … */
const CLEAR_MS = 30_000;
/** … out of every so long: behind a handler that runs for hours the others go on. */
const CLEAR_EVERY_MS = 300_000;

/** The job that runs alone in this process, and the workers that wait for its end with one of theirs. */
let alone: HeldJob | null = null;
const queue = new Set<Suspects>();

export class Suspects {
  private waiting: HeldJob[] = [];
  private since = 0;
  private started: HeldJob | null = null;

  /** `onTurn` is called when another worker's suspect has ended. */
  constructor(private readonly onTurn: () => void) {}

  get size(): number {
    return this.waiting.length;
  }

  add(suspect: HeldJob): void {
    if (this.waiting.length === 0) this.since = performance.now();
    this.waiting.push(suspect);
  }

  /** Gives up all that has not started. */
  drop(): HeldJob[] {
    queue.delete(this);
    return this.waiting.splice(0);
  }

  /** One runs here: nothing else may start. */
  get running(): boolean {
    return this.started !== null;
  }

  /** One runs, or places are kept free for one. */
  get blocking(): boolean {
    if (this.running) return true;
    return this.waiting.length > 0 && (performance.now() - this.since) % CLEAR_EVERY_MS < CLEAR_MS;
  }

  /** The one that starts now, where nothing else runs. `ended()` must follow. */
  next(): HeldJob | undefined {
    if (this.waiting.length === 0) return undefined;
    if (alone !== null) {
      queue.add(this);
      return undefined;
    }
    queue.delete(this);
    alone = this.started = this.waiting.shift()!;
    return alone;
  }

  ended(): void {
    if (this.started === null) return;
    alone = this.started = null;
    // Who waited longest comes first; this worker's next suspect waits behind.
    for (const other of queue) other.onTurn();
  }
}
