/**
 * Pruning: scans over what has ended, oldest first, each from where it stopped before. A scan looks at a row once, so that a
 * round costs what has come of age since the last one, not what is kept.
 */
import { RUN_STATES } from "../../core/states.js";
import type { PruneOutcome, PruneStep } from "../driver.js";
import { valuesOf } from "./cursor.js";
import { read, write, type Engine, type Work } from "./engine.js";
import { freeKeys } from "./keys.js";
import { lastRuns } from "./last.js";
import { id, join, raw, sql, type Query } from "./query.js";
import { fencePruned } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import {
  cursorText,
  dropUpTo,
  dueUpTo,
  endsJob,
  parseCursor,
  type EndOfRun,
  type Position,
} from "./scan.js";
import { leasedRuns } from "./standing.js";

export function prune(engine: Engine, step: PruneStep): Promise<PruneOutcome> {
  return step.scan === "counts" ? sweep(engine, step, countScan) : sweep(engine, step, jobScan);
}

interface Scan<R extends { readonly at: Position }> {
  /** What is old enough, after a position. */
  rows(work: Work, at: Position | null, step: PruneStep, limit: number): Promise<R[]>;
  take(
    work: Work,
    rows: readonly R[],
    waiting: readonly Position[],
    step: PruneStep,
  ): Promise<{ pruned: number; waiting: readonly Position[] }>;
}

/** Mostly nothing is due: a look that writes nothing finds that out. */
async function sweep<R extends { readonly at: Position }>(
  engine: Engine,
  step: PruneStep,
  scan: Scan<R>,
): Promise<PruneOutcome> {
  const cursor = parseCursor(step.after);
  if (cursor.waiting.length === 0) {
    const due = await read(engine, (work) => scan.rows(work, cursor.at, step, 1));
    if (due.length === 0) return { pruned: 0, after: step.after, more: false };
  }
  const transact = step.dryRun === true ? read : write;
  return transact(engine, async (work) => {
    const rows = await scan.rows(work, cursor.at, step, step.limit);
    const { pruned, waiting } = await scan.take(work, rows, cursor.waiting, step);
    const at = rows.at(-1)?.at ?? cursor.at;
    return { pruned, after: cursorText({ at, waiting }), more: rows.length >= step.limit };
  });
}

/** Rows after a position, in the order of these columns, up to the time that is due. */
function due(work: Work, columns: readonly string[], at: Position | null, upTo: number): Query {
  const ended = sql`${raw(columns[0]!)} <= ${upTo}`;
  if (at === null) return ended;
  return sql`${work.dialect.beyond("after", columns, valuesOf(at))} and ${ended}`;
}

const END = {
  job_id: "id",
  run: "int",
  state: "int",
  lane: "int",
  ended_at: "int",
  prune_at: "int?",
} as const satisfies Shape;

const RUN = { job_id: "id", run: "int" } as const satisfies Shape;
const ID = { id: "id" } as const satisfies Shape;

interface EndRow extends RowOf<typeof END> {
  readonly at: Position;
}

type Judged = EndRow & EndOfRun;

const jobScan: Scan<EndRow> = {
  async rows(work, at, step, limit) {
    const time = step.scan === "own" ? "prune_at" : "ended_at";
    const columns = [time, "job_id", "run"];
    const rows = await work.all(
      sql`select ${columnsOf(END)} from ${work.t.outcome}
        where ${due(work, columns, at, dueUpTo(step, work.now))}
        order by ${join(columns.map(raw))} limit ${limit}`,
      END,
    );
    return rows.map((row) => ({ ...row, at: [row[time]!, row.job_id, row.run] }));
  },
  async take(work, rows, waiting, step) {
    const met = [...(await findAgain(work, waiting)), ...rows];
    const candidates = (await judged(work, met)).filter((row) => isForUs(row, step));
    const ids = idsOf(candidates);
    // What others have locked they are pruning, or giving another life: the next step looks at it again.
    const ours = step.dryRun === true ? ids : await lockJobs(work, ids);
    const locked = new Set(ours);
    // Only now: what was claimed before the lock is seen, and of what is locked no other run comes.
    const [now, leased] = await Promise.all([
      judged(
        work,
        candidates.filter(({ job_id }) => locked.has(job_id)),
      ),
      firstLeased(work),
    ]);
    const last = now.filter((row) => endsJob(row, step.scan));
    const gone = last.filter(({ job_id }) => !leased.has(job_id));
    if (step.dryRun !== true) {
      if (step.scan === "done") await dropOldRuns(work, now, leased);
      await deleteJobs(work, gone);
    }
    const others = candidates.filter(({ job_id }) => !locked.has(job_id));
    const passedBy = [...others, ...last.filter(({ job_id }) => leased.has(job_id))];
    return {
      pruned: gone.length,
      waiting: passedBy.filter((row) => endsJob(row, step.scan)).map(({ at }) => at),
    };
  },
};

function isForUs(row: Judged, { scan }: PruneStep): boolean {
  return endsJob(row, scan) || (scan === "done" && dropUpTo(row, undefined) > 0);
}

const idsOf = (rows: readonly { readonly job_id: string }[]): string[] => [
  ...new Set(rows.map(({ job_id }) => job_id)),
];

async function findAgain(work: Work, waiting: readonly Position[]): Promise<EndRow[]> {
  const { t, dialect } = work;
  const at = new Map(waiting.map((position) => [String(position[1]), position]));
  const keys = [...at.values()].map(([, job_id, run]) => ({
    job_id: String(job_id),
    run: Number(run),
  }));
  const find = (some: readonly RowOf<typeof RUN>[]) =>
    sql`select ${columnsOf(END)} from ${t.outcome} where ${dialect.amongKeys(t.outcome, RUN, some)}`;
  const rows = await work.allOf(keys, find, END);
  return rows.map((row) => ({ ...row, at: at.get(row.job_id)! }));
}

/** The same rows, each with the last run of its job as it is at this moment. */
async function judged(work: Work, rows: readonly EndRow[]): Promise<Judged[]> {
  const lasts = await lastRuns(work, idsOf(rows));
  return rows.map((row) => ({ ...row, last: lasts.get(row.job_id) ?? row.run }));
}

async function lockJobs(work: Work, ids: readonly string[]): Promise<string[]> {
  const { t, dialect } = work;
  const lock = (some: readonly string[]) =>
    sql`select id, lane from ${dialect.byKey(t.job)} where ${dialect.among("id", "id", some)} order by id ${dialect.lock("skip")}`;
  return (await work.allOf(ids, lock, ID)).map((row) => row.id);
}

/** The first run of each job that any lease lists: it and what follows it stays (I5). */
async function firstLeased(work: Work): Promise<ReadonlyMap<string, number>> {
  const first = new Map<string, number>();
  for (const { id: job, run } of await leasedRuns(work))
    first.set(job, Math.min(run, first.get(job) ?? run));
  return first;
}

/** Conditions that a statement names at most: each is a range of an index of its own. */
const RANGES = 100;

async function dropOldRuns(
  work: Work,
  rows: readonly Judged[],
  leased: ReadonlyMap<string, number>,
): Promise<void> {
  const { t } = work;
  const upTo = new Map<string, number>();
  for (const row of rows) {
    const run = dropUpTo(row, leased.get(row.job_id));
    if (run > (upTo.get(row.job_id) ?? 0)) upTo.set(row.job_id, run);
  }
  const ranges = [...upTo].map(([job, run]) => sql`(job_id = ${id(job)} and run <= ${run})`);
  for (let i = 0; i < ranges.length; i += RANGES) {
    const some = join(ranges.slice(i, i + RANGES), " or ");
    for (const table of [t.outcome, t.job_log])
      await work.run(sql`delete from ${table} where ${some}`);
  }
}

/** Those that an operator might bring back are fenced first: their next run is decided here, or there. */
async function deleteJobs(work: Work, rows: readonly Judged[]): Promise<void> {
  const { t, dialect } = work;
  const retryable = rows.filter(({ state }) => state !== RUN_STATES.done);
  await fencePruned(
    work,
    retryable.map(({ job_id, last, lane }) => ({ id: job_id, run: last + 1, lane })),
  );
  const ids = idsOf(rows);
  await freeKeys(work, ids);
  for (const table of [t.outcome, t.job_log])
    await work.runOf(
      ids,
      (some) => sql`delete from ${table} where ${dialect.among("job_id", "id", some)}`,
    );
  await work.runOf(
    ids,
    (some) => sql`delete from ${t.job} where ${dialect.among("id", "id", some)}`,
  );
}

const MINUTE = {
  minute: "int",
  lane: "int",
  event: "int",
  session: "id",
} as const satisfies Shape;

interface CountRow extends RowOf<typeof MINUTE> {
  readonly at: Position;
}

/** Minutes of the tally. What is deleted is gone, but a dry run has to get on, too. */
const countScan: Scan<CountRow> = {
  async rows(work, at, step, limit) {
    const columns = Object.keys(MINUTE);
    const rows = await work.all(
      sql`select ${columnsOf(MINUTE)} from ${work.t.tally}
        where ${due(work, columns, at, dueUpTo(step, work.now))}
        order by ${join(columns.map(raw))} limit ${limit}`,
      MINUTE,
    );
    return rows.map((row) => ({ ...row, at: [row.minute, row.lane, row.event, row.session] }));
  },
  async take(work, rows, _, { dryRun }) {
    const { t, dialect } = work;
    if (dryRun !== true)
      await work.runOf(
        rows,
        (some) => sql`delete from ${t.tally} where ${dialect.amongKeys(t.tally, MINUTE, some)}`,
      );
    return { pruned: rows.length, waiting: [] };
  },
};
