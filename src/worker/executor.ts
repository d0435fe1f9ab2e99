/** Runs handlers and turns what they did into decisions. Knows nothing of leases or trips. */
import { clampDelay } from "../core/backoff.js";
import { CODEC_JSON, decode, encodeError, encodeResult } from "../core/codec.js";
import { DEFAULTS, LIMITS } from "../core/defaults.js";
import { timerMs } from "../core/duration.js";
import { JobError } from "../core/errors.js";
import {
  afterAbort,
  afterFailure,
  afterRelease,
  afterSuccess,
  type Decision,
} from "../core/outcome.js";
import { validate } from "../core/schema.js";
import type { Settlement, StoredPayload } from "../storage/driver.js";
import { AbortedByHandler, reasonFor, type Run } from "./context.js";
import type { Turns } from "./turns.js";

export type FetchPayload = () => Promise<StoredPayload | null>;

/**
 * Runs the handler to its end; `settle` is called exactly once. The promise resolves when the handler has returned,
 * which after a time-out may be later than the settlement: until then its slot stays taken.
 */
export async function execute(
  run: Run,
  turns: Turns,
  fetchPayload: FetchPayload,
  settle: (settlement: Settlement) => void,
): Promise<void> {
  const decide = (settlement: Settlement): void => {
    if (run.decided) return;
    run.decided = true;
    settle(settlement);
  };
  let clock = startClock(run, decide);
  try {
    // Mostly there is nothing to wait for.
    const { payload: stored } = run.claimed;
    const payload =
      stored === null || run.definition.schema !== null
        ? await prepare(run, fetchPayload)
        : readPayload(stored);
    if (turns.due) {
      // The time in which others compute is not the handler's.
      clock?.stop();
      while (turns.due) await turns.next();
      clock = startClock(run, decide);
    }
    decide(await succeed(run, payload));
  } catch (error) {
    decide(failed(run, error));
  } finally {
    clock?.stop();
  }
}

async function prepare(run: Run, fetchPayload: FetchPayload): Promise<unknown> {
  const { definition, claimed } = run;
  const payload = readPayload(claimed.payload ?? (await fetchPayload()));
  return definition.schema === null
    ? payload
    : validate(definition.schema, payload, `Payload of "${claimed.kind}"`);
}

async function succeed(run: Run, payload: unknown): Promise<Settlement> {
  const { definition, claimed, cause } = run;
  // Interrupted while it was made ready: its handler never starts.
  if (cause !== null) throw reasonFor(cause, claimed);
  const result = encodeResult(await definition.run(payload, run));
  return settlement(run, afterSuccess(claimed), result, null);
}

function readPayload(stored: StoredPayload | null): unknown {
  if (stored?.codec !== CODEC_JSON || stored.text === null)
    throw new JobError(
      "QUDO_INVALID_PAYLOAD",
      "The stored payload cannot be read by this version of qudo: was it written by a newer one?",
    );
  return decode(stored.text);
}

function failed(run: Run, error: unknown): Settlement {
  const { claimed, cause } = run;
  if (AbortedByHandler.is(error))
    return settlement(run, afterAbort(claimed), null, encodeError(error));
  // Interrupted from outside and then thrown: it is not its fault, and it runs no more.
  if (cause === "stop" || cause === "lost") return givenBack(run);
  const shown = cause === "timeout" ? reasonFor(cause, claimed) : error;
  return settlement(run, failure(run), null, encodeError(shown));
}

function failure({ claimed, definition }: Run): Decision {
  return afterFailure(claimed, (fails) => clampDelay(backoff(definition.backoff, fails)));
}

/** A user's backoff function that throws must not keep the failure from being recorded. */
function backoff(delay: (fails: number, random: number) => number, fails: number): number {
  try {
    return delay(fails, Math.random());
  } catch {
    return 60_000 * fails;
  }
}

/** A run that ends here without blame. */
export function givenBack(run: Run): Settlement {
  return settlement(run, afterRelease(run.claimed), null, null);
}

function settlement(
  run: Run,
  decision: Decision,
  result: string | null,
  error: string | null,
): Settlement {
  const { job, run: number } = run.claimed;
  return { job, run: number, ...decision, elapsedMs: run.elapsedMs, result, error };
}

/** Aborts the signal when time is up; a handler that goes on all the same is failed a little later. */
function startClock(run: Run, decide: (s: Settlement) => void): { stop(): void } | null {
  const { timeoutMs } = run.claimed;
  if (timeoutMs === null) return null;
  let timer: NodeJS.Timeout;
  const giveUp = (): void => {
    const error = encodeError(reasonFor("timeout", run.claimed));
    decide(settlement(run, failure(run), null, error));
  };
  const timeUp = (): void => {
    run.interrupt("timeout");
    timer = setTimeout(giveUp, DEFAULTS.abortGraceMs);
  };
  // A timer cannot wait for longer than 25 days: it is set again for the rest.
  const wait = (ms: number): void => {
    const rest = ms - LIMITS.timerMs;
    timer = setTimeout(rest > 0 ? () => wait(rest) : timeUp, timerMs(ms));
  };
  wait(timeoutMs);
  return { stop: () => clearTimeout(timer) };
}
