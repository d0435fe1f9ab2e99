/**
 * Numbered migrations, under the engine's lock: of many processes that come at once one migrates, the others find it done.
 * Where a server commits each of its DDL statements by itself, each of them can be repeated.
 */
import { DatabaseError } from "../../core/errors.js";
import type { MigrationReport } from "../driver.js";
import { newId } from "../ids.js";
import { migrationScript } from "./script.js";
import type { Tx } from "./database.js";
import type { Dialect } from "./dialect.js";
import { columnsOf, type Shape } from "./rows.js";
import { raw, render, sql } from "./query.js";

/** The tables of one engine, and what it takes to make them. */
export interface Schema {
  /** For people: which database. */
  readonly label: string;
  readonly dialect: Pick<Dialect, "tables" | "insert">;
  /** What its tables need that is made beside them. */
  readonly before: readonly string[];
  /** The statements that lead to version 1, to version 2, … */
  readonly steps: readonly (readonly string[])[];
  /** Whether the table meta is there. */
  exists(tx: Tx): Promise<boolean>;
  look<T>(body: (tx: Tx) => Promise<T>): Promise<T>;
  /** Nobody else migrates the same tables while the body lasts. Its statements may take their time. */
  locked<T>(body: (tx: Tx) => Promise<T>): Promise<T>;
}

const META = { name: "text", value: "text" } as const satisfies Shape;

/** Null when there are no tables yet. */
export function schemaVersion(schema: Schema): Promise<number | null> {
  return schema.look((tx) => versionOf(schema, tx));
}

export async function migrate(schema: Schema): Promise<MigrationReport> {
  const to = schema.steps.length;
  const found = await schemaVersion(schema);
  refuseNewer(schema, found);
  return found === to ? { from: to, to } : schema.locked((tx) => upgrade(schema, tx));
}

/** The same as a text. */
export async function migrationSql(schema: Schema): Promise<string> {
  const { dialect, before, steps } = schema;
  const from = await schemaVersion(schema);
  refuseNewer(schema, from);
  const { text: meta } = render(dialect.tables.meta, () => "");
  const statements = [...before, ...steps.slice(from ?? 0).flat()];
  return migrationScript({ from, to: steps.length, meta, statements });
}

/** @throws DatabaseError QUDO_SCHEMA_TOO_NEW for what an older release must not touch. */
export function refuseNewer({ label, steps }: Schema, version: number | null): void {
  if (version !== null && version > steps.length)
    throw new DatabaseError(
      "QUDO_SCHEMA_TOO_NEW",
      `${label} has schema ${version}; this qudo knows up to ${steps.length}. Update the qudo package here.`,
      false,
    );
}

async function upgrade(schema: Schema, tx: Tx): Promise<MigrationReport> {
  const from = await versionOf(schema, tx);
  refuseNewer(schema, from);
  const to = schema.steps.length;
  for (let version = (from ?? 0) + 1; version <= to; version++) {
    for (const ddl of schema.steps[version - 1]!) await tx.run(raw(ddl));
    await note(schema, tx, version);
  }
  return { from, to };
}

async function note({ dialect }: Schema, tx: Tx, version: number): Promise<void> {
  const { meta } = dialect.tables;
  const value = String(version);
  const rows = [
    { name: "database_id", value: newId() },
    { name: "schema_version", value },
  ];
  await tx.run(dialect.insert(meta, META, rows, "leave"));
  await tx.run(sql`update ${meta} set value = ${value} where name = 'schema_version'`);
}

async function versionOf({ dialect, exists }: Schema, tx: Tx): Promise<number | null> {
  if (!(await exists(tx))) return null;
  const { meta } = dialect.tables;
  const query = sql`select ${columnsOf(META)} from ${meta} where name = 'schema_version'`;
  const [row] = await tx.all(query, META);
  return row === undefined ? null : Number(row.value);
}
