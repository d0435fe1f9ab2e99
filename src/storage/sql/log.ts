/** The log read back: lines that handlers wrote. */
import { logLevelOf } from "../../core/states.js";
import type { LogQuery, LogRow } from "../driver.js";
import { read, type Engine } from "./engine.js";
import { id, join, sql } from "./query.js";
import { columnsOf, type Shape } from "./rows.js";

const LINE = {
  run: "int",
  seq: "int",
  at: "int",
  level: "int",
  line: "text",
} as const satisfies Shape;

export function listLog(engine: Engine, query: LogQuery): Promise<LogRow[]> {
  const { job, run, after, limit } = query;
  const { tables: t, beyond } = engine.dialect;
  // Line 0 is none that a handler wrote.
  const where = [sql`job_id = ${id(job)} and seq > 0`];
  if (run !== undefined) where.push(sql`run = ${run}`);
  if (after !== undefined) where.push(beyond("after", ["run", "seq"], [after.run, after.seq]));
  const lines = sql`select ${columnsOf(LINE)} from ${t.job_log} where ${join(where, " and ")}
    order by run, seq limit ${limit}`;
  return read(engine, async (work) =>
    (await work.all(lines, LINE)).map(({ level, line, ...row }) => ({
      ...row,
      level: logLevelOf(level),
      text: line,
    })),
  );
}
