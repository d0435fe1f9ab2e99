/** node-postgres: a Client, or the client that a Pool hands out. */
import { has, wrongTransaction, type Client, type Recognised } from "./client.js";

interface PgClient {
  query(query: {
    text: string;
    values: readonly unknown[];
    types: { getTypeParser(): (text: unknown) => unknown };
  }): Promise<{ rows: Record<string, unknown>[]; rowCount: number | null }>;
  /** "I": none is open. Older releases do not tell. */
  getTransactionStatus?(): string | null;
}

/** Values as the server wrote them. */
const AS_IT_IS = { getTypeParser: () => (text: unknown) => text };

/** A pool, too, has `query` and `connect`: only clients can quote. */
export function recognisePg(given: object): Recognised | null {
  if (!has(given, "query", "connect")) return null;
  if (has(given, "escapeLiteral"))
    return { server: "postgres", client: clientOf(given as unknown as PgClient) };
  if ("totalCount" in given && "idleCount" in given)
    throw wrongTransaction(
      "That is a Pool of pg: its statements run on any of its connections. Give the client on which your transaction runs: const client = await pool.connect().",
    );
  return null;
}

function clientOf(client: PgClient): Client {
  return {
    async query(text, values) {
      const { rows, rowCount } = await client.query({ text, values, types: AS_IT_IS });
      return { rows, changes: rowCount ?? 0 };
    },
    inTransaction() {
      const status = client.getTransactionStatus?.() ?? null;
      return status === null ? null : status !== "I";
    },
  };
}
