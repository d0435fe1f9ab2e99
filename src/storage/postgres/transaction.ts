/** PostgreSQL in the user's own transaction, through whatever library that runs. */
import type { Speech } from "../sql/inside/inside.js";
import { Id, List, NOTHING, raw, render, sql, type Value } from "../sql/query.js";

const MISSING: ReadonlySet<unknown> = new Set([
  "42P01", // undefined_table
  "3F000", // invalid_schema_name
]);

export const postgresSpeech: Speech = {
  server: "postgres",
  write(query) {
    const { text, values } = render(query, (n, value) =>
      value instanceof List ? `$${n}::${value.type}[]` : `$${n}`,
    );
    return { text, values: values.map(plain) };
  },
  savepoint: null,
  backend: raw("pg_backend_pid()"),
  // A key that is there although the transaction's snapshot does not show it is a serialization failure (40001).
  current: NOTHING,
  /** An error would end the user's transaction: so the key is left, and RETURNING tells of the others. */
  async insertNew(work, { table, shape, key }, rows) {
    const inserted = await work.all(
      sql`${work.dialect.insert(table, shape, rows, "leave")} returning ${raw(key)}`,
      { [key]: shape[key]! },
    );
    const keys = new Set(inserted.map((row) => name(row[key])));
    return rows.map((row) => keys.has(name(row[key])));
  },
  isMissing: (error) => MISSING.has((error as { code?: unknown } | null)?.code),
};

function name(key: unknown): string {
  return key instanceof Uint8Array ? Buffer.from(key).toString("hex") : String(key);
}

/** Libraries differ in how they write arrays: they are given the text. */
function plain(value: Value): unknown {
  if (value instanceof Id) return value.text;
  if (value instanceof Uint8Array) return Buffer.from(value);
  return value instanceof List ? `{${value.values.map(element).join(",")}}` : value;
}

function element(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  const text =
    value instanceof Uint8Array ? `\\x${Buffer.from(value).toString("hex")}` : String(value);
  return `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}
