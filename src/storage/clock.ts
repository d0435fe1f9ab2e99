/**
 * A clock that is moved by hand and read in every thread: a database in a thread of its own cannot call back for the time.
 * `qudo/testing` makes such clocks; here is what both ends agree on.
 */
export interface SharedClock {
  /** Milliseconds UTC. */
  (): number;
  /** Where the time stands, for other threads. */
  readonly shared: SharedArrayBuffer;
}

export function isSharedClock(clock: unknown): clock is SharedClock {
  return (
    typeof clock === "function" && "shared" in clock && clock.shared instanceof SharedArrayBuffer
  );
}

/** The clock whose time stands there. */
export function sharedClock(shared: SharedArrayBuffer): SharedClock {
  const time = new BigInt64Array(shared);
  return Object.assign(() => Number(Atomics.load(time, 0)), { shared });
}
