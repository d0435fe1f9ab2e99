/** `qudo retry --as-new`: a new job like one that failed, which itself stays as it is. */
import type { BulkOptions, BulkOutcome, Refusal } from "../client/bulk.js";
import type { JobFilter } from "../client/filter.js";
import type { AttemptInfo } from "../client/info.js";
import type { FromFailed } from "../client/revive.js";
import type { JobState, RunState } from "../core/states.js";
import type { Qudo } from "../qudo.js";
import { ABSENT, type Action } from "./act.js";

/** What has failed: the job may be tried again by itself, or have been given up. */
const FAILED: readonly RunState[] = ["failed", "crashed", "abandoned"];

const FAILED_JOBS: readonly JobState[] = ["failed", "abandoned"];

function otherState(state: JobState): string {
  return state === "done" ? "ended well" : `is ${state}, and has not failed`;
}

export const AS_NEW: Action = {
  done: "enqueued as new",
  states: FAILED_JOBS,
  otherState,
  already: "a job was made of its last failed run before",
  async one(qudo, id) {
    const job = await qudo.jobs.get(id);
    if (job === null) return ABSENT;
    const run = FAILED_JOBS.includes(job.state) ? await lastFailed(qudo, id) : null;
    if (run === null) return `it ${otherState(job.state)}`;
    const outcome = await qudo.enqueueFromFailed(run);
    switch (outcome.status) {
      case "inserted":
        return { made: outcome.id };
      case "already":
        return `a job was made of it before: ${outcome.id}`;
      case "unique":
        return `the job ${outcome.holder} has its unique key`;
      case "absent":
        return ABSENT;
      case "refused":
        return `its run is ${outcome.state}`;
    }
  },
  all: enqueueAll,
};

async function lastFailed(qudo: Qudo, job: string): Promise<AttemptInfo | null> {
  let last: AttemptInfo | null = null;
  for await (const attempt of qudo.attempts.list({ job, states: FAILED })) last = attempt;
  return last;
}

/** One by one: each is a job of its own, and those that were made before are left alone. */
async function enqueueAll(
  qudo: Qudo,
  filter: JobFilter,
  { dryRun = false }: BulkOptions,
): Promise<BulkOutcome> {
  const refused: Partial<Record<Refusal, number>> = {};
  let [matched, changed] = [0, 0];
  for await (const { id, last } of qudo.jobs.list({ state: AS_NEW.states, ...filter })) {
    matched++;
    if (dryRun) continue;
    const run = last !== null && FAILED.includes(last.state) ? last : await lastFailed(qudo, id);
    const outcome: FromFailed =
      run === null ? { status: "absent" } : await qudo.enqueueFromFailed(run);
    if (outcome.status === "inserted") changed++;
    else {
      const why = outcome.status === "refused" ? "already" : outcome.status;
      refused[why] = (refused[why] ?? 0) + 1;
    }
  }
  return { matched, changed, refused };
}
