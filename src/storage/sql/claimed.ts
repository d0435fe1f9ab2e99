/** Claimed jobs as their worker gets them: what is needed to run them, small payloads with it. */
import { LIMITS } from "../../core/defaults.js";
import type { ClaimedJob, StoredPayload } from "../driver.js";
import type { WaitingRow } from "./dialect.js";
import type { Engine, Work } from "./engine.js";
import { glance } from "./engine.js";
import type { LaneName } from "./lanes.js";
import { redactedPaths } from "./options.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { raw, sql, type Query } from "./query.js";

const PAYLOAD = { codec: "int", payload_text: "text?", payload_bin: "bytes?" } as const;

const RUNNABLE = {
  id: "id",
  created_at: "int",
  max_attempts: "int",
  timeout_ms: "int?",
  expires_at: "int?",
  opts: "text?",
} as const satisfies Shape;

const FOUND = { ...RUNNABLE, ...PAYLOAD } as const satisfies Shape;
const STORED = { id: "id", ...PAYLOAD } as const satisfies Shape;

export type JobColumns = RowOf<typeof FOUND>;

/**
 * What is needed of these jobs to run them, by id. Payloads come along up to 64 KiB each and `room` in all; what does not is not
 * sent by the database either.
 */
export async function readJobs(
  work: Work,
  ids: readonly string[],
  room: number,
): Promise<ReadonlyMap<string, JobColumns>> {
  const { t, dialect } = work;
  const inline = LIMITS.inlinePayloadBytes;
  const size = raw("coalesce(octet_length(j.payload_text), octet_length(j.payload_bin), 0)");
  const found = (fits: Query, from: Query, some: readonly string[]) =>
    sql`select ${columnsOf(RUNNABLE, "j")}, j.codec,
        case when ${fits} then j.payload_text end as payload_text,
        case when ${fits} then j.payload_bin end as payload_bin
      from ${from} where ${dialect.among("j.id", "id", some)}`;
  const find = (some: readonly string[]) => {
    // So few fit in any case.
    if (some.length * inline <= room)
      return found(sql`${size} <= ${inline}`, sql`${t.job} j`, some);
    // The sizes by themselves: with the payloads beside them those would be copied and sorted, whether they are wanted or not.
    const sizes = sql`select j.id, ${size} as size from ${t.job} j where ${dialect.among("j.id", "id", some)}`;
    const totals = sql`select id, size, sum(case when size <= ${inline} then size else 0 end) over (order by id) as total
      from (${sizes}) m`;
    const fits = sql`s.size <= ${inline} and s.total <= ${room}`;
    return found(fits, sql`(${totals}) s join ${t.job} j on j.id = s.id`, some);
  };
  const rows = await work.allOf(ids, find, FOUND);
  return new Map(rows.map((row) => [row.id, row]));
}

/** Bytes of the payload that came along. */
export function inlineBytes({ payload_text: text, payload_bin: bin }: JobColumns): number {
  return (text === null ? 0 : Buffer.byteLength(text)) + (bin?.byteLength ?? 0);
}

export function claimedJob(
  row: Pick<WaitingRow, "id" | "run" | "fails" | "crashes" | "prio">,
  { queue, kind }: LaneName,
  job: JobColumns,
): ClaimedJob {
  return {
    job: row.id,
    run: row.run,
    fails: row.fails,
    crashes: row.crashes,
    queue,
    kind,
    priority: 0 - row.prio,
    createdAt: job.created_at,
    maxAttempts: job.max_attempts,
    timeoutMs: job.timeout_ms,
    redact: redactedPaths(job.opts),
    payload: job.payload_text === null && job.payload_bin === null ? null : payloadOf(job),
  };
}

export function payloads(
  engine: Engine,
  ids: readonly string[],
): Promise<(StoredPayload | null)[]> {
  return glance(engine, async (work) => {
    const { t, dialect } = work;
    const find = (some: readonly string[]) =>
      sql`select ${columnsOf(STORED)} from ${t.job} where ${dialect.among("id", "id", some)}`;
    const rows = await work.allOf([...new Set(ids)], find, STORED);
    const found = new Map(rows.map((row) => [row.id, payloadOf(row)]));
    return ids.map((id) => found.get(id) ?? null);
  });
}

function payloadOf(row: RowOf<typeof PAYLOAD>): StoredPayload {
  return { codec: row.codec, text: row.payload_text, bin: row.payload_bin };
}
