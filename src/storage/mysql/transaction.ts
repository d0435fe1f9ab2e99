/** MySQL and MariaDB in the user's own transaction, through whatever library that runs. */
import type { Inside, Into, Speech } from "../sql/inside/inside.js";
import { raw } from "../sql/query.js";
import type { RowOf, Shape } from "../sql/rows.js";
import { textOf } from "./text.js";

const DUPLICATE_KEY = 1062;
const MISSING: ReadonlySet<unknown> = new Set([
  1046, // ER_NO_DB_ERROR
  1146, // ER_NO_SUCH_TABLE
]);

export const mysqlSpeech: Speech = {
  server: "mysql",
  write: (query) => ({ text: textOf(query, spelled), values: [] }),
  savepoint: { begin: "savepoint qudo", undo: "rollback to savepoint qudo" },
  backend: raw("connection_id()"),
  // Their transaction is at REPEATABLE READ, mostly: a plain select shows the state at its beginning.
  current: raw("lock in share mode"),
  insertNew,
  isMissing: (error) => MISSING.has(numberOf(error)),
};

/**
 * A duplicate key undoes its statement and nothing else. `insert ignore` would tell less: it lets texts that are too long
 * and values that do not fit pass, cut short, and says how many rows came but not which.
 */
async function insertNew<S extends Shape>(
  work: Inside["work"],
  into: Into<S>,
  rows: readonly RowOf<S>[],
): Promise<boolean[]> {
  try {
    await work.run(work.dialect.insert(into.table, into.shape, rows, "fail"));
    return rows.map(() => true);
  } catch (error) {
    if (numberOf(error) !== DUPLICATE_KEY) throw error;
  }
  if (rows.length === 1) return [false];
  const isNew: boolean[] = [];
  for (const row of rows) isNew.push(...(await insertNew(work, into, [row])));
  return isNew;
}

const numberOf = (error: unknown): unknown => (error as { errno?: unknown } | null)?.errno;

/** Nothing that could mean anything to a server, or to a library that looks for placeholders. */
const PLAIN = /^[\w .,/@=+-]*$/;

/**
 * What a backslash means, and which bytes a letter is, depends on the connection's sql_mode and character set, which are the
 * user's: bytes mean the same everywhere.
 */
function spelled(text: string): string {
  return PLAIN.test(text)
    ? `'${text}'`
    : `_utf8mb4 x'${Buffer.from(text, "utf8").toString("hex")}'`;
}
