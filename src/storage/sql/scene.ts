/** What a claimer sees before it claims: whether its session lives, which of the lanes it wants are open, and what they hold. */
import type { LimitSpec } from "../../core/limits/spec.js";
import type { ClaimRequest, Want } from "../driver.js";
import type { Work } from "./engine.js";
import type { LaneName } from "./lanes.js";
import type { LowWater, MarkedLane } from "./low-water.js";
import { afterPlace } from "./order.js";
import type { RowOf, Shape } from "./rows.js";
import { SCOPES, specOf } from "./rules.js";
import { id, join, raw, sql, type Query } from "./query.js";

const SEEN = {
  session: "flag",
  lease: "flag",
  id: "int?",
  queue: "text?",
  kind: "text?",
  paused: "flag?",
  waiting: "int?",
  keyed: "int?",
  of_kind: "text?",
  of_queue: "text?",
} as const satisfies Shape;

/** A lane in which something waits that may be claimed. */
export interface OpenLane extends LaneName {
  readonly id: number;
  /** Null where nothing limits it. */
  readonly limited: Limited | null;
}

/** What limits a lane, and what waits in it. */
export interface Limited {
  readonly ofKind: LimitSpec | null;
  readonly ofQueue: LimitSpec | null;
  /** Its kind is known to whoever keeps turns. */
  readonly ruled: boolean;
  readonly ready: boolean;
  /** Jobs wait for their key's turn. */
  readonly keyed: boolean;
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
        (l.paused_at is not null or q.paused_at is not null) as paused, ${head} as waiting,
        (select 1 from ${t.held} h where h.lane = l.id limit 1) as keyed, kr.spec as of_kind, qr.spec as of_queue
      from (select exists (select 1 from ${t.worker} where id = ${id(session)}) as session,
        exists (select 1 from ${t.lease} where id = ${id(lease)}) as lease) s
      left join ${t.lane} l on ${wanted(work, wants)} left join ${t.queue} q on q.name = l.queue
      left join ${t.rule} kr on kr.scope = ${SCOPES.kind} and kr.name = l.kind
      left join ${t.rule} qr on qr.scope = ${SCOPES.queue} and qr.name = l.queue`,
    SEEN,
  );
  const lanes: OpenLane[] = [];
  for (const { id: lane, queue, kind, paused, ...row } of rows)
    if (lane !== null && paused === false && (row.waiting !== null || row.keyed !== null))
      lanes.push({ id: lane, queue: queue!, kind: kind!, limited: limitedBy(row) });
  return { session: rows[0]!.session, lease: rows[0]!.lease, lanes };
}

function limitedBy(
  row: Pick<RowOf<typeof SEEN>, "waiting" | "keyed" | "of_kind" | "of_queue">,
): Limited | null {
  const [ofKind, ofQueue] = [specOf(row.of_kind), specOf(row.of_queue)];
  const keyed = row.keyed !== null;
  if (ofKind === null && ofQueue === null && !keyed) return null;
  return { ofKind, ofQueue, keyed, ruled: row.of_kind !== null, ready: row.waiting !== null };
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
