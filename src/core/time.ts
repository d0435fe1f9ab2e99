/**
 * Time, chance and the turns of the event loop, as whatever waits needs them: given, so that a test can hold all of it in its hands.
 * Worker and client take nothing of this from anywhere else. One object is one process: what is a process's own, as the gate for
 * suspects, belongs to it.
 */
export interface Time {
  /** Monotonic, in milliseconds: what is waited for is measured by it. */
  now(): number;
  /** Milliseconds UTC: what people are shown. What counts in the queue is the database's clock. */
  wall(): number;
  /** From 0 to below 1. */
  chance(): number;
  /** In the next turn of the event loop. */
  soon(then: () => void): void;
  /** After so many milliseconds, unless it is taken back by what is returned. Somebody waits for it: the process stays. */
  later(then: () => void, ms: number): Cancel;
  /** The same, but nobody waits for it: a process that has nothing else to do ends before. */
  aside(then: () => void, ms: number): Cancel;
}

/** Takes back what was to come. Harmless when it has come. */
export type Cancel = () => void;

/** How {@link sleep} waits. */
export interface SleepOptions {
  /** Ends it, by a rejection with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Nobody waits for it: a process with nothing else to do ends before. Default false. */
  readonly aside?: boolean;
}

/** Resolves after so many milliseconds. */
export function sleep(time: Time, ms: number, options: SleepOptions = {}): Promise<void> {
  const { signal, aside = false } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const over = (): void => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    };
    const cancel = aside ? time.aside(over, ms) : time.later(over, ms);
    const aborted = (): void => {
      cancel();
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", aborted, { once: true });
  });
}

/** Again and again, with so many milliseconds between; nobody waits for it. */
export function every(time: Time, ms: number, then: () => void): Cancel {
  let cancel: Cancel;
  const plan = (): void => {
    cancel = time.aside(() => {
      plan();
      then();
    }, ms);
  };
  plan();
  return () => cancel();
}

/** Resolves in the next turn of the event loop. */
export function turn(time: Time): Promise<void> {
  return new Promise((resolve) => time.soon(resolve));
}
