/**
 * A driver whose statements are looked at before they run: each is explained as it is carried out, that is rolled back, and then
 * it runs. What the server read of tables and indexes is known for each.
 */
import { escapeLiteral } from "pg";
import { PostgresDatabase } from "../../src/storage/postgres/database.js";
import { postgresDialect } from "../../src/storage/postgres/dialect.js";
import { newId } from "../../src/storage/ids.js";
import type { PostgresSettings } from "../../src/storage/server.js";
import type { Body, Database, Tx } from "../../src/storage/sql/database.js";
import { newEngine, type Engine } from "../../src/storage/sql/engine.js";
import { looking, type Looking } from "../../src/storage/sql/looking.js";
import { raw, type Query } from "../../src/storage/sql/query.js";
import { working, type Working } from "../../src/storage/sql/working.js";
import { postgresSettings } from "../conformance/support/postgres.js";

interface Node {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly Plans?: readonly Node[];
  readonly "Shared Hit Blocks": number;
  readonly "Shared Read Blocks": number;
}

export interface Explained {
  readonly text: string;
  /** Pages read, from memory or from disk. */
  readonly buffers: number;
  /** Of them, those read to find rows and lock them. */
  readonly found: number;
  /** "Index Scan qudo_ready", … */
  readonly nodes: readonly string[];
  readonly ms: number;
}

export interface ExplainedDriver extends AsyncDisposable {
  readonly driver: Working & Looking;
  readonly engine: Engine;
  /** What these operations sent. */
  of(work: () => Promise<unknown>): Promise<Explained[]>;
}

export async function openExplained(
  url: string,
  settings: Partial<PostgresSettings> = {},
  { generic = false } = {},
): Promise<ExplainedDriver> {
  const all = postgresSettings(url, { statementTimeoutMs: 120_000, connections: 1, ...settings });
  const dialect = postgresDialect(all, all.clock);
  const db = await PostgresDatabase.open(all, { now: () => dialect.now, announcement: () => null });
  let seen: Explained[] = [];
  const report = (one: Explained): void => void seen.push(one);
  const engine = newEngine(explaining(db, generic, report), dialect, newId());
  return {
    engine,
    driver: { ...working(engine), ...looking(engine) },
    of: async (work) => {
      seen = [];
      await work();
      return seen;
    },
    [Symbol.asyncDispose]: () => db.close(),
  };
}

type Report = (one: Explained) => void;

/** Every look is a transaction here: what is explained has to be rolled back. */
function explaining(db: PostgresDatabase, generic: boolean, report: Report): Database {
  const body =
    <T>(inner: Body<T>): Body<T> =>
    async (tx, now) => {
      const mode = generic ? "force_generic_plan" : "force_custom_plan";
      await tx.run(raw(`set local plan_cache_mode = ${mode}`));
      return inner(explainedTx(db, tx, report), now);
    };
  return {
    label: db.label,
    transaction: (inner) => db.transaction(body(inner)),
    snapshot: (inner) => db.transaction(body(inner)),
    look: (inner) => db.transaction(body((tx) => inner(tx))),
    close: () => db.close(),
  };
}

function explainedTx(db: PostgresDatabase, tx: Tx, report: Report): Tx {
  let last: Promise<unknown> = Promise.resolve();
  // One after the other: statements that are sent together would come between a savepoint and its end.
  const inTurn = <T>(query: Query, run: () => Promise<T>): Promise<T> => {
    const done = last.then(async () => {
      report(await explain(db, tx, query));
      return run();
    });
    last = done.catch(() => undefined);
    return done;
  };
  return {
    all: (query, shape) => inTurn(query, () => tx.all(query, shape)),
    run: (query) => inTurn(query, () => tx.run(query)),
    announce: () => tx.announce(),
  };
}

/** Prepared, as it is when it runs: a plan that is made for all values is another one than that for these. */
async function explain(db: PostgresDatabase, tx: Tx, query: Query): Promise<Explained> {
  const { text, values = [] } = db.statement(query);
  const given = values.length === 0 ? "" : `(${values.map(literal).join(", ")})`;
  await tx.run(raw("savepoint explained"));
  await tx.run(raw(`prepare explained as ${text}`));
  // What it is decoded as leaves it as the client library made it.
  const [row] = await tx.all(
    raw(`explain (analyze, buffers, timing off, format json) execute explained${given}`),
    { "QUERY PLAN": "bytes" },
  );
  await tx.run(raw("rollback to explained"));
  await tx.run(raw("deallocate explained"));
  const [plan] = row!["QUERY PLAN"] as unknown as [{ Plan: Node; "Execution Time": number }];
  const { Plan: top } = plan!;
  return {
    text,
    buffers: buffersOf(top),
    found: lockings(top).reduce((sum, node) => sum + buffersOf(node), 0),
    nodes: nodesOf(top),
    ms: plan!["Execution Time"],
  };
}

function buffersOf(node: Node): number {
  return node["Shared Hit Blocks"] + node["Shared Read Blocks"];
}

function lockings(node: Node): Node[] {
  return node["Node Type"] === "LockRows" ? [node] : (node.Plans ?? []).flatMap(lockings);
}

function nodesOf(node: Node): string[] {
  const on = node["Index Name"] ?? node["Relation Name"];
  const own = [node["Node Type"], ...(on === undefined ? [] : [on])].join(" ");
  return [own, ...(node.Plans ?? []).flatMap(nodesOf)];
}

function literal(value: unknown): string {
  return value === null ? "null" : escapeLiteral(textOf(value));
}

function textOf(value: unknown): string {
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString("hex")}`;
  if (!Array.isArray(value)) return String(value);
  const elements = value.map((one) =>
    one === null ? "null" : `"${textOf(one).replaceAll(/["\\]/g, String.raw`\$&`)}"`,
  );
  return `{${elements.join(",")}}`;
}
