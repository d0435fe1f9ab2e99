/** What runs say while they go on: progress, log lines; and the log read back. */
import { idBytes } from "../../core/ids.js";
import { LOG_LEVELS, logLevelOf } from "../../core/states.js";
import type { LogLine, LogQuery, LogRow, RunReport } from "../driver.js";
import { decodeLease } from "../sql/lease.js";
import type { Connection } from "./connection.js";
import { read, write, type Engine } from "./engine.js";
import { SQL } from "./statements.js";

/** A mere question whether the runs are still ours takes no write lock. */
export function report(engine: Engine, reports: readonly RunReport[]): Promise<boolean[]> {
  const news = reports.some(({ progress, lines }) => progress !== null || lines.length > 0);
  const body = (now: number): boolean[] => {
    const lists = new LeaseLists(engine.db);
    return reports.map((one) => reportOne(engine.db, lists, one, now));
  };
  return news ? write(engine, body) : read(engine, body);
}

function reportOne(db: Connection, lists: LeaseLists, report: RunReport, now: number): boolean {
  const { run, progress, lines } = report;
  const id = idBytes(report.job);
  const worker = idBytes(report.session);
  keepLines(db, id, run, lines, now);
  const ours =
    lists.has(idBytes(report.lease), worker, id, run) && db.get(SQL.outcome, id, run) === undefined;
  if (ours && progress !== null) {
    db.run(SQL.insertRunning, id, run, worker, now);
    db.run(SQL.setProgress, progress, id, run);
  }
  return ours;
}

/** Numbers of lines make a resend harmless. Those of a job that is gone go nowhere. */
export function keepLines(
  db: Connection,
  id: Uint8Array,
  run: number,
  lines: readonly LogLine[],
  now: number,
): void {
  for (const { seq, agoMs, level, text } of lines)
    db.run(SQL.insertLine, run, seq, now - Math.round(agoMs), LOG_LEVELS[level], text, id);
}

/** What leases list, each read once. */
class LeaseLists {
  private readonly read = new Map<string, ReadonlySet<string>>();

  constructor(private readonly db: Connection) {}

  /** The lease is there, it is this session's, and it lists the run. */
  has(lease: Buffer, session: Buffer, id: Uint8Array, run: number): boolean {
    const name = `${hex(lease)} ${hex(session)}`;
    let list = this.read.get(name);
    if (list === undefined) {
      list = this.list(lease, session);
      this.read.set(name, list);
    }
    return list.has(entry(id, run));
  }

  private list(lease: Buffer, session: Buffer): ReadonlySet<string> {
    const row = this.db.get<{ worker: Uint8Array; jobs: Uint8Array }>(SQL.lease, lease);
    if (row === undefined || !session.equals(row.worker)) return new Set();
    return new Set(decodeLease(row.jobs).map(({ id, run }) => entry(id, run)));
  }
}

const hex = (id: Uint8Array): string => Buffer.from(id).toString("hex");
const entry = (id: Uint8Array, run: number): string => `${hex(id)}/${run}`;

interface LineColumns {
  run: number;
  seq: number;
  at: number;
  level: number;
  line: string;
}

export function listLog(engine: Engine, query: LogQuery): Promise<LogRow[]> {
  const { run = null, after = { run: 0, seq: 0 }, limit } = query;
  const id = idBytes(query.job);
  return read(engine, () =>
    engine.db
      .all<LineColumns>(SQL.log, id, after.run, after.seq, run, run, limit)
      .map(({ level, line, ...row }) => ({ ...row, level: logLevelOf(level), text: line })),
  );
}
