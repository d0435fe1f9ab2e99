/** Claiming: take the first rows out of ready, write them down as one lease. */
import { LIMITS } from "../../core/defaults.js";
import { SessionLostError } from "../../core/errors.js";
import { afterExpiry } from "../../core/outcome.js";
import type { ClaimedJob, ClaimRequest, Want } from "../driver.js";
import { claimedJob, inlineBytes, readJobs, type JobColumns } from "./claimed.js";
import {
  WAITING,
  type KeyedRow,
  type Place,
  type PlacedRow,
  type RunOfLease,
  type Take,
  type WaitingRow,
} from "./dialect.js";
import { Doors } from "./doors.js";
import type { Work } from "./engine.js";
import { freeKeys } from "./keys.js";
import type { LaneLook, LowWater } from "./low-water.js";
import { afterPlace, inClaimOrder } from "./order.js";
import { lookUp, record, runKey } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { id, join, NOTHING as EMPTY, sql, type Query } from "./query.js";
import type { OpenLane, Scene } from "./scene.js";

export interface Claimed {
  readonly jobs: readonly ClaimedJob[];
  readonly more: boolean;
  /** What it saw of its lanes: to be kept after the commit. */
  readonly looks: readonly LaneLook[];
  readonly tokenInMs?: number;
}

export const NOTHING: Claimed = { jobs: [], more: false, looks: [] };

const ID = { id: "id" } as const satisfies Shape;
const KEY = { lane: "int", prio: "int", run_at: "int", id: "id" } as const satisfies Shape;
const LANE = { id: "int", queue: "text", kind: "text" } as const satisfies Shape;
const QUOTA = { lane: "int", n: "int" } as const satisfies Shape;

/**
 * Called inside a write, after a look around in it.
 * @throws SessionLostError when the session is gone.
 */
export async function claim(
  work: Work,
  request: ClaimRequest,
  scene: Scene,
  lowWater: LowWater,
): Promise<Claimed> {
  const { lease, session, wants } = request;
  if (!scene.session) throw new SessionLostError(session);
  if (scene.lease) return claimedBefore(work, request);
  const doors = await Doors.enter(work, scene.lanes, session);
  const batch = new Batch(work, linesOf(wants, scene.lanes), lowWater, doors);
  let round = await batch.take();
  if (round.expired) {
    await batch.sweep();
    round = await batch.take();
  }
  const { entries, jobs, looks } = batch;
  // Should the session be ended at this moment, its row refuses the lease: then again from the beginning, and it is told.
  if (entries.length > 0)
    await work.run(work.dialect.insertLease({ id: lease, worker: session, entries }, work.now));
  await doors?.close(scene.lanes);
  return {
    jobs,
    more: round.expired || round.short || doors?.short === true,
    looks,
    ...doors?.wait,
  };
}

/** All wanted kinds of a queue are one line, in claim order. */
interface Line {
  readonly lanes: readonly OpenLane[];
  /** How many more are wanted. */
  left: number;
}

function linesOf(wants: readonly Want[], lanes: readonly OpenLane[]): Line[] {
  const queues = new Map<string, { kinds: Set<string> | null; limit: number }>();
  for (const { queue, kinds, limit } of wants) {
    const known = queues.get(queue) ?? { kinds: new Set<string>(), limit: 0 };
    const all = known.kinds === null || kinds === null ? null : new Set([...known.kinds, ...kinds]);
    queues.set(queue, { kinds: all, limit: known.limit + limit });
  }
  return Array.from(queues, ([queue, { kinds, limit }]) => ({
    lanes: lanes.filter((lane) => lane.queue === queue && (kinds?.has(lane.kind) ?? true)),
    left: limit,
  }));
}

/** What one look at the heads of the lines brought. */
interface Round {
  /** Some had expired, and there may be more of them. */
  readonly expired: boolean;
  /** Others took some of it meanwhile: what stands behind was not looked at. */
  readonly short: boolean;
  /** Lines that brought less than was wanted, and were not read from their beginning. */
  readonly cut: readonly Line[];
}

const NO_ROUND: Round = { expired: false, short: false, cut: [] };

/** Collects what one claim takes: the lease's entries and the jobs for the worker, within the size of a trip. */
class Batch {
  readonly entries: RunOfLease[] = [];
  readonly jobs: ClaimedJob[] = [];
  readonly looks: LaneLook[] = [];
  /** Where the lanes are read from; not named: from the beginning. */
  private readonly marks = new Map<number, Place>();
  private room: number = LIMITS.bytesPerStatement;

  constructor(
    private readonly work: Work,
    private readonly lines: readonly Line[],
    private readonly lowWater: LowWater,
    private readonly doors: Doors | null,
  ) {
    for (const { id: lane } of lines.flatMap(({ lanes }) => lanes.filter(isOpen))) {
      const mark = lowWater.after(lane);
      if (mark !== undefined) this.marks.set(lane, mark);
    }
  }

  private get open(): Line[] {
    return this.lines.filter(({ lanes, left }) => lanes.length > 0 && left > 0);
  }

  /** As many as are wanted of each line, from the marks; where that is less, all that lies before them is looked at, too. */
  async take(): Promise<Round> {
    const first = await this.round();
    if (first.cut.length === 0) return first;
    for (const { id: lane } of first.cut.flatMap(({ lanes }) => lanes)) this.marks.delete(lane);
    const { expired, short, cut } = await this.round();
    return { expired: first.expired || expired, short, cut };
  }

  /** A job that had expired ends here and uses no place. */
  private async round(): Promise<Round> {
    const { work, open, marks, lowWater } = this;
    if (open.length === 0) return NO_ROUND;
    const beganAt = lowWater.clock();
    const limited = await this.limitedTakes(open);
    const plain = open.filter(({ lanes }) => lanes.every(isOpen));
    const takes = [...(await takesOf(work, plain, marks)), ...limited.takes];
    const ready = await work.dialect.takeReady(work.tx, takes);
    const keyed = limited.keyed.length === 0 ? [] : await this.doors!.lift(limited.keyed);
    const rows: PlacedRow[] = [...ready, ...keyed];
    const time = { beganAt, endedAt: lowWater.clock() };
    const ids = rows.map((row) => row.id);
    const jobs = await readJobs(work, ids, this.room);
    const ordered = rows.toSorted(inClaimOrder);
    const expired: WaitingRow[] = [];
    const cut: Line[] = [];
    let short = false;
    for (const line of open) {
      const lanes = new Map(line.lanes.map((lane) => [lane.id, lane]));
      const own = ordered.filter((row) => lanes.has(row.lane));
      short ||= lanes.size > 1 && own.length > 0 && own.length < askedOf(takes, lanes);
      const toTheEnd = own.length < line.left;
      this.looks.push(...looksOf(line, own, { ...time, toTheEnd }, marks));
      if (toTheEnd && line.lanes.some((lane) => marks.has(lane.id))) cut.push(line);
      for (const row of own) {
        const job = jobs.get(row.id);
        // A waiting row without its job is a breach that is told by the audit; nobody can run it.
        if (job === undefined) continue;
        if (job.expires_at !== null && job.expires_at <= work.now) expired.push(row);
        else this.hold(line, row, lanes.get(row.lane)!, job);
      }
    }
    await this.expire(expired);
    return { expired: expired.length > 0, short, cut };
  }

  /**
   * What to take of lines with lanes that are limited: the heads of all their lanes and of the keys whose turn it is, one after the
   * other in claim order, as long as the limits let them pass.
   */
  private async limitedTakes(lines: readonly Line[]): Promise<LimitedTakes> {
    const { doors, marks } = this;
    const takes: Take[] = [];
    const keyed: KeyedRow[] = [];
    if (doors === null) return { takes, keyed };
    const limited = lines.filter(({ lanes }) => !lanes.every(isOpen));
    const heads: Head[][] = [];
    for (const line of limited) heads.push(await this.headsOfLine(line, doors));
    const passes = doors.trial();
    for (const [i, { lanes, left }] of limited.entries()) {
      const byId = new Map(lanes.map((lane) => [lane.id, lane]));
      const ready = new Map<number, number>();
      let free = left;
      for (const row of heads[i]!.toSorted(inClaimOrder)) {
        if (free === 0) break;
        if (!passes(byId.get(row.lane)!, row)) continue;
        free--;
        if ("limit_hash" in row) keyed.push(row);
        else ready.set(row.lane, (ready.get(row.lane) ?? 0) + 1);
      }
      for (const [lane, limit] of ready) takes.push({ lane, limit, after: marks.get(lane) });
    }
    return { takes, keyed };
  }

  private async headsOfLine({ lanes, left }: Line, doors: Doors): Promise<Head[]> {
    const { marks, work } = this;
    const heads: Head[] = [];
    for (const lane of lanes) {
      const each = Math.min(left, doors.room(lane));
      if (each === 0) continue;
      heads.push(...(await work.all(headsOf(work, [lane], each, marks), KEY)));
      heads.push(...(await doors.inTurn(lane, each)));
    }
    return heads;
  }

  private hold(line: Line, row: PlacedRow, lane: OpenLane, job: JobColumns): void {
    line.left--;
    if (lane.limited !== null) this.doors!.entered(lane, row);
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
    const heads = await work.all(headsOf(work, lanes, each, this.marks), KEY);
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

function looksOf(
  { lanes }: Line,
  rows: readonly WaitingRow[],
  seen: Pick<LaneLook, "beganAt" | "endedAt" | "toTheEnd">,
  marks: Marks,
): LaneLook[] {
  return lanes.filter(isOpen).map((lane) => {
    const own = rows.filter((row) => row.lane === lane.id);
    return { lane, ...seen, after: marks.get(lane.id), taken: own.length, last: own.at(-1) };
  });
}

/** A row of ready, or one of a key. */
type Head = RowOf<typeof KEY> | KeyedRow;

interface LimitedTakes {
  readonly takes: readonly Take[];
  /** Rows of keys, which are to be taken from where they wait. */
  readonly keyed: readonly KeyedRow[];
}

/** How far a limited lane was emptied says nothing of where to begin: not all that could be taken was looked at. */
const isOpen = ({ limited }: OpenLane): boolean => limited === null;

type Marks = ReadonlyMap<number, Place>;

function askedOf(takes: readonly Take[], lanes: ReadonlyMap<number, OpenLane>): number {
  return takes.reduce((sum, { lane, limit }) => sum + (lanes.has(lane) ? limit : 0), 0);
}

/**
 * How many to take of which lane. A line of one lane is taken from directly; of several, what each has among the first of the
 * line is counted, without locks.
 */
async function takesOf(work: Work, lines: readonly Line[], marks: Marks): Promise<Take[]> {
  const single = lines.filter(({ lanes }) => lanes.length === 1);
  const mixed = lines.filter(({ lanes }) => lanes.length > 1);
  const take = (lane: number, limit: number): Take => ({ lane, limit, after: marks.get(lane) });
  const takes = single.map(({ lanes, left }) => take(lanes[0]!.id, left));
  if (mixed.length === 0) return takes;
  const counts = mixed.map(
    ({ lanes, left }) =>
      sql`(select lane, count(*) as n from (
        select lane from (${headsOf(work, lanes, left, marks)}) u order by prio, run_at, id limit ${left}) c group by lane)`,
  );
  const quotas = await work.all(join(counts, " union all "), QUOTA);
  return [...takes, ...quotas.map(({ lane, n }) => take(lane, n))];
}

/** The first rows of each lane, from its mark on. */
function headsOf(
  { t, dialect }: Work,
  lanes: readonly OpenLane[],
  each: number,
  marks: Marks,
): Query {
  const heads = lanes.map(({ id: lane }) => {
    const mark = marks.get(lane);
    const behind = mark === undefined ? EMPTY : sql`and ${afterPlace(dialect, mark)}`;
    return sql`(select ${columnsOf(KEY)} from ${t.ready} where lane = ${lane} ${behind}
      order by prio, run_at, id limit ${each})`;
  });
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
  return { jobs: claimed, more: true, looks: [] };
}
