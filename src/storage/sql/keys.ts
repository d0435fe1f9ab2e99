/** Unique keys: at most one living job per (kind, key). The primary key of their table is the arbiter, never a look before. */
import { isTerminal, runStateOf } from "../../core/states.js";
import type { RunOfLease } from "./dialect.js";
import type { Work } from "./engine.js";
import { outcomesOf, runKey } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { sql } from "./query.js";

export const KEY = { hash: "bytes", job_id: "id" } as const satisfies Shape;
const ID = { id: "id" } as const satisfies Shape;
const HOLDER = { job_id: "id" } as const satisfies Shape;

export type KeyRow = RowOf<typeof KEY>;

/**
 * Takes those that are free, in the order given, and says who holds each now, by {@link hashText}. Waits for transactions that
 * are taking or freeing one of them at this moment.
 */
export async function takeKeys(
  work: Work,
  keys: readonly KeyRow[],
): Promise<ReadonlyMap<string, string>> {
  const holders = new Map<string, string>();
  // A holder that kept a key from us may have given it up before we could see who it was: then again.
  for (let open = keys; open.length > 0;) {
    const [, rows] = await Promise.all([
      work.insertNew(work.t.unique_key, KEY, open),
      findKeys(work, open),
    ]);
    for (const { hash, job_id } of rows) holders.set(hashText(hash), job_id);
    open = open.filter(({ hash }) => !holders.has(hashText(hash)));
  }
  return holders;
}

/** Those of these keys that somebody holds. */
export function findKeys(
  work: Work,
  keys: readonly Pick<KeyRow, "hash">[],
): Promise<readonly KeyRow[]> {
  const { t, dialect } = work;
  const find = (some: readonly Pick<KeyRow, "hash">[]) => {
    const hashes = some.map(({ hash }) => hash);
    return sql`select ${columnsOf(KEY)} from ${t.unique_key} where ${dialect.among("hash", "bytes", hashes)}`;
  };
  return work.allOf(keys, find, KEY);
}

/** A hash as what a Map can look up. */
export function hashText(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString("hex");
}

/** Frees the keys of jobs that end by what this very transaction decided. */
export function freeKeys(work: Work, jobs: readonly string[]): Promise<void> {
  const { t, dialect } = work;
  return work.runOf(
    jobs,
    (some) => sql`delete from ${t.unique_key} where ${dialect.among("job_id", "id", some)}`,
  );
}

/**
 * Of runs that were decided before: the jobs that ended with them and have not begun another life, so that their keys may go. An
 * operator may be giving one that life at this moment: whoever does that has locked the job, as is done here.
 */
export async function endedBy(work: Work, runs: readonly RunOfLease[]): Promise<string[]> {
  const { t, dialect } = work;
  const ids = [...new Set(runs.map(({ id }) => id))].toSorted();
  const lock = (some: readonly string[]) =>
    sql`select id, lane from ${dialect.byKey(t.job)} where ${dialect.among("id", "id", some)} and unique_hash is not null
      order by id ${dialect.lock("update")}`;
  const jobs = (await work.allOf(ids, lock, ID)).map(({ id }) => id);
  const keyed = new Set(await lockKeys(work, jobs));
  const asked = runs.filter(({ id }) => keyed.has(id));
  const next = asked.map(({ id, run }) => ({ id, run: run + 1 }));
  const outcomes = await outcomesOf(work, [...asked, ...next]);
  const ended = asked.filter(({ id, run }) => {
    const found = outcomes.get(runKey(id, run));
    const last = !outcomes.has(runKey(id, run + 1));
    return found !== undefined && isTerminal(runStateOf(found.state)) && last;
  });
  return ended.map(({ id }) => id);
}

/**
 * Which of these jobs hold a key. Whoever gives one of them another life on another node of a cluster (Galera) does not see
 * that its job is locked here, but writes its key anew: that meets this lock.
 */
async function lockKeys(work: Work, jobs: readonly string[]): Promise<string[]> {
  const { t, dialect } = work;
  const lock = (some: readonly string[]) =>
    sql`select job_id from ${t.unique_key} where ${dialect.among("job_id", "id", some)}
      order by job_id ${dialect.lock("update")}`;
  return (await work.allOf(jobs, lock, HOLDER)).map(({ job_id }) => job_id);
}
