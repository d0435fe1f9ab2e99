/** What a queue tells of itself to users' transactions. */
import { DatabaseError } from "../../../core/errors.js";
import type { Dialect } from "../dialect.js";
import type { Engine } from "../engine.js";
import { sql } from "../query.js";
import type { Shape } from "../rows.js";
import type { Queue } from "./inside.js";

const VALUE = { value: "text" } as const satisfies Shape;

/** Looked up once. `foreign`: the dialect on connections of users. */
export function queueOf(
  { db, dialect, lanes, self }: Engine,
  label: string,
  foreign: () => Promise<Dialect> = () => Promise.resolve(dialect),
): () => Promise<Queue> {
  const look = async (): Promise<Queue> => {
    const query = sql`select value from ${dialect.tables.meta} where name = 'database_id'`;
    const [row] = await db.look((tx) => tx.all(query, VALUE));
    if (row === undefined)
      throw new DatabaseError(
        "QUDO_SCHEMA_MISSING",
        `${label} has no qudo tables yet. Run "await qudo.migrate()" once, before the first transaction.`,
        false,
      );
    const { meta } = dialect.tables;
    return { dialect: await foreign(), lanes, self, label, meta, databaseId: row.value };
  };
  let found: Promise<Queue> | null = null;
  return () => {
    found ??= look().catch((error: unknown) => {
      found = null;
      throw error;
    });
    return found;
  };
}
