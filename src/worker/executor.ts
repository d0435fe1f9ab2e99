/** Runs handlers and turns what they did into decisions. Knows nothing of leases or trips. */
import { clampDelay } from "../core/backoff.js";
import { CODEC_JSON, decode, encodeError, encodeResult } from "../core/codec.js";
import { DEFAULTS } from "../core/defaults.js";
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

export type FetchPayload = (job: string) => Promise<StoredPayload | null>;

/**
 * Runs the handler to its end; `settle` is called exactly once. The promise resolves when the handler has returned,
 * which after a time-out may be later than the settlement: until then its slot stays taken.
 */
export async function execute(
  run: Run,
  fetchPayload: FetchPayload,
  settle: (settlement: Settlement) => void,
): Promise<void> {
  const decide = (settlement: Settlement): void => {
    if (run.decided) return;
    run.decided = true;
    settle(settlement);
  };
  const clock = startClock(run, decide);
  try {
    decide(await succeed(run, fetchPayload));
  } catch (error) {
    decide(failed(run, error));
  } finally {
    clock?.stop();
  }
}

async function succeed(run: Run, fetchPayload: FetchPayload): Promise<Settlement> {
  const { definition, claimed } = run;
  const stored = claimed.payload ?? (await fetchPayload(claimed.job));
  const payload = readPayload(stored);
  const checked =
    definition.schema === null
      ? payload
      : await validate(definition.schema, payload, `Payload of "${claimed.kind}"`);
  const result = encodeResult(await definition.run(checked, run));
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
  // Interrupted by a stop and then thrown: it is not its fault, and it runs no more.
  if (cause === "stop") return givenBack(run);
  if (error instanceof AbortedByHandler)
    return settlement(run, afterAbort(claimed), null, encodeError(error));
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
  let timer = setTimeout(() => {
    run.interrupt("timeout");
    timer = setTimeout(() => {
      const error = encodeError(reasonFor("timeout", run.claimed));
      decide(settlement(run, failure(run), null, error));
    }, DEFAULTS.abortGraceMs);
  }, timerMs(timeoutMs));
  return { stop: () => clearTimeout(timer) };
}
