/** What a test expects to have been enqueued. */
import { inspect } from "node:util";
import { durationMs, type Duration } from "../../core/duration.js";
import { QudoError } from "../../core/errors.js";
import type { AnyJobDefinition } from "../../core/job.js";
import { checkInteger, checkOptions } from "../../core/options.js";
import { redactPayload } from "../../core/redact.js";
import type { JobInfo } from "../../client/info.js";
import type { Qudo } from "../../qudo.js";
import { matches } from "./match.js";

/** What is left out may be anything. */
export interface Expected {
  /** Equal to the payload as it is stored, or with matchers of vitest or Jest in it; or a function that says whether it is the one. */
  payload?: unknown;
  queue?: string;
  priority?: number;
  uniqueKey?: string;
  /** When it runs at the earliest, counted from its enqueue. */
  delay?: Duration;
  /** When it runs at the earliest. */
  runAt?: Date;
  /** Exactly so many, 0 for none. Default: at least one. */
  times?: number;
}

/** A job that was found. */
export type Found = JobInfo;

const KNOWN = ["payload", "queue", "priority", "uniqueKey", "delay", "runAt", "times"] as const;
/** Others of its kind that a failure shows. */
const SHOWN = 10;

/** A failure of a test, which runners show with its difference. */
export class ExpectationError extends QudoError {
  override readonly name = "ExpectationError";
  constructor(
    message: string,
    readonly expected: unknown,
    readonly actual: unknown,
  ) {
    super("QUDO_TEST_EXPECTED", message);
  }
}

export async function expectEnqueued(
  qudo: Qudo,
  { kind, redact }: AnyJobDefinition,
  expected: Expected,
): Promise<readonly Found[]> {
  checkOptions(expected, KNOWN, "expectEnqueued");
  const { times } = expected;
  if (times !== undefined) checkInteger(times, "times", 0, Number.MAX_SAFE_INTEGER);
  const jobs: JobInfo[] = [];
  for await (const job of qudo.jobs.list({ kind })) jobs.push(job);
  const found = jobs.filter((job) => isMeant(job, expected));
  if (times === undefined ? found.length > 0 : found.length === times) return found;
  const shown = jobs.slice(0, SHOWN).map((job) => describe(job));
  const wanted = times === undefined ? "a job" : times === 0 ? "no job" : `${times} jobs`;
  const { times: _, ...wish } = expected;
  const hidden =
    "payload" in wish && typeof wish.payload !== "function"
      ? { ...wish, payload: redactPayload(wish.payload, redact) }
      : wish;
  throw new ExpectationError(
    `Expected ${wanted} "${kind}" with ${inspect(hidden, { depth: 6 })}, and found ${found.length}. ` +
      `Of this kind there ${jobs.length === 1 ? "is 1 job" : `are ${jobs.length} jobs`}:${list(shown, jobs.length)}`,
    hidden,
    shown,
  );
}

function isMeant(job: JobInfo, { payload, delay, runAt, ...wish }: Expected): boolean {
  if (payload !== undefined && !isPayload(payload, job.payload)) return false;
  if (wish.queue !== undefined && wish.queue !== job.queue) return false;
  if (wish.priority !== undefined && wish.priority !== job.priority) return false;
  if (wish.uniqueKey !== undefined && wish.uniqueKey !== job.uniqueKey) return false;
  if (runAt !== undefined && +runAt !== +job.runAt) return false;
  return delay === undefined || durationMs(delay, "delay") === +job.runAt - +job.createdAt;
}

function isPayload(expected: unknown, payload: unknown): boolean {
  if (typeof expected === "function")
    return Boolean((expected as (p: unknown) => unknown)(payload));
  return matches(expected, payload);
}

/** What its kind hides stays hidden. */
function describe({
  payload,
  redact,
  queue,
  priority,
  uniqueKey,
  createdAt,
  runAt,
}: JobInfo): unknown {
  return {
    payload: redactPayload(payload, redact),
    queue,
    priority,
    ...(uniqueKey !== null && { uniqueKey }),
    delay: (+runAt - +createdAt) / 1_000,
  };
}

function list(shown: readonly unknown[], of: number): string {
  const lines = shown.map((job) => `\n  ${inspect(job, { depth: 6, breakLength: Infinity })}`);
  return lines.join("") + (of > shown.length ? `\n  and ${of - shown.length} more` : "");
}
