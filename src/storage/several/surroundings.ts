/** Time and chance, as several databases need them: given, so that a test can hold both in its hands. */

export interface Surroundings {
  /** Monotonic, in milliseconds: what is waited for is measured by it. */
  now(): number;
  /** Milliseconds UTC: what people are shown. */
  wall(): number;
  /** From 0 to below 1. */
  chance(): number;
  /** In the next turn of the event loop. */
  soon(then: () => void): void;
  /** After so many milliseconds, unless it is taken back by what is returned. Somebody waits for it: the process stays. */
  later(then: () => void, ms: number): () => void;
  /** The same, but nobody waits for it: a process that has nothing else to do ends before. */
  aside(then: () => void, ms: number): () => void;
}

export const REAL: Surroundings = {
  now: () => performance.now(),
  wall: () => Date.now(),
  chance: () => Math.random(),
  soon: (then) => void setImmediate(then),
  later: (then, ms) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
  aside: (then, ms) => {
    const timer = setTimeout(then, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Whether it ends within so many milliseconds; it goes on all the same. @throws what it throws. */
export function endsWithin(
  promise: Promise<unknown>,
  ms: number,
  surroundings: Pick<Surroundings, "later">,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const cancel = surroundings.later(() => resolve(false), ms);
    void promise.then(() => resolve(true), reject).finally(cancel);
  });
}
