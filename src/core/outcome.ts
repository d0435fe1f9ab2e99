/**
 * What an event means for a job: the table "Numbering" of the protocol as pure functions.
 * Storage writes what is decided here and decides nothing itself.
 */
import { DEFAULTS } from "./defaults.js";
import type { Reason, RunState } from "./states.js";

/** Counters a run carries: failures and crashes so far. */
export interface Counters {
  readonly fails: number;
  readonly crashes: number;
}

/** When the job runs again: after a delay from now, at the place it had, or never. */
export type Next = { readonly delayMs: number } | "same-place" | null;

export interface Decision extends Counters {
  readonly state: RunState;
  readonly reason: Reason | null;
  readonly next: Next;
}

const end = (state: RunState, reason: Reason | null, counters: Counters): Decision => ({
  state,
  reason,
  fails: counters.fails,
  crashes: counters.crashes,
  next: null,
});

export function afterSuccess(run: Counters): Decision {
  return end("done", null, run);
}

/** The handler threw or ran out of time. `delayMs` is asked only when there is another attempt. */
export function afterFailure(
  run: Counters & { readonly maxAttempts: number },
  delayMs: (fails: number) => number,
): Decision {
  const fails = run.fails + 1;
  if (run.maxAttempts !== -1 && fails >= run.maxAttempts)
    return end("abandoned", "attempts", { fails, crashes: 0 });
  return { state: "failed", reason: null, fails, crashes: 0, next: { delayMs: delayMs(fails) } };
}

/** The worker died under the job. */
export function afterCrash(run: Counters): Decision {
  const crashes = run.crashes + 1;
  if (crashes >= DEFAULTS.maxCrashes) return end("abandoned", "crashes", { ...run, crashes });
  return { state: "crashed", reason: null, fails: run.fails, crashes, next: { delayMs: 0 } };
}

/** Given back unstarted: costs nothing and keeps its place. */
export function afterRelease(run: Counters): Decision {
  return {
    state: "released",
    reason: null,
    fails: run.fails,
    crashes: run.crashes,
    next: "same-place",
  };
}

/** Asked for later by its own handler: no failure, and proof that it does not kill its worker. */
export function afterSnooze(run: Counters, delayMs: number): Decision {
  return { state: "snoozed", reason: null, fails: run.fails, crashes: 0, next: { delayMs } };
}

/** The handler said that trying again is useless. */
export function afterAbort(run: Counters): Decision {
  return end("abandoned", "aborted", { fails: run.fails + 1, crashes: 0 });
}

/** Found past its expiry when it was claimed. */
export function afterExpiry(run: Counters): Decision {
  return end("abandoned", "expired", run);
}

export function afterCancel(run: Counters): Decision {
  return end("cancelled", null, run);
}

/** An operator asked for the job again: it starts with a clean slate. */
export function afterRequeue(): Decision {
  return { state: "requeued", reason: null, fails: 0, crashes: 0, next: { delayMs: 0 } };
}

/** An operator emptied its queue: what was seen running has to be called abandoned, for nobody knows how far it got. */
export function afterPurge(run: Counters, wasRunning: boolean): Decision {
  return wasRunning ? end("abandoned", "purged", run) : afterCancel(run);
}

/** An operator moved it while it waited: the same run as before at another place. */
export function afterReschedule(run: Counters): Decision {
  return { ...afterRelease(run), state: "requeued" };
}

/** An operator ended the session that held it, with this to become of it. */
export function afterDismissal(run: Counters, how: "released" | "abandoned"): Decision {
  return how === "released" ? afterRelease(run) : end("abandoned", "worker_cancelled", run);
}

/** A failed run, of which an operator may have a new job made. */
export function hasFailed(state: RunState): boolean {
  return state === "failed" || state === "crashed" || state === "abandoned";
}

/**
 * A session died holding this run. A first crash counts always. After that only a run that was seen
 * running counts: of 500 claimed and 3 running jobs, 497 are innocent.
 */
export function afterWorkerDeath(run: Counters, wasRunning: boolean): Decision {
  return run.crashes === 0 || wasRunning ? afterCrash(run) : afterRelease(run);
}

/** One crash before it is condemned: it must run alone in its process, so that no innocent dies with it. */
export function isSuspect(run: Counters): boolean {
  return run.crashes >= DEFAULTS.maxCrashes - 1;
}
