/** Adding jobs inside the user's transaction. Whatever is there already is told, and is no error. */
import { uniqueHash } from "../../../core/ids.js";
import type { InsertOutcome, NewJob } from "../../driver.js";
import { firstPlace, JOB, jobRow } from "../enqueue.js";
import { keyOf, NAME, type LaneName } from "../lanes.js";
import { id, join, NOTHING, raw, sql, type Query } from "../query.js";
import { place } from "../record.js";
import type { RowOf, Shape } from "../rows.js";
import type { Inside } from "./inside.js";

const SET = { jobs: 1_000, bytes: 4 * 1024 * 1024 };

const INSERTED: InsertOutcome = { status: "inserted" };
const DUPLICATE: InsertOutcome = { status: "duplicate" };

type LaneIds = ReadonlyMap<string, number>;

export async function insertJobs(
  inside: Inside,
  jobs: readonly NewJob[],
): Promise<InsertOutcome[]> {
  const lanes = await lanesOf(inside, jobs);
  const outcomes: InsertOutcome[] = [];
  for (const set of setsOf(jobs)) {
    const bySet = await insertSet(inside, set, lanes);
    outcomes.push(...set.map((job) => bySet.get(job.id)!));
  }
  await inside.work.tally.write(inside.work);
  return outcomes;
}

/** One after the other, such that the jobs of each have different ids and different keys, and fit into one statement. */
function setsOf(jobs: readonly NewJob[]): NewJob[][] {
  const sets: NewJob[][] = [];
  let [names, bytes] = [new Set<string>(), 0];
  for (const job of jobs) {
    const mine = [job.id, ...(job.uniqueKey === null ? [] : [`${job.kind}\0${job.uniqueKey}`])];
    const size = (job.payload.text?.length ?? 0) + (job.payload.bin?.byteLength ?? 0);
    const last = sets.at(-1);
    const fits =
      last !== undefined &&
      last.length < SET.jobs &&
      bytes + size <= SET.bytes &&
      !mine.some((name) => names.has(name));
    if (fits) last.push(job);
    else {
      sets.push([job]);
      [names, bytes] = [new Set(), 0];
    }
    for (const name of mine) names.add(name);
    bytes += size;
  }
  return sets;
}

async function insertSet(
  inside: Inside,
  jobs: readonly NewJob[],
  lanes: LaneIds,
): Promise<Map<string, InsertOutcome>> {
  const { speech, work } = inside;
  const outcomes = await takeKeys(
    inside,
    jobs.filter(({ uniqueKey }) => uniqueKey !== null),
  );
  const rows = jobs
    .filter((job) => !outcomes.has(job.id))
    .map((job) => jobRow(job, lanes.get(keyOf(job))!, work.now));
  const into = { table: work.t.job, shape: JOB, key: "id" } as const;
  const isNew = rows.length === 0 ? [] : await speech.insertNew(work, into, rows);
  for (const [i, row] of rows.entries()) {
    outcomes.set(row.id, isNew[i] ? INSERTED : DUPLICATE);
    if (isNew[i]) work.tally.enqueued(row.lane);
    else if (row.unique_hash !== null) await giveBack(inside, row.unique_hash, row.id);
  }
  await place(work, rows.filter((_, i) => isNew[i]).map(firstPlace));
  return outcomes;
}

// — unique keys

const KEY = { hash: "bytes", job_id: "id" } as const satisfies Shape;
const ID = { id: "id" } as const satisfies Shape;

/** What was decided of jobs whose keys they could not have. The ids are looked up first: a job that is known, and finished, must take no key. */
async function takeKeys(
  { speech, work }: Inside,
  jobs: readonly NewJob[],
): Promise<Map<string, InsertOutcome>> {
  const { t, dialect } = work;
  if (jobs.length === 0) return new Map();
  const ids = jobs.map((job) => job.id);
  const known = await work.all(
    sql`select id from ${t.job} where ${dialect.among("id", "id", ids)}`,
    ID,
  );
  const outcomes = new Map<string, InsertOutcome>(known.map((row) => [row.id, DUPLICATE]));
  let open = jobs
    .filter((job) => !outcomes.has(job.id))
    .map(keyRow)
    .toSorted(byHash);
  while (open.length > 0) {
    const into = { table: t.unique_key, shape: KEY, key: "hash" } as const;
    const isNew = await speech.insertNew(work, into, open);
    const taken = open.filter((_, i) => !isNew[i]);
    if (taken.length === 0) break;
    const theirs = join(
      taken.map(({ hash }) => sql`hash = ${hash}`),
      " or ",
    );
    const holders = await work.all(
      sql`select hash, job_id from ${t.unique_key} where ${theirs} ${speech.current}`,
      KEY,
    );
    const holderOf = new Map(holders.map((row) => [textOf(row.hash), row.job_id]));
    for (const row of taken) {
      const holder = holderOf.get(textOf(row.hash));
      if (holder === undefined) continue;
      outcomes.set(row.job_id, holder === row.job_id ? DUPLICATE : { status: "unique", holder });
    }
    // Whose holder went in between is tried again.
    open = taken.filter((row) => !outcomes.has(row.job_id));
  }
  return outcomes;
}

function keyRow({ id: job_id, kind, uniqueKey }: NewJob): RowOf<typeof KEY> {
  return { hash: uniqueHash(kind, uniqueKey!), job_id };
}

/** Everybody takes keys in this order: two transactions that want the same ones do not wait for each other in a circle. */
function byHash(a: RowOf<typeof KEY>, b: RowOf<typeof KEY>): number {
  return textOf(a.hash) < textOf(b.hash) ? -1 : 1;
}

const textOf = (hash: Uint8Array): string => Buffer.from(hash).toString("hex");

/** The job came, and maybe went, after its id was looked up. The row is our own: nobody waits for it that would not have to. */
async function giveBack({ work }: Inside, hash: Uint8Array, job: string): Promise<void> {
  await work.run(
    sql`delete from ${work.t.unique_key} where hash = ${hash} and job_id = ${id(job)}`,
  );
}

// — lanes

/** Lanes that are new are inserted here, and remembered nowhere: they may be rolled back. */
async function lanesOf(inside: Inside, jobs: readonly NewJob[]): Promise<LaneIds> {
  const { queue, speech, work } = inside;
  const ids = new Map<string, number>();
  const missing = new Map<string, LaneName>();
  for (const job of jobs) {
    const seen = queue.lanes.seen(job);
    if (seen === undefined) missing.set(keyOf(job), { queue: job.queue, kind: job.kind });
    else ids.set(keyOf(job), seen);
  }
  await lookUp(inside, missing, ids, NOTHING);
  if (missing.size > 0) {
    const rows = [...missing.values()].toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    await speech.insertNew(work, { table: work.t.lane, shape: NAME, key: "kind" }, rows);
    await lookUp(inside, missing, ids, speech.current);
  }
  return ids;
}

const FOUND = { n: "int", id: "int" } as const satisfies Shape;

/** By their place in the list: how a name comes back depends on the connection's character set. */
async function lookUp(
  { work }: Inside,
  missing: Map<string, LaneName>,
  ids: Map<string, number>,
  end: Query,
): Promise<void> {
  const names = [...missing.values()];
  if (names.length === 0) return;
  const looks = names.map(
    ({ queue, kind }, n) =>
      sql`(select ${raw(String(n))} as n, id from ${work.t.lane} where queue = ${queue} and kind = ${kind} ${end})`,
  );
  for (const { n, id } of await work.all(join(looks, " union all "), FOUND)) {
    ids.set(keyOf(names[n]!), id);
    missing.delete(keyOf(names[n]!));
  }
}
