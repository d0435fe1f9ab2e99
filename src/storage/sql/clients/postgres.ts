/** Postgres.js: the `sql` that `sql.begin` hands to its callback, or `sql.savepoint`; a reserved connection with BEGIN sent by hand. */
import { has, wrongTransaction, type Answer, type Recognised } from "./client.js";

interface Sql {
  unsafe(
    text: string,
    values: readonly unknown[],
    options: { prepare: boolean },
  ): { raw(): PromiseLike<Raw> };
}

/** Rows as lists of what the server wrote. */
type Raw = readonly (readonly (Uint8Array | null)[])[] & {
  readonly columns: readonly { readonly name: string }[];
  readonly count: number | null;
};

export function recognisePostgres(given: object): Recognised | null {
  if (typeof given !== "function" || !has(given, "unsafe", "array")) return null;
  const inside = has(given, "savepoint");
  if (!inside && !has(given, "release"))
    throw wrongTransaction(
      "That is the sql of postgres(): its statements run on any of its connections. Give the one inside your transaction: sql.begin(async (sql) => …).",
    );
  const sql = given as unknown as Sql;
  return {
    server: "postgres",
    client: {
      // Prepared where the user's options allow it, as their own statements are.
      query: async (text, values) =>
        answer(await sql.unsafe(text, values, { prepare: true }).raw()),
      inTransaction: () => (inside ? true : null),
    },
  };
}

/** Parsers and transforms of the user's are passed by; names that were transformed are turned back. */
function answer(rows: Raw): Answer {
  const names = (rows.columns ?? []).map(({ name }) => snakeCase(name));
  return {
    rows: rows.map((row) => Object.fromEntries(row.map((value, i) => [names[i], textOf(value)]))),
    changes: rows.count ?? 0,
  };
}

function textOf(value: Uint8Array | null): string | null {
  return value === null ? null : Buffer.from(value).toString("utf8");
}

/** `transform: postgres.camel`, `pascal` and `kebab` change the names of columns. */
function snakeCase(name: string): string {
  return name
    .replaceAll("-", "_")
    .replace(/(?<!^)[A-Z]/g, "_$&")
    .toLowerCase();
}
