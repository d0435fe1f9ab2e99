/**
 * Jobs that may have killed their workers: one crash before they are condemned they run alone in their process, so that no
 * innocent dies beside them. The gate is the process's: while a suspect waits in any of its workers, none of them starts
 * anything else for a while; it starts when nothing of any worker runs; and until it has ended nothing else starts.
 */
import { isSuspect } from "../core/outcome.js";
import type { HeldJob } from "./queue.js";

/** So long places are kept free for a suspect … */
const CLEAR_MS = 30_000;
/** … out of every so long: behind a handler that runs for hours the others go on. */
const CLEAR_EVERY_MS = 300_000;

/** What all workers of this process share. */
const gate = {
  /** Handlers that have not returned. */
  running: 0,
  /** Whose suspect runs alone. */
  alone: null as Suspects | null,
  /** Workers with a suspect that waits; who came first, or waited longest since its last turn, comes first. */
  waiting: new Set<Suspects>(),
  /** Since when somebody waits. */
  since: 0,
  /** Workers that were refused a start meanwhile. */
  refused: new Set<Suspects>(),
};

export class Suspects {
  private waiting: HeldJob[] = [];

  /** `onTurn` is called when it may be worth looking again: the gate has opened, or this worker's suspect may start. */
  constructor(readonly onTurn: () => void) {}

  get size(): number {
    return this.waiting.length;
  }

  /** It must run alone. */
  concerns({ job }: HeldJob): boolean {
    return isSuspect(job);
  }

  add(suspect: HeldJob): void {
    if (gate.waiting.size === 0) gate.since = performance.now();
    this.waiting.push(suspect);
    gate.waiting.add(this);
  }

  /** Gives up all that has not started. */
  drop(): HeldJob[] {
    gate.refused.delete(this);
    if (gate.waiting.delete(this)) opened();
    return this.waiting.splice(0);
  }

  /** One runs in this process, or places are kept free for one: nothing else may start. */
  get blocking(): boolean {
    const closed = isClosed();
    if (closed) gate.refused.add(this);
    return closed;
  }

  /** The one that starts now, because nothing else runs in this process. */
  next(): HeldJob | undefined {
    if (this.waiting.length === 0 || gate.running > 0 || gate.alone !== null) return undefined;
    gate.alone = this;
    gate.waiting.delete(this);
    const suspect = this.waiting.shift();
    // Its next one waits behind those of the others.
    if (this.waiting.length > 0) gate.waiting.add(this);
    return suspect;
  }

  /** A job has started in this worker; `ended` must follow. */
  started(): void {
    gate.running++;
  }

  /** Its handler has returned. */
  ended(wasSuspect: boolean): void {
    gate.running--;
    if (wasSuspect && gate.alone === this) gate.alone = null;
    if (gate.running === 0 && (gate.waiting.size > 0 || gate.refused.size > 0)) opened();
  }
}

/** Of tasks, which are worked on by whoever fetched them: they wait for nobody in this process, and nobody waits for them. */
export class NoSuspects extends Suspects {
  override concerns(): boolean {
    return false;
  }

  override get blocking(): boolean {
    return false;
  }

  override started(): void {}

  override ended(): void {}
}

function isClosed(): boolean {
  if (gate.alone !== null) return true;
  if (gate.waiting.size === 0) return false;
  return (performance.now() - gate.since) % CLEAR_EVERY_MS < CLEAR_MS;
}

/** Those whose suspects wait look first; the others find the gate open, or shut again. */
function opened(): void {
  const others = [...gate.refused];
  gate.refused.clear();
  for (const one of gate.waiting) one.onTurn();
  for (const one of others) one.onTurn();
}
