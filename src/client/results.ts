/**
 * Waiting for results. All who wait through one Qudo share one watch: it asks for the endings of their jobs in sets, at
 * once where something hints that a job has ended, and again and again behind that. While nobody waits there is no
 * watch, no timer and no subscription.
 */
import { incompleteToo } from "../core/ask.js";
import { decode } from "../core/codec.js";
import { LIMITS } from "../core/defaults.js";
import { durationMs, type Duration } from "../core/duration.js";
import { DatabaseError, InvalidInputError, JobFailedError, QudoError } from "../core/errors.js";
import type { Emit, EventName, QudoEvents } from "../core/events.js";
import { checkInteger, checkOptions } from "../core/options.js";
import { sleep, turn, type Cancel, type Time } from "../core/time.js";
import type { AttemptRow, Driver, Ending } from "../storage/driver.js";
import { REAL } from "../storage/time.js";

/** How long to wait for a result, and what ends the wait. */
export interface ResultOptions {
  /** How long to wait before QUDO_RESULT_TIMEOUT. Default: as long as it takes. */
  timeout?: Duration;
  /** Ends the wait, which rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Between two looks that nothing hinted at: soon at first, then patiently. */
const POLL_FIRST_MS = 20;
const POLL_LAST_MS = 250;
const POLL_GROWTH = 1.5;

interface Waiter {
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

export class Results {
  private readonly waiting = new Map<string, Set<Waiter>>();
  private watching: Promise<void> | null = null;
  private closed: QudoError | null = null;
  /** Cuts the pause of the watch short. */
  private wake: (() => void) | null = null;
  private hinted = false;

  constructor(
    private readonly driver: () => Promise<Driver>,
    private readonly time: Time = REAL,
  ) {}

  /**
   * What the job's handler returned, as JSON carried it. While it waits it keeps the process alive, as any other answer
   * that is awaited: a time-out, the signal, or closing the Qudo end that.
   */
  async wait(id: string, options: ResultOptions = {}): Promise<unknown> {
    const { timeoutMs, signal } = checkResultOptions(options);
    if (this.closed !== null) throw this.closed;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const leave = (): void => {
        cancel?.();
        signal?.removeEventListener("abort", aborted);
        this.forget(id, waiter);
      };
      const waiter: Waiter = {
        resolve: (result) => (leave(), resolve(result)),
        reject: (error) => (leave(), reject(error)),
      };
      const aborted = (): void => waiter.reject(signal!.reason);
      const cancel: Cancel | undefined =
        timeoutMs === null
          ? undefined
          : this.time.later(() => waiter.reject(timedOut(id, timeoutMs)), timeoutMs);
      signal?.addEventListener("abort", aborted);
      this.add(id, waiter);
    });
  }

  get waitedFor(): boolean {
    return this.waiting.size > 0;
  }

  /** A job may have ended. */
  hint(): void {
    if (this.watching === null) return;
    this.hinted = true;
    this.wake?.();
  }

  /** Nobody is answered any more: the database is about to be closed. */
  async close(error: QudoError): Promise<void> {
    this.closed = error;
    this.rejectAll(error);
    await this.watching;
  }

  private add(id: string, waiter: Waiter): void {
    const waiters = this.waiting.get(id);
    if (waiters === undefined) this.waiting.set(id, new Set([waiter]));
    else waiters.add(waiter);
    // It may have ended already.
    this.watching ??= this.watch();
    this.hint();
  }

  private forget(id: string, waiter: Waiter): void {
    const waiters = this.waiting.get(id);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.waiting.delete(id);
    if (this.waiting.size === 0) this.wake?.();
  }

  private async watch(): Promise<void> {
    let unsubscribe: (() => void) | undefined;
    try {
      const driver = await this.driver();
      unsubscribe = driver.subscribe?.(() => this.hint());
      await this.look(driver);
    } catch (error) {
      this.rejectAll(error);
    } finally {
      unsubscribe?.();
      // Somebody may have come since the last look.
      this.watching = this.waiting.size > 0 ? this.watch() : null;
    }
  }

  private async look(driver: Driver): Promise<void> {
    for (let pollMs = POLL_FIRST_MS; this.waiting.size > 0;) {
      if (this.hinted) pollMs = POLL_FIRST_MS;
      this.hinted = false;
      const begun = this.time.now();
      await this.ask(driver);
      // However fast the hints come: asking takes at most half of the time.
      const tookMs = this.time.now() - begun;
      await (tookMs < 1 ? turn(this.time) : sleep(this.time, tookMs));
      await this.pauseUntilHinted(pollMs);
      pollMs = Math.min(pollMs * POLL_GROWTH, POLL_LAST_MS);
    }
  }

  private async pauseUntilHinted(ms: number): Promise<void> {
    if (this.hinted || this.waiting.size === 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.time.later(resolve, ms);
      this.wake = () => (cancel(), resolve());
    });
    this.wake = null;
  }

  private async ask(driver: Driver): Promise<void> {
    const ids = [...this.waiting.keys()];
    for (let i = 0; i < ids.length; i += LIMITS.rowsPerStatement) {
      const set = ids.slice(i, i + LIMITS.rowsPerStatement);
      try {
        const { found, unasked } = await incompleteToo(driver.endings(set));
        set.forEach((id, n) => this.answer(id, found[n]!, unasked.length === 0));
      } catch (error) {
        // It is asked again, for as long as they wait.
        if (!(error instanceof DatabaseError && error.transient)) throw error;
      }
    }
  }

  /** `whole`: all databases were asked. What is absent otherwise may be where nobody could look. */
  private answer(id: string, ending: Ending, whole: boolean): void {
    if (ending.status === "living" || (ending.status === "absent" && !whole)) return;
    for (const waiter of this.waiting.get(id) ?? [])
      if (ending.status === "ended") settle(waiter, ending.attempt);
      else waiter.reject(absent(id));
  }

  private rejectAll(error: unknown): void {
    for (const waiters of this.waiting.values()) for (const waiter of waiters) waiter.reject(error);
  }
}

const ENDS: ReadonlySet<EventName> = new Set<EventName>(["done", "abandoned"]);

/** Hints at what ends in workers here, beside telling whoever listens. */
export function hinting(results: Results, emit: Emit): Emit {
  const listening = (name: EventName): boolean =>
    emit.listening(name) || (results.waitedFor && ENDS.has(name));
  const tell = <Name extends EventName>(name: Name, make: () => QudoEvents[Name]): void => {
    if (ENDS.has(name)) results.hint();
    emit(name, make);
  };
  return Object.assign(tell, { listening });
}

function checkResultOptions(options: ResultOptions): {
  timeoutMs: number | null;
  signal: AbortSignal | undefined;
} {
  checkOptions(options, ["timeout", "signal"], "result");
  const { timeout, signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new InvalidInputError("QUDO_INVALID_OPTION", "signal must be an AbortSignal.");
  const timeoutMs = timeout === undefined ? null : durationMs(timeout, "timeout");
  if (timeoutMs !== null) checkInteger(timeoutMs, "timeout (in ms)", 0, LIMITS.timerMs);
  return { timeoutMs, signal };
}

function settle(waiter: Waiter, { job, state, reason, result, error }: AttemptRow): void {
  if (state !== "done") return waiter.reject(new JobFailedError(job, state, reason, error));
  try {
    waiter.resolve(result === null ? undefined : decode(result));
  } catch (cause) {
    waiter.reject(cause);
  }
}

function timedOut(id: string, ms: number): QudoError {
  return new QudoError(
    "QUDO_RESULT_TIMEOUT",
    `The job ${id} has not ended within ${ms} ms. It goes on; wait longer, or see whether a worker serves its queue.`,
  );
}

function absent(id: string): QudoError {
  return new QudoError(
    "QUDO_JOB_ABSENT",
    `There is no job ${id}: it never was in this database, or it has been pruned.`,
  );
}
