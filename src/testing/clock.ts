/** Time moved by hand, for tests of what waits for hours. */
import { sharedClock, type SharedClock } from "../storage/clock.js";

/** Given as `databases: { url, clock }`, it is the database's time, also in the database's own thread. */
export interface ManualClock extends SharedClock {
  /** Sets it forward by so many milliseconds, or back for a negative number. */
  advance(ms: number): void;
  set(to: Date | number): void;
}

/**
 * Stands still until it is moved. It is the time of the database alone: a running worker looks at the database as often as ever,
 * by the real time.
 * @param start Default: now.
 */
export function manualClock(start: Date | number = Date.now()): ManualClock {
  const clock = sharedClock(new SharedArrayBuffer(8));
  const time = new BigInt64Array(clock.shared);
  const set = (to: Date | number): void => void Atomics.store(time, 0, BigInt(Math.round(+to)));
  set(start);
  return Object.assign(clock, {
    advance: (ms: number) => void Atomics.add(time, 0, BigInt(Math.round(ms))),
    set,
  });
}
