/** Claiming: take the first rows out of ready, write them down as one lease. */
import { LIMITS } from "../../core/defaults.js";
import { SessionLostError } from "../../core/errors.js";
import { afterExpiry } from "../../core/outcome.js";
import type { ClaimedJob, ClaimRequest, Want } from "../driver.js";
import { claimedJob, inlineBytes, readJobs, type JobColumns } from "./claimed.js";
import { WAITING, type RunOfLease, type Take, type WaitingRow } from "./dialect.js";
import type { Work } from "./engine.js";
import { freeKeys } from "./keys.js";
import { inClaimOrder } from "./order.js";
import { lookUp, record, runKey } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { id, join, sql, type Query } from "./query.js";
import type { OpenLane, Scene } from "./scene.js";

export interface Claimed {
  readonly jobs: readonly ClaimedJob[];
  readonly more: boolean;
}

export const NOTHING: Claimed = { jobs: [], more: false };

const ID = { id: "id" } as const satisfies Shape;
const KEY = { lane: "int", prio: "int", run_at: "int", id: "id" } as const satisfies Shape;
const LANE = { id: "int", queue: "text", kind: "text" } as const satisfies Shape;
const QUOTA = { lane: "int", n: "int" } as const satisfies Shape;

/**
 * Called inside a write, after a look around in it.
 * @throws SessionLostError when the session is gone.
 */
export async function claim(work: Work, request: ClaimRequest, scene: Scene): Promise<Claimed> {
  const { lease, session, wants } = request;
  if (!scene.session) throw new SessionLostError(session);
  if (scene.lease) return claimedBefore(work, request);
  const batch = new Batch(work, linesOf(wants, scene.lanes));
  let round = await batch.take();
  if (round.expired) {
    await batch.sweep();
    round = await batch.take();
  }
  const { entries, jobs } = batch;
  // Should the session be ended at this moment, its row refuses the lease: then again from the beginning, and it is told.
  if (entries.length > 0)
    await work.run(work.dialect.insertLease({ id: lease, worker: session, entries }, work.now));
  return { jobs, more: round.expired || round.short };
}

/** All wanted kinds of a queue are one line, in claim order. */
interface Line {
  readonly lanes: readonly OpenLane[];
  /** How many more are wanted. */
  left: number;
}

function linesOf(wants: readonly Want[], lanes: readonly OpenLane[]): Line[] {
  const queues = new Map<string, { kinds: Set<string>; limit: number }>();
  for (const { queue, kinds, limit } of wants) {
    const known = queues.get(queue);
    queues.set(queue, {
      kinds: new Set([...(known?.kinds ?? []), ...kinds]),
      limit: (known?.limit ?? 0) + limit,
    });
  }
  return Array.from(queues, ([queue, { kinds, limit }]) => ({
    lanes: lanes.filter((lane) => lane.queue === queue && kinds.has(lane.kind)),
    left: limit,
  }));
}

/** What one look at the heads of the lines brought. */
interface Round {
  /** Some had expired, and there may be more of them. */
  readonly expired: boolean;
  /** Others took some of it meanwhile: what stands behind was not looked at. */
  readonly short: boolean;
}

/** Collects what one claim takes: the lease's entries and the jobs for the worker, within the size of a trip. */
class Batch {
  readonly entries: RunOfLease[] = [];
  readonly jobs: ClaimedJob[] = [];
  private room: number = LIMITS.bytesPerStatement;

  constructor(
    private readonly work: Work,
    private readonly lines: readonly Line[],
  ) {}

  private get open(): Line[] {
    return this.lines.filter(({ lanes, left }) => lanes.length > 0 && left > 0);
  }

  /** As many as are wanted of each line. A job that had expired ends here and uses no place. */
  async take(): Promise<Round> {
    const { work, open } = this;
    if (open.length === 0) return { expired: false, short: false };
    const takes = await takesOf(work, open);
    const rows = await work.dialect.takeReady(work.tx, takes);
    const ids = rows.map((row) => row.id);
    const jobs = await readJobs(work, ids, this.room);
    const ordered = rows.toSorted(inClaimOrder);
    const expired: WaitingRow[] = [];
    let short = false;
    for (const line of open) {
      const lanes = new Map(line.lanes.map((lane) => [lane.id, lane]));
      const own = ordered.filter((row) => lanes.has(row.lane));
      short ||= lanes.size > 1 && own.length > 0 && own.length < askedOf(takes, lanes);
      for (const row of own) {
        const job = jobs.get(row.id);
        // A waiting row without its job is a breach that is told by the audit; nobody can run it.
        if (job === undefined) continue;
        if (job.expires_at !== null && job.expires_at <= work.now) expired.push(row);
        else this.hold(line, row, lanes.get(row.lane)!, job);
      }
    }
    await this.expire(expired);
    return { expired: expired.length > 0, short };
  }

  private hold(line: Line, row: WaitingRow, lane: OpenLane, job: JobColumns): void {
    line.left--;
    this.room -= inlineBytes(job);
    this.entries.push({ id: row.id, run: row.run });
    this.jobs.push(claimedJob(row, lane, job));
  }

  /**
   * Expired jobs stand in crowds. Those among the next thousand go together, so that no claim has to end them one by one; rows
   * that others are taking are left to them.
   */
  async sweep(): Promise<void> {
    const { work, open } = this;
    const { t, dialect, now } = work;
    const lanes = open.flatMap((line) => line.lanes);
    if (lanes.length === 0) return;
    const each = Math.ceil(LIMITS.rowsPerStatement / lanes.length);
    const heads = await work.all(headsOf(work, lanes, each), KEY);
    const find = (some: readonly string[]) =>
      sql`select id from ${t.job} where ${dialect.among("id", "id", some)} and expires_at <= ${now}`;
    const ids = heads.map((row) => row.id);
    const late = new Set((await work.allOf(ids, find, ID)).map((row) => row.id));
    const lock = (some: readonly RowOf<typeof KEY>[]) =>
      sql`select ${columnsOf(WAITING)} from ${dialect.byKey(t.ready)}
        where ${dialect.amongKeys(t.ready, KEY, some)} ${dialect.lock("skip")}`;
    const rows = await work.allOf(
      heads.filter((row) => late.has(row.id)),
      lock,
      WAITING,
    );
    await work.runOf(
      rows,
      (some) => sql`delete from ${t.ready} where ${dialect.amongKeys(t.ready, KEY, some)}`,
    );
    await this.expire(rows);
  }

  private async expire(rows: readonly WaitingRow[]): Promise<void> {
    if (rows.length === 0) return;
    const event = { writer: null, worker: null, startedAt: null, result: null, error: null };
    const events = rows.map((row) => ({
      id: row.id,
      run: row.run,
      decision: afterExpiry(row),
      ...event,
    }));
    await record(this.work, events);
    await freeKeys(
      this.work,
      rows.map((row) => row.id),
    );
  }
}

function askedOf(takes: readonly Take[], lanes: ReadonlyMap<number, OpenLane>): number {
  return takes.reduce((sum, { lane, limit }) => sum + (lanes.has(lane) ? limit : 0), 0);
}

/**
 * How many to take of which lane. A line of one lane is taken from directly; of several, what each has among the first of the
 * line is counted, without locks.
 */
async function takesOf(work: Work, lines: readonly Line[]): Promise<Take[]> {
  const single = lines.filter(({ lanes }) => lanes.length === 1);
  const mixed = lines.filter(({ lanes }) => lanes.length > 1);
  const takes = single.map(({ lanes, left }) => ({ lane: lanes[0]!.id, limit: left }));
  if (mixed.length === 0) return takes;
  const counts = mixed.map(
    ({ lanes, left }) =>
      sql`(select lane, count(*) as n from (
        select lane from (${headsOf(work, lanes, left)}) u order by prio, run_at, id limit ${left}) c group by lane)`,
  );
  const quotas = await work.all(join(counts, " union all "), QUOTA);
  return [...takes, ...quotas.map(({ lane, n: limit }) => ({ lane, limit }))];
}

/** The first rows of each lane. */
function headsOf({ t }: Work, lanes: readonly OpenLane[], each: number): Query {
  const heads = lanes.map(
    (lane) =>
      sql`(select ${columnsOf(KEY)} from ${t.ready} where lane = ${lane.id} order by prio, run_at, id limit ${each})`,
  );
  return join(heads, " union all ");
}

/** The same claim sent again because its answer was lost: what it took, less what has been decided since. */
async function claimedBefore(work: Work, { lease, session }: ClaimRequest): Promise<Claimed> {
  const { t, dialect } = work;
  const [held] = await dialect.leases(work.tx, sql`l.id = ${id(lease)}`, "none");
  // Under the name of another session it is no resend, and gets nothing.
  if (held?.worker !== session) return NOTHING;
  const { outcomes, places } = await lookUp(work, held.entries);
  const open = held.entries.filter((run) => {
    const key = runKey(run.id, run.run);
    return places.has(key) && !outcomes.has(key);
  });
  const lanes = [...new Set(Array.from(places.values(), ({ lane }) => lane))];
  const names = sql`select ${columnsOf(LANE)} from ${t.lane} where ${dialect.among("id", "int", lanes)}`;
  const ids = open.map((run) => run.id);
  const [named, jobs] = await Promise.all([
    work.all(names, LANE),
    readJobs(work, ids, LIMITS.bytesPerStatement),
  ]);
  const byId = new Map(named.map((lane) => [lane.id, lane]));
  const claimed = open.map(({ id: job, run }) => {
    const { lane, prio, counters } = places.get(runKey(job, run))!;
    return claimedJob({ id: job, run, prio, ...counters }, byId.get(lane)!, jobs.get(job)!);
  });
  return { jobs: claimed, more: true };
}
