/** What a claimer sees before it claims: whether its session lives, which of the lanes it wants are open, and what they hold. */
import { SessionLostError } from "../../core/errors.js";
import type { ClaimRequest, Want } from "../driver.js";
import { glance, type Engine, type Work } from "./engine.js";
import type { LaneName } from "./lanes.js";
import type { LowWater, MarkedLane } from "./low-water.js";
import { afterPlace } from "./order.js";
import type { Shape } from "./rows.js";
import { id, join, raw, sql, type Query } from "./query.js";

const SEEN = {
  session: "flag",
  lease: "flag",
  id: "int?",
  queue: "text?",
  kind: "text?",
  paused: "flag?",
  waiting: "int?",
} as const satisfies Shape;

/** A lane in which something waits that may be claimed. */
export interface OpenLane extends LaneName {
  readonly id: number;
}

export interface Scene {
  /** The claimer's session is there. */
  readonly session: boolean;
  /** Its lease is there: the claim was made already, and is sent again. */
  readonly lease: boolean;
  readonly lanes: readonly OpenLane[];
}

/** One statement, whatever is wanted. */
export async function look(
  work: Work,
  { lease, session, wants }: ClaimRequest,
  lowWater: LowWater,
): Promise<Scene> {
  const { t } = work;
  const head = headOf(work, lowWater.within(wants));
  const rows = await work.all(
    sql`select s.session, s.lease, l.id, l.queue, l.kind,
        (l.paused_at is not null or q.paused_at is not null) as paused, ${head} as waiting
      from (select exists (select 1 from ${t.worker} where id = ${id(session)}) as session,
        exists (select 1 from ${t.lease} where id = ${id(lease)}) as lease) s
      left join ${t.lane} l on ${wanted(work, wants)} left join ${t.queue} q on q.name = l.queue`,
    SEEN,
  );
  const lanes: OpenLane[] = [];
  for (const { id: lane, queue, kind, paused, waiting } of rows)
    if (lane !== null && paused === false && waiting !== null)
      lanes.push({ id: lane, queue: queue!, kind: kind! });
  return { session: rows[0]!.session, lease: rows[0]!.lease, lanes };
}

/**
 * Whether anything waits in lane `l`. Where something waits behind the mark, that is enough; only when nothing does, and a claimer
 * would be told that it has nothing to do, is the lane read from its beginning.
 */
function headOf({ t, dialect }: Work, marked: readonly MarkedLane[]): Query {
  // In the order of the index, so that the plan reads one row whatever the statistics say.
  const order = raw("order by r.lane, r.prio, r.run_at, r.id limit 1");
  const whole = sql`(select 1 from ${t.ready} r where r.lane = l.id ${order})`;
  if (marked.length === 0) return whole;
  const behind = marked.map(
    ({ id: lane, mark }) => sql`when ${lane} then
      (select 1 from ${t.ready} r where r.lane = ${lane} and ${afterPlace(dialect, mark)} ${order})`,
  );
  return sql`coalesce(case l.id ${join(behind, " ")} end, ${whole})`;
}

function wanted({ dialect }: Work, wants: readonly Want[]): Query {
  if (wants.length === 0) return raw("1 = 0");
  const lanes = wants.map(({ queue, kinds }) =>
    kinds === null
      ? sql`l.queue = ${queue}`
      : sql`(l.queue = ${queue} and ${dialect.among("l.kind", "text", kinds)})`,
  );
  return sql`(${join(lanes, " or ")})`;
}

/**
 * Nothing would be claimed: what an idle worker learns at each wake-up from one statement that takes no locks. A claim that was
 * made already is never answered here, though its jobs are not ready any more.
 * @throws SessionLostError when the session is gone.
 */
export async function isIdle(engine: Engine, request: ClaimRequest): Promise<boolean> {
  const scene = await glance(engine, (work) => look(work, request, engine.lowWater));
  if (!scene.session) throw new SessionLostError(request.session);
  return !scene.lease && scene.lanes.length === 0;
}
