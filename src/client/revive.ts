/** New jobs of failed runs. */
import { mapped } from "../core/ask.js";
import { InvalidInputError } from "../core/errors.js";
import { checkInteger, show } from "../core/options.js";
import type { RunState } from "../core/states.js";
import type { Driver, RevivalOutcome } from "../storage/driver.js";
import { newId } from "../storage/ids.js";
import { choose } from "./databases.js";
import { checkId } from "./info.js";

/** One failed run: what `qudo.attempts.list` gives, or its key alone. */
export interface FailedRun {
  /** Id of its job. */
  readonly job: string;
  readonly run: number;
  /** Name of the one it is in, of several databases. Default: they are all asked. */
  readonly database?: string;
}

/**
 * "inserted": a new job, `id`, was made of it; "already": that was done before, and `id` is the one; "refused": this run has not failed;
 * "unique": another living job, `holder`, has the unique key; "absent": there is no such run (any more).
 */
export type FromFailed =
  | { readonly status: "inserted" | "already"; readonly id: string }
  | { readonly status: "refused"; readonly state: RunState }
  | { readonly status: "unique"; readonly holder: string }
  | { readonly status: "absent" };

export async function enqueueFromFailed(all: Driver, attempt: FailedRun): Promise<FromFailed> {
  if (typeof attempt !== "object" || attempt === null)
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `enqueueFromFailed takes a run, { job, run }, as attempts.list gives it, not ${show(attempt)}.`,
    );
  const job = checkId(attempt.job);
  const run = checkInteger(attempt.run, "run", 1, 2 ** 31 - 1);
  const { driver } = choose(all, attempt.database);
  const revival = { job, run, id: newId() };
  return mapped(driver.enqueueFromFailed([revival]), ([one]) => shown(one!, revival.id));
}

function shown(outcome: RevivalOutcome, id: string): FromFailed {
  switch (outcome.status) {
    // Nobody else has this id: it was sent again.
    case "duplicate":
    case "inserted":
      return { status: "inserted", id };
    case "already":
      return { status: "already", id: outcome.by };
    case "absent":
      return { status: "absent" };
    default:
      return outcome;
  }
}
