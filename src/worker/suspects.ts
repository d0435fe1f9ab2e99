/**
 * Jobs that may have killed their workers: one crash before they are condemned they run alone in their process, so that no
 * innocent dies beside them. The gate is the process's: while a suspect waits in any of its workers, none of them starts
 * anything else for a while; it starts when nothing of any worker runs; and until it has ended nothing else starts.
 */
import { isSuspect } from "../core/outcome.js";
import type { Time } from "../core/time.js";
import type { HeldJob } from "./queue.js";

/** So long places are kept free for a suspect … */
const CLEAR_MS = 30_000;
/** … out of every so long: behind a handler that runs for hours the others go on. */
const CLEAR_EVERY_MS = 300_000;

/** What all workers of one process share. */
class Gate {
  /** Handlers that have not returned. */
  running = 0;
  /** Whose suspect runs alone. */
  alone: Suspects | null = null;
  /** Workers with a suspect that waits; who came first, or waited longest since its last turn, comes first. */
  readonly waiting = new Set<Suspects>();
  /** Workers that were refused a start meanwhile. */
  readonly refused = new Set<Suspects>();
  /** Since when somebody waits. */
  private since = 0;

  constructor(private readonly time: Time) {}

  wait(one: Suspects): void {
    if (this.waiting.size === 0) this.since = this.time.now();
    this.waiting.add(one);
  }

  get closed(): boolean {
    if (this.alone !== null) return true;
    if (this.waiting.size === 0) return false;
    return (this.time.now() - this.since) % CLEAR_EVERY_MS < CLEAR_MS;
  }

  /** Those whose suspects wait look first; the others find the gate open, or shut again. */
  opened(): void {
    const others = [...this.refused];
    this.refused.clear();
    for (const one of this.waiting) one.onTurn();
    for (const one of others) one.onTurn();
  }
}

/** A process is known by its time. Weak: those of tests are many. */
const gates = new WeakMap<Time, Gate>();

function gateOf(time: Time): Gate {
  const gate = gates.get(time) ?? new Gate(time);
  gates.set(time, gate);
  return gate;
}

export class Suspects {
  private waiting: HeldJob[] = [];
  private readonly gate: Gate;

  /** `onTurn` is called when it may be worth looking again: the gate has opened, or this worker's suspect may start. */
  constructor(
    readonly onTurn: () => void,
    time: Time,
  ) {
    this.gate = gateOf(time);
  }

  get size(): number {
    return this.waiting.length;
  }

  /** It must run alone. */
  concerns({ job }: HeldJob): boolean {
    return isSuspect(job);
  }

  add(suspect: HeldJob): void {
    this.waiting.push(suspect);
    this.gate.wait(this);
  }

  /** Gives up all that has not started. */
  drop(): HeldJob[] {
    const { gate } = this;
    gate.refused.delete(this);
    if (gate.waiting.delete(this)) gate.opened();
    return this.waiting.splice(0);
  }

  /** One runs in this process, or places are kept free for one: nothing else may start. */
  get blocking(): boolean {
    const { closed } = this.gate;
    if (closed) this.gate.refused.add(this);
    return closed;
  }

  /** The one that starts now, because nothing else runs in this process. */
  next(): HeldJob | undefined {
    const { gate } = this;
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
    this.gate.running++;
  }

  /** Its handler has returned. */
  ended(wasSuspect: boolean): void {
    const { gate } = this;
    gate.running--;
    if (wasSuspect && gate.alone === this) gate.alone = null;
    if (gate.running === 0 && (gate.waiting.size > 0 || gate.refused.size > 0)) gate.opened();
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
