/** Kysely: the `trx` of `db.transaction().execute`, or a controlled transaction. */
import { has, part, wrongTransaction, type Recognised, type Server } from "./client.js";

interface Transaction {
  readonly isTransaction: boolean;
  /** Plugins of the user's change names and values. */
  withoutPlugins(): Transaction;
  getExecutor(): { readonly adapter: Adapter };
  executeQuery(query: {
    sql: string;
    parameters: readonly unknown[];
    query: object;
    queryId: object;
  }): Promise<{ rows: Record<string, unknown>[]; numAffectedRows?: bigint }>;
}

interface Adapter {
  readonly supportsReturning: boolean;
  readonly supportsTransactionalDdl: boolean;
}

export function recogniseKysely(given: object): Recognised | null {
  if (!has(given, "withoutPlugins", "getExecutor", "executeQuery")) return null;
  const trx = given as unknown as Transaction;
  if (!trx.isTransaction)
    throw wrongTransaction(
      "That is Kysely's db, whose statements stand in no transaction. Give the trx inside yours: db.transaction().execute(async (trx) => …).",
    );
  const plain = trx.withoutPlugins();
  return {
    server: serverOf(plain),
    client: {
      async query(sql, parameters) {
        const query = { kind: "RawNode", sqlFragments: [sql], parameters: [] };
        const compiled = { sql, parameters, query, queryId: { queryId: "qudo" } };
        const { rows, numAffectedRows } = await plain.executeQuery(compiled);
        return { rows, changes: Number(numAffectedRows ?? 0) };
      },
      inTransaction: () => true,
    },
  };
}

/** By what its dialect can do: names of classes do not survive every bundler. */
function serverOf(trx: Transaction): Server {
  const adapter = part(trx.getExecutor(), "adapter") as Adapter | null;
  if (adapter?.supportsReturning && adapter.supportsTransactionalDdl) return "postgres";
  if (adapter?.supportsReturning === false && !adapter.supportsTransactionalDdl) return "mysql";
  throw wrongTransaction("That is a transaction of Kysely on neither PostgreSQL nor MySQL.");
}
