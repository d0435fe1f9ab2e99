/** Limits: what workers declared, slots that are given up, and how all of it is shown. What a claim may take: doors.ts. */
import { tokensIn } from "../../core/limits/bucket.js";
import { limitsOf, type Limit } from "../../core/limits/gate.js";
import { namedLimits, useOf, type LimitUse } from "../../core/limits/use.js";
import type { LimitDeclaration, LimitRow } from "../driver.js";
import type { RunOfLease } from "./dialect.js";
import { read, type Engine, type Work } from "./engine.js";
import { id, sql } from "./query.js";
import { runKey } from "./record.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { changedRules, scopeOf, SCOPES, specOf } from "./rules.js";

const RULE = {
  scope: "int",
  name: "text",
  spec: "text",
  declared_at: "int",
} as const satisfies Shape;
const RULE_KEY = { scope: "int", name: "text" } as const satisfies Shape;

export const SLOT = {
  limit_hash: "id",
  n: "int",
  job_id: "id",
  run: "int",
} as const satisfies Shape;
export const SLOT_KEY = { limit_hash: "id", n: "int" } as const satisfies Shape;
export const BUCKET = {
  limit_hash: "id",
  tokens: "int",
  refilled_at: "int",
  full_at: "int",
} as const satisfies Shape;

/** Called inside a write. What is said already is not written, so that workers which start wait for nobody. */
export async function declare(work: Work, declared: readonly LimitDeclaration[]): Promise<void> {
  const { t, dialect, now } = work;
  const names = declared.map(({ scope, name }) => ({ scope: SCOPES[scope], name }));
  const find = (some: readonly RowOf<typeof RULE_KEY>[]) =>
    sql`select ${columnsOf(RULE)} from ${t.rule} where ${dialect.amongKeys(t.rule, RULE_KEY, some)}`;
  const changed = changedRules(declared, await work.allOf(names, find, RULE)).toSorted(inOrder);
  await work.insertNew(
    t.rule,
    RULE,
    changed.map((row) => ({ ...row, declared_at: now })),
  );
  for (const { scope, name, spec } of changed)
    await work.run(
      sql`update ${t.rule} set spec = ${spec}, declared_at = ${now} where scope = ${scope} and name = ${name}`,
    );
}

/** Everybody writes and locks them in this order, and none waits in a circle. */
function inOrder(a: RowOf<typeof RULE_KEY>, b: RowOf<typeof RULE_KEY>): number {
  return a.scope - b.scope || (a.name < b.name ? -1 : 1);
}

/** Of runs that their worker gives up. Called inside a write that has locked their leases. */
export async function freeSlots(work: Work, runs: readonly RunOfLease[]): Promise<void> {
  const { t, dialect } = work;
  const given = new Set(runs.map(({ id, run }) => runKey(id, run)));
  const find = (some: readonly string[]) =>
    sql`select ${columnsOf(SLOT)} from ${t.slot} where ${dialect.among("job_id", "id", some)}`;
  const ids = [...new Set(runs.map(({ id }) => id))];
  const rows = (await work.allOf(ids, find, SLOT)).filter((row) =>
    given.has(runKey(row.job_id, row.run)),
  );
  if (rows.length === 0) return;
  // Whoever waits for a place may be another process.
  work.tx.announce();
  await work.runOf(
    rows,
    (some) => sql`delete from ${t.slot} where ${dialect.amongKeys(t.slot, SLOT_KEY, some)}`,
  );
}

const KEY = { limit_key: "text?" } as const satisfies Shape;
const HOST = { host: "text" } as const satisfies Shape;

/** What is used of the limits that a waiting job has to pass; `hash`: of its key. */
export async function usesOf(
  work: Work,
  { id: job, queue, kind }: { readonly id: string; readonly queue: string; readonly kind: string },
  hash: string | null,
): Promise<readonly LimitUse[]> {
  const { t, dialect, now } = work;
  const rules = await work.all(
    sql`select ${columnsOf(RULE)} from ${t.rule}
      where (scope = ${SCOPES.kind} and name = ${kind}) or (scope = ${SCOPES.queue} and name = ${queue})`,
    RULE,
  );
  const of = (scope: number) => specOf(rules.find((rule) => rule.scope === scope)?.spec);
  const specs = { ofKind: of(SCOPES.kind), ofQueue: of(SCOPES.queue) };
  if (specs.ofKind === null && specs.ofQueue === null) return [];
  const [keyed, hosts] = await Promise.all([
    work.first(sql`select limit_key from ${t.job} where id = ${id(job)}`, KEY),
    work.all(sql`select distinct host from ${t.worker} order by host`, HOST),
  ]);
  const text = keyed?.limit_key ?? null;
  const key = hash === null || text === null ? null : { hash, text };
  const named = namedLimits(
    { queue, kind, ...specs },
    key,
    hosts.map(({ host }) => host),
  );
  const hashes = [...new Set(named.map(({ limit }) => limit.hash))];
  const among = (some: readonly string[]) => dialect.among("limit_hash", "id", some);
  const [slots, buckets] = await Promise.all([
    work.allOf(
      hashes,
      (some) => sql`select ${columnsOf(SLOT_KEY)} from ${t.slot} where ${among(some)}`,
      SLOT_KEY,
    ),
    work.allOf(
      hashes,
      (some) => sql`select ${columnsOf(BUCKET)} from ${t.bucket} where ${among(some)}`,
      BUCKET,
    ),
  ]);
  return named.map((one) => {
    const held = slots.filter((row) => row.limit_hash === one.limit.hash).length;
    const row = buckets.find((bucket) => bucket.limit_hash === one.limit.hash);
    const bucket = row && { tokens: row.tokens, refilledAt: row.refilled_at };
    return useOf(one, held, bucket, now);
  });
}

const COUNT = { name: "text", n: "int" } as const satisfies Shape;
const TAKEN = { limit_hash: "id", n: "int" } as const satisfies Shape;

export function limits(engine: Engine): Promise<LimitRow[]> {
  return read(engine, async (work) => {
    const { t } = work;
    const [rules, taken, buckets, waiting] = await Promise.all([
      work.all(sql`select ${columnsOf(RULE)} from ${t.rule} order by scope, name`, RULE),
      work.all(sql`select limit_hash, count(*) as n from ${t.slot} group by limit_hash`, TAKEN),
      work.all(sql`select ${columnsOf(BUCKET)} from ${t.bucket}`, BUCKET),
      work.all(
        sql`select l.kind as name, count(*) as n from ${t.held} h join ${t.lane} l on l.id = h.lane
          group by l.kind`,
        COUNT,
      ),
    ]);
    const byHash = new Map(buckets.map((row) => [row.limit_hash, row]));
    const countOf = new Map(waiting.map(({ name, n }) => [name, n]));
    const takenOf = new Map(taken.map(({ limit_hash, n }) => [limit_hash, n]));
    const tokensOf = ({ hash, rate }: Limit): number | null => {
      const row = byHash.get(hash);
      const bucket = row && { tokens: row.tokens, refilledAt: row.refilled_at };
      return rate === null ? null : tokensIn(bucket, rate, work.now);
    };
    return rules.flatMap(({ name, declared_at: declaredAt, ...row }) => {
      const spec = specOf(row.spec);
      if (spec === null) return [];
      const scope = scopeOf(row.scope);
      // The limit of all its jobs, and not of one machine.
      const [limit] = limitsOf(scope, name, { ...spec, perMachine: null }, "");
      const running = limit === undefined ? 0 : (takenOf.get(limit.hash) ?? 0);
      const tokens = limit === undefined ? null : tokensOf(limit);
      const keyed = scope === "kind" ? (countOf.get(name) ?? 0) : 0;
      return [{ scope, name, spec, declaredAt, running, tokens, waiting: keyed }];
    });
  });
}
