/** Where one job stands, and what its own database has against it. */
import { LIMITS } from "../../core/defaults.js";
import { idText } from "../../core/ids.js";
import type { Situation } from "../driver.js";
import { read, type Engine, type Work } from "./engine.js";
import { findJob, hasEnded, type FoundJob } from "./look.js";
import { usesOf } from "./limits.js";
import { pieces } from "./pieces.js";
import { id, join, sql, type Query } from "./query.js";
import { runKey } from "./record.js";
import type { Shape } from "./rows.js";
import { leasedRuns, placeOf } from "./standing.js";

export function situation(engine: Engine, job: string): Promise<Situation | null> {
  return read(engine, (work) => situationOf(work, job));
}

async function situationOf(work: Work, job: string): Promise<Situation | null> {
  const found = await findJob(work, job);
  if (found === null) return null;
  const { last, place } = found;
  const { lane } = found.job;
  const paused = await pausesOf(work, lane);
  const common = {
    now: work.now,
    queuePausedAt: paused.queue_paused,
    kindPausedAt: paused.kind_paused,
    ahead: 0,
    claimedAt: null,
    limits: [],
  };
  if (hasEnded(last)) return { ...common, place: "ended" };
  const run = (last?.run ?? 0) + 1;
  const hash = found.job.limit_hash === null ? null : idText(found.job.limit_hash);
  const at = await placeOf(work, { id: job, run, lane, ...place, limit_hash: hash });
  if (at === "ready")
    return {
      ...common,
      place: at,
      ahead: await aheadOf(work, found, paused.queue),
      limits: await usesOf(work, found.job, hash),
    };
  if (at === "keyed")
    return {
      ...common,
      place: at,
      ahead: await aheadInKey(work, found, hash!),
      limits: await usesOf(work, found.job, hash),
    };
  if (at === "delayed") return { ...common, place: at };
  const claimedAt = await claimedAtOf(work, job, run);
  return { ...common, place: claimedAt === null ? "nowhere" : "held", claimedAt };
}

const PAUSES = {
  queue: "text",
  queue_paused: "int?",
  kind_paused: "int?",
} as const satisfies Shape;

async function pausesOf(work: Work, lane: number) {
  const { t } = work;
  const row = await work.first(
    sql`select l.queue, q.paused_at as queue_paused, l.paused_at as kind_paused
      from ${t.lane} l left join ${t.queue} q on q.name = l.queue where l.id = ${lane}`,
    PAUSES,
  );
  return row!;
}

const LANE = { id: "int" } as const satisfies Shape;
const COUNT = { n: "int" } as const satisfies Shape;

/** Lanes that one statement looks into. */
const TOGETHER = 20;

/** Jobs of the same queue that are claimed before this one, as far as they are counted. */
async function aheadOf(work: Work, { job, place }: Spot, queue: string): Promise<number> {
  const { t } = work;
  const most = LIMITS.countedAhead;
  const before = isBefore(work, { job, place });
  const open = await work.all(
    sql`select id from ${t.lane} where queue = ${queue} and paused_at is null`,
    LANE,
  );
  let ahead = 0;
  for (const some of pieces(open, TOGETHER)) {
    const each = some.map(
      (lane) => sql`(select count(*) as n from (select lane from ${t.ready}
        where lane = ${lane.id} and ${before} limit ${most}) c)`,
    );
    for (const { n } of await work.all(join(each, " union all "), COUNT)) ahead += n;
    if (ahead >= most) break;
  }
  return Math.min(ahead, most);
}

/** Jobs of the same key that come before this one, as far as they are counted. */
async function aheadInKey(work: Work, spot: Spot, hash: string): Promise<number> {
  const row = await work.first(
    sql`select count(*) as n from (select lane from ${work.t.held} where lane = ${spot.job.lane}
      and limit_hash = ${id(hash)} and ${isBefore(work, spot)} limit ${LIMITS.countedAhead}) c`,
    COUNT,
  );
  return row!.n;
}

type Spot = Pick<FoundJob, "job" | "place">;

function isBefore({ dialect }: Work, { job, place }: Spot): Query {
  const at = [place.prio, place.run_at, id(job.id)];
  return dialect.beyond("before", ["prio", "run_at", "id"], at);
}

const CLAIMED = { claimed_at: "int" } as const satisfies Shape;

async function claimedAtOf(work: Work, job: string, run: number): Promise<number | null> {
  const key = runKey(job, run);
  const held = (await leasedRuns(work)).find((one) => runKey(one.id, one.run) === key);
  if (held === undefined) return null;
  const lease = await work.first(
    sql`select claimed_at from ${work.t.lease} where id = ${id(held.lease)}`,
    CLAIMED,
  );
  return lease?.claimed_at ?? null;
}
