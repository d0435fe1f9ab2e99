/** Reading jobs by id. Nothing here writes. */
import { idBytes, idText } from "../../core/ids.js";
import { isTerminal, jobState, runStateOf, type Whereabouts } from "../../core/states.js";
import type { Ending, JobRow, StoredPayload } from "../driver.js";
import { isHidden } from "../sql/hidden.js";
import { decodeLease } from "../sql/lease.js";
import { jobRow, NOBODYS, shownRun, type Hold, type JobColumns } from "../sql/views.js";
import { attemptOf } from "./attempts.js";
import type { Connection } from "./connection.js";
import { locate, read, type Engine } from "./engine.js";
import { SQL } from "./statements.js";

export interface LastOutcome {
  run: number;
  state: number;
  fails: number;
  crashes: number;
  ended_at: number;
}

export function findLast(db: Connection, id: Uint8Array): LastOutcome | undefined {
  return db.get<LastOutcome>(SQL.lastOutcome, id);
}

export function whereabouts(
  db: Connection,
  id: Uint8Array,
  last: LastOutcome | undefined,
): Whereabouts {
  const run = (last?.run ?? 0) + 1;
  const at = locate(db, id, run);
  const waiting =
    at !== undefined &&
    (db.get(
      "select 1 from qudo_ready where lane = ? and prio = ? and run_at = ? and id = ?",
      at.lane,
      at.prio,
      at.run_at,
      id,
    ) !== undefined ||
      db.get("select 1 from qudo_delayed where run_at = ? and id = ?", at.run_at, id) !==
        undefined);
  return {
    lastOutcome: last === undefined ? null : runStateOf(last.state),
    waiting,
    running: db.get(SQL.running, id, run) !== undefined,
  };
}

export function getJobs(engine: Engine, ids: readonly string[]): Promise<(JobRow | null)[]> {
  return read(engine, (now) => {
    const jobs = new JobReader(engine.db, now);
    return ids.map((id) => jobs.read(idBytes(id)));
  });
}

/** One look at jobs. Leases are decoded once, and only when a reserved job is met. */
export class JobReader {
  private holders: ReadonlyMap<string, string> | undefined;

  constructor(
    private readonly db: Connection,
    private readonly now: number,
  ) {}

  /** Null when it is not there, or shown to nobody any more. */
  read(id: Uint8Array): JobRow | null {
    const { db } = this;
    const job = db.get<JobColumns & { origin_id: Uint8Array | null }>(SQL.job, id);
    const last = job && findLast(db, id);
    if (job === undefined || isHidden(job, last, this.now)) return null;
    const state = jobState(whereabouts(db, id, last));
    const attempt = last === undefined ? null : attemptOf(db, id, last.run);
    const run = shownRun(attempt);
    const held = state === "reserved" || state === "running";
    return jobRow(idText(id), job, {
      state,
      last: attempt,
      place: locate(db, id, run) ?? job,
      hold: held ? this.hold(id, run) : NOBODYS,
      origin: job.origin_id === null ? null : idText(job.origin_id),
    });
  }

  private hold(id: Uint8Array, run: number): Hold {
    const row = this.db.get<RunningColumns>(SQL.running, id, run);
    if (row === undefined) return { ...NOBODYS, session: this.holder(id, run) };
    return { session: idText(row.worker), startedAt: row.started_at, progress: row.progress };
  }

  private holder(id: Uint8Array, run: number): string | null {
    this.holders ??= holdersOf(this.db);
    return this.holders.get(`${idText(id)}/${run}`) ?? null;
  }
}

const hasEnded = ({ state }: LastOutcome): boolean => isTerminal(runStateOf(state));

interface RunningColumns {
  started_at: number;
  worker: Uint8Array;
  progress: string | null;
}

/** "job/run" → session, of every run that a lease lists. */
function holdersOf(db: Connection): Map<string, string> {
  const holders = new Map<string, string>();
  for (const { worker, jobs } of db.all<{ worker: Uint8Array; jobs: Uint8Array }>(SQL.leases))
    for (const { id, run } of decodeLease(jobs))
      holders.set(`${idText(id)}/${run}`, idText(worker));
  return holders;
}

export function endings(engine: Engine, ids: readonly string[]): Promise<Ending[]> {
  return read(engine, () => ids.map((id) => ending(engine.db, idBytes(id))));
}

function ending(db: Connection, id: Uint8Array): Ending {
  if (db.get(SQL.jobExists, id) === undefined) return { status: "absent" };
  const last = findLast(db, id);
  if (last === undefined || !hasEnded(last)) return { status: "living" };
  return { status: "ended", attempt: attemptOf(db, id, last.run) };
}

export function payloads(
  engine: Engine,
  ids: readonly string[],
): Promise<(StoredPayload | null)[]> {
  return read(engine, () =>
    ids.map((id) => {
      const row = engine.db.get<Pick<JobColumns, "codec" | "payload_text" | "payload_bin">>(
        "select codec, payload_text, payload_bin from qudo_job where id = ?",
        idBytes(id),
      );
      return row === undefined
        ? null
        : { codec: row.codec, text: row.payload_text, bin: row.payload_bin };
    }),
  );
}
