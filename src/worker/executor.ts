/** Runs handlers and turns what they did into decisions. Knows nothing of leases or trips. */
import { clampDelay, type Backoff, type FailedJob } from "../core/backoff.js";
import { encodeError, encodeResult } from "../core/codec.js";
import { DEFAULTS, LIMITS } from "../core/defaults.js";
import { timerMs } from "../core/duration.js";
import { JobError } from "../core/errors.js";
import {
  afterAbort,
  afterCancel,
  afterFailure,
  afterRelease,
  afterSnooze,
  afterSuccess,
  type Decision,
} from "../core/outcome.js";
import { validate } from "../core/schema.js";
import { Snooze } from "../core/snooze.js";
import type { Cancel } from "../core/time.js";
import type { Settlement, StoredPayload } from "../storage/driver.js";
import { AbortedByHandler, DequeuedByHandler, reasonFor, type Run, type Word } from "./context.js";
import { deserialized, work } from "./hooked.js";
import type { Turns } from "./turns.js";

/** What the executor needs of the crew. */
export interface ExecutorOf {
  fetchPayload(run: Run): Promise<StoredPayload | null>;
  /** Its handler is about to start. */
  started(run: Run): void;
  settle(run: Run, settlement: Settlement): void;
  /** It has failed by itself: this was thrown, or time was up. */
  died(run: Run, error: unknown): void;
}

/**
 * Runs the handler to its end; `settle` is called exactly once. The promise resolves when the handler has returned,
 * which after a time-out may be later than the settlement: until then its slot stays taken.
 */
export async function execute(run: Run, turns: Turns, crew: ExecutorOf): Promise<void> {
  const giveUp = (): void => {
    if (!run.decided) decide(run, timedOut(run, crew), crew);
  };
  let clock = startClock(run, giveUp);
  try {
    // Mostly there is nothing to wait for.
    const { payload: stored } = run.claimed;
    const payload =
      stored === null || run.definition.schema !== null || run.chain !== null
        ? await prepare(run, crew)
        : run.read(stored);
    if (turns.due) {
      // The time in which others compute is not the handler's.
      clock?.stop();
      while (turns.due) await turns.next();
      clock = startClock(run, giveUp);
    }
    await finish(run, payload, crew);
  } catch (error) {
    if (!run.decided) decide(run, failed(run, error, crew), crew);
  } finally {
    clock?.stop();
  }
}

/** The first decision counts. */
function decide(run: Run, settlement: Settlement, crew: ExecutorOf): void {
  run.decided = true;
  run.outcome = settlement.state;
  crew.settle(run, settlement);
}

/** The handler has said how its run ends, and may go on. False when that was decided before. */
export function said(run: Run, word: Word, crew: ExecutorOf): boolean {
  if (run.decided) return false;
  const end = "error" in word ? failure(run, word.error) : done(run, word.result);
  decide(run, end, crew);
  return true;
}

export async function prepare(run: Run, crew: ExecutorOf): Promise<unknown> {
  const { definition, claimed } = run;
  run.stored ??= await crew.fetchPayload(run);
  if (run.stored === null)
    throw new JobError("QUDO_PAYLOAD_UNREADABLE", "The stored payload is gone from the database.");
  let payload = run.read(run.stored);
  if (run.chain !== null) payload = await deserialized(run, payload);
  if (definition.schema !== null)
    payload = await validate(definition.schema, payload, `Payload of "${claimed.kind}"`);
  if (run.chain !== null) run.given = payload;
  return payload;
}

async function finish(run: Run, payload: unknown, crew: ExecutorOf): Promise<void> {
  const { definition, claimed, cause } = run;
  // Interrupted while it was made ready: its handler never starts.
  if (cause !== null) throw reasonFor(cause, claimed);
  crew.started(run);
  const returned =
    run.chain === null ? await definition.run(payload, run) : await work(run, run.chain, payload);
  if (run.replacing !== null && !run.decided) await run.replacing.checked();
  if (!run.decided) decide(run, ended(run, returned), crew);
}

/** The handler has returned this. */
function ended(run: Run, returned: unknown): Settlement {
  if (Snooze.is(returned)) return snoozed(run, returned);
  if (run.completed) return rolledBack(run, "");
  if (run.definition.explicitCompletion && run.replacing === null) throw unsaid();
  return done(run, encodeResult(returned));
}

function unsaid(): JobError {
  return new JobError(
    "QUDO_NOT_COMPLETED",
    "The job did not explicitly complete or fail: its handler ended without job.done() or job.fail().",
  );
}

function done(run: Run, result: string | null): Settlement {
  return settlement(run, afterSuccess(run.claimed), result, null);
}

export function failed(run: Run, error: unknown, crew: ExecutorOf): Settlement {
  const { claimed, cause } = run;
  run.thrown = error;
  // What the handler asks for stands, whatever else happened.
  if (Snooze.is(error)) return snoozed(run, error);
  if (AbortedByHandler.is(error))
    return settlement(run, afterAbort(claimed), null, encodeError(error, masked(run)));
  if (DequeuedByHandler.is(error)) return settlement(run, afterCancel(claimed), null, null);
  // Interrupted from outside and then thrown: it is not its fault, and it runs no more.
  if (cause === "stop" || cause === "lost") return givenBack(run);
  if (cause === "timeout") return timedOut(run, crew);
  crew.died(run, error);
  if (run.completed) return rolledBack(run, ` Then it threw: ${encodeError(error, masked(run))}`);
  return failure(run, error);
}

export function timedOut(run: Run, crew: ExecutorOf): Settlement {
  const error = reasonFor("timeout", run.claimed);
  crew.died(run, error);
  return failure(run, error);
}

/**
 * Counts only where the handler's transaction, in which it completed the job, is not there: otherwise the run is done,
 * whatever the handler did after it.
 */
export function rolledBack(run: Run, then: string): Settlement {
  const message = `The handler completed its job in a transaction that was rolled back.${then}`;
  return failure(run, new JobError("QUDO_COMPLETE_ROLLED_BACK", message));
}

function snoozed(run: Run, { delayMs }: Snooze): Settlement {
  return settlement(run, afterSnooze(run.claimed, delayMs), null, null);
}

function failure(run: Run, error: unknown): Settlement {
  run.thrown = error;
  const { claimed, definition } = run;
  const decision = afterFailure(claimed, (fails) =>
    clampDelay(backoff(definition.backoff, fails, run.time.chance(), failedJob(run, error))),
  );
  return settlement(run, decision, null, encodeError(error, masked(run)));
}

const masked = (run: Run) => (text: string) => run.mask(text);

/** Its payload is read only when it is looked at. */
function failedJob(run: Run, error: unknown): FailedJob {
  const { id, kind, queue } = run;
  return {
    id,
    kind,
    queue,
    error,
    get payload() {
      return run.enqueued;
    },
  };
}

/** A user's backoff function that throws must not keep the failure from being recorded. */
function backoff(delay: Backoff, fails: number, chance: number, job: FailedJob): number {
  try {
    return delay(fails, chance, job);
  } catch {
    return 60_000 * fails;
  }
}

/** A run that ends here without blame. */
export function givenBack(run: Run): Settlement {
  return settlement(run, afterRelease(run.claimed), null, null);
}

export function settlement(
  run: Run,
  decision: Decision,
  result: string | null,
  error: string | null,
): Settlement {
  const { job, run: number } = run.claimed;
  const end = { job, run: number, ...decision, elapsedMs: run.elapsedMs, result, error };
  const lines = run.journal?.rest();
  const children = decision.state === "done" ? run.replacing?.children : undefined;
  if (lines === undefined && children === undefined && !run.completed) return end;
  return {
    ...end,
    ...(lines && { lines }),
    ...(children && { children }),
    ...(run.completed && { completed: true }),
  };
}

/** Aborts the signal when time is up; a handler that goes on all the same is failed a little later. */
export function startClock(run: Run, giveUp: () => void): { stop(): void } | null {
  const { timeoutMs } = run.claimed;
  if (timeoutMs === null) return null;
  let cancel: Cancel;
  const timeUp = (): void => {
    run.interrupt("timeout");
    cancel = run.time.later(giveUp, DEFAULTS.abortGraceMs);
  };
  // A timer cannot wait for longer than 25 days: it is set again for the rest.
  const wait = (ms: number): void => {
    const rest = ms - LIMITS.timerMs;
    cancel = run.time.later(rest > 0 ? () => wait(rest) : timeUp, timerMs(ms));
  };
  wait(timeoutMs);
  return { stop: () => cancel() };
}
