/** Handlers under way, and which of them wait for time to pass. */
import { AsyncLocalStorage } from "node:async_hooks";
import { durationMs, type Duration } from "../../core/duration.js";
import { QudoError } from "../../core/errors.js";
import { sleep as sleepOn } from "../../core/time.js";
import type { Process } from "./process.js";

/** Real time, whatever a test does to the globals. */
const { performance: real } = globalThis;

interface Handling {
  readonly process: Process;
  readonly kind: string;
  /** Real milliseconds. */
  readonly since: number;
  asleep: boolean;
}

/** Of all stages: a handler that sleeps need not know on which one it is. */
const current = new AsyncLocalStorage<Handling>();

/**
 * For handlers that a test calls: waits on the time of its stage, not on the real one. `signal` ends it, by a rejection with the
 * signal's reason.
 * @throws QudoError QUDO_TEST_STUCK outside of such a handler: nobody would move the time meanwhile.
 */
export async function sleep(
  duration: Duration,
  options: { signal?: AbortSignal } = {},
): Promise<void> {
  const ms = durationMs(duration, "sleep");
  const handling = current.getStore();
  if (handling === undefined)
    throw new QudoError(
      "QUDO_TEST_STUCK",
      "sleep() is for handlers that run on a stage: elsewhere nobody would move the time meanwhile. In a test, move it: await kit.advance(…).",
    );
  handling.asleep = true;
  try {
    await sleepOn(handling.process.world.time!, ms, options);
  } finally {
    handling.asleep = false;
  }
}

/** What is no handler and still lives on a stage: `sleep` in it is of that stage. */
export function actIn<T>(process: Process, act: () => Promise<T>): Promise<T> {
  return current.run({ process, kind: "", since: 0, asleep: false }, act);
}

export class Handlers {
  private readonly all = new Set<Handling>();

  /** Calls a handler, which is known to be under way until it has returned. */
  async run<T>(process: Process, kind: string, handler: () => T): Promise<Awaited<T>> {
    const handling: Handling = { process, kind, since: real.now(), asleep: false };
    this.all.add(handling);
    try {
      return await current.run(handling, handler);
    } finally {
      this.all.delete(handling);
    }
  }

  /** Of processes that live. */
  get kinds(): string[] {
    return this.living.map(({ kind }) => kind);
  }

  get running(): number {
    return this.living.length;
  }

  runningIn(process: Process): number {
    return this.living.filter((one) => one.process === process).length;
  }

  /** Some of them may return without time passing: those that do not sleep, and have not run for so long yet. */
  isAwake(patienceMs: number): boolean {
    return this.living.some(
      ({ asleep, process, since }) =>
        !asleep && process.life === "alive" && real.now() - since < patienceMs,
    );
  }

  private get living(): Handling[] {
    return [...this.all].filter(({ process }) => process.life !== "dead");
  }
}
