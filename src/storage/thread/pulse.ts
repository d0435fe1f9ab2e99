/** The main loop's sign of life, seen from the thread: when it last came round, on the monotonic clock that all threads share. */

/** Time between two signs. */
const EVERY_MS = 250;

/** The main loop's side. Ticks only while somebody watches. */
export class Pulse {
  readonly shared = new SharedArrayBuffer(8);
  private readonly at = new BigInt64Array(this.shared);
  private timer: NodeJS.Timeout | undefined;

  start(): void {
    this.tick();
    if (this.timer !== undefined) return;
    this.timer = setInterval(() => this.tick(), EVERY_MS);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private tick(): void {
    Atomics.store(this.at, 0, process.hrtime.bigint());
  }
}

/**
 * Milliseconds since the last sign. The moment stands in the sign itself: a process that was frozen finds a sign from
 * before, however late it looks.
 */
export function silentMs(shared: SharedArrayBuffer): number {
  return Number(process.hrtime.bigint() - Atomics.load(new BigInt64Array(shared), 0)) / 1e6;
}
