/** Why a job is not running: the facts, gathered where the job is, and handed to core/explain.ts. */
import { incompleteToo } from "../core/ask.js";
import { QudoError } from "../core/errors.js";
import { explain as reasonsOf, explainUnasked, type Facts, type Why } from "../core/explain.js";
import { limitedBy } from "../core/limits/why.js";
import type { Serializers } from "../core/serializer.js";
import type { Driver, JobRow, Part, SessionRow, Situation } from "../storage/driver.js";
import { choose } from "./databases.js";
import { checkId, jobInfo, type JobInfo } from "./info.js";

/** What is known of why a job is, or is not, running. */
export interface Explanation {
  /** Null where it was not found, and not every database could be asked. */
  readonly job: JobInfo | null;
  /** When it was looked at, by its database's clock; null where it was not found. */
  readonly at: Date | null;
  /** The gravest first; never none. */
  readonly reasons: readonly Why[];
}

/** @throws QudoError QUDO_JOB_ABSENT when there is no such job (any more). */
export async function explainJob(
  all: Driver,
  serializers: Serializers,
  given: string,
): Promise<Explanation> {
  const id = checkId(given);
  const { found, unasked } = await incompleteToo(all.getJobs([id]));
  const [row] = found;
  if (row) return explainFound(all, serializers, row);
  if (unasked.length > 0) return { job: null, at: null, reasons: explainUnasked(unasked) };
  throw absent(id);
}

function absent(id: string): QudoError {
  return new QudoError(
    "QUDO_JOB_ABSENT",
    `There is no job ${id}: it never was in this database, or it has been pruned.`,
  );
}

/** A job may move between two looks; then it is looked at again, and so often no job moves. */
const LOOKS = 5;

async function explainFound(
  all: Driver,
  serializers: Serializers,
  first: JobRow,
): Promise<Explanation> {
  const { driver, database } = choose(all, first.database);
  let row: JobRow = first;
  for (let look = 1; ; look++) {
    const [situation, sessions] = await Promise.all([driver.situation(row.id), driver.sessions()]);
    const [again] = await driver.getJobs([row.id]);
    if (situation === null || !again) throw absent(row.id);
    row = again;
    if (!agrees(situation, row) && look < LOOKS) continue;
    const off = offOf(all.parts?.find(({ name }) => name === database));
    return {
      job: jobInfo(row, serializers, database),
      at: new Date(situation.now),
      reasons: reasonsOf(factsOf(row, situation, sessions, off)),
    };
  }
}

const WAITING: ReadonlySet<Situation["place"]> = new Set(["ready", "keyed", "delayed"]);

/** Whether both looks saw the job in one place. */
function agrees({ place }: Situation, { state }: JobRow): boolean {
  if (state === "pending" || state === "failed") return WAITING.has(place);
  if (state === "reserved" || state === "running") return place === "held" || place === "nowhere";
  return place === "ended";
}

function offOf(part: Part | undefined): string | null {
  const status = part?.status();
  return status?.mode === "off" ? status.name : null;
}

function factsOf(
  job: JobRow,
  situation: Situation,
  workers: readonly SessionRow[],
  off: string | null,
): Facts {
  const holder = workers.find(({ id }) => id === job.session) ?? null;
  const able = workers.filter(
    ({ kinds, seenAt, leaseMs }) => kinds.includes(job.kind) && situation.now - seenAt <= leaseMs,
  );
  const hosts = [...new Set(able.map(({ host }) => host))];
  return { ...situation, job, holder, workers, off, limits: limitedBy(situation.limits, hosts) };
}
