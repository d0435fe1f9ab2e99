/** How long a job is kept after its end: its own word, or the policy of whoever prunes. */
import { DEFAULTS } from "./defaults.js";
import { durationMs, type Duration } from "./duration.js";
import { checkOptions } from "./options.js";

/**
 * A job's own. It is hidden as soon as that time is over, and deleted some time after, at the earliest ten minutes after
 * its end: until then a resend must find it. What is left out follows the policy.
 */
export interface Keep {
  /** When it is done. */
  done?: Duration;
  /** When it was abandoned or cancelled. */
  other?: Duration;
}

/** In milliseconds; null: the policy. */
export interface KeepTimes {
  readonly keepDoneMs: number | null;
  readonly keepOtherMs: number | null;
}

/** One duration means every end. @throws InvalidInputError when it is neither that nor durations for each end. */
export function keepTimes(keep: Duration | Keep | undefined, where: string): KeepTimes {
  if (typeof keep === "object") checkOptions(keep, ["done", "other"], `keep of ${where}`);
  const { done, other } = typeof keep === "object" ? keep : { done: keep, other: keep };
  return {
    keepDoneMs: ms(done, null),
    keepOtherMs: ms(other, null),
  };
}

/**
 * How long jobs that have no keep time of their own stay after their end, and stay visible until they are deleted: at the
 * earliest ten minutes after it. The workers of this Qudo prune by it.
 */
export interface KeepPolicy {
  /** Jobs that are done. Default 24 hours. */
  done?: Duration;
  /** Jobs that were abandoned or cancelled. Default 30 days. */
  other?: Duration;
  /** Figures per minute. Default 7 days. */
  counts?: Duration;
}

export interface KeepPolicyTimes {
  readonly keepDoneMs: number;
  readonly keepOtherMs: number;
  readonly keepCountsMs: number;
}

export const POLICY_OPTIONS = [
  "done",
  "other",
  "counts",
] as const satisfies readonly (keyof KeepPolicy)[];

/** What is left out is as `otherwise` says. */
export function keepPolicy(
  keep: KeepPolicy | undefined,
  where: string,
  otherwise: KeepPolicyTimes = DEFAULTS,
): KeepPolicyTimes {
  checkOptions(keep, POLICY_OPTIONS, where);
  return {
    keepDoneMs: ms(keep?.done, otherwise.keepDoneMs),
    keepOtherMs: ms(keep?.other, otherwise.keepOtherMs),
    keepCountsMs: ms(keep?.counts, otherwise.keepCountsMs),
  };
}

function ms<Otherwise>(keep: Duration | undefined, otherwise: Otherwise): number | Otherwise {
  return keep === undefined ? otherwise : durationMs(keep, "keep");
}
