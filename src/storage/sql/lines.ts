/** Lines that handlers wrote. Their numbers make a resend harmless. */
import { LOG_LEVELS } from "../../core/states.js";
import type { LogLine } from "../driver.js";
import type { RunOfLease } from "./dialect.js";
import type { Work } from "./engine.js";
import type { RowOf, Shape } from "./rows.js";
import { sql } from "./query.js";

export const LINE = {
  job_id: "id",
  run: "int",
  seq: "int",
  at: "int",
  level: "int",
  line: "text",
} as const satisfies Shape;

const ID = { id: "id" } as const satisfies Shape;

export type LineRow = RowOf<typeof LINE>;

/** What one run says. */
export interface Said extends RunOfLease {
  readonly lines: readonly LogLine[];
  /** Through a lease that this transaction has locked: its job is not pruned. */
  readonly held: boolean;
}

/** Rows for {@link keepLines}. Those of a job that is gone go nowhere; one that nobody holds is locked, or it could be pruned meanwhile. */
export async function linesOf(work: Work, said: readonly Said[]): Promise<LineRow[]> {
  const { t, dialect, now } = work;
  const told = said.filter(({ lines }) => lines.length > 0);
  const lock = (some: readonly string[]) =>
    sql`select id, lane from ${dialect.byKey(t.job)} where ${dialect.among("id", "id", some)} order by id ${dialect.lock("update")}`;
  const loose = told.filter(({ held }) => !held).map(({ id }) => id);
  const there = await work.allOf([...new Set(loose)].toSorted(), lock, ID);
  const known = new Set(there.map(({ id }) => id));
  return told
    .filter(({ id, held }) => held || known.has(id))
    .flatMap(({ id: job_id, run, lines }) =>
      lines.map(({ seq, agoMs, level, text: line }) => ({
        job_id,
        run,
        seq,
        at: now - Math.round(agoMs),
        level: LOG_LEVELS[level],
        line,
      })),
    );
}

export function keepLines(work: Work, rows: readonly LineRow[]): Promise<void> {
  return work.insertNew(work.t.job_log, LINE, rows);
}
