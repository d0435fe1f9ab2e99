/** mysql2: a connection, by callback or by promise, alone or out of a pool. */
import {
  has,
  part,
  wrongTransaction,
  type Answer,
  type Client,
  type Recognised,
} from "./client.js";

/** What the connection is set to does not matter: each setting is said again. */
const PLAIN = {
  rowsAsArray: false,
  nestTables: false,
  typeCast: (_field: unknown, next: () => unknown): unknown => next(),
};

interface Connection {
  query(
    options: typeof PLAIN & { sql: string; values: readonly unknown[] },
    callback: (error: unknown, result?: Header | Record<string, unknown>[]) => void,
  ): unknown;
}

/** What comes back of a statement without rows. */
interface Header {
  readonly affectedRows: number | string;
  readonly serverStatus: number;
}

const IN_TRANSACTION = 1;
const AUTOCOMMIT = 2;

export function recogniseMysql2(given: object): Recognised | null {
  if (has(given, "getConnection", "query"))
    throw wrongTransaction(
      "That is a pool of mysql2: its statements run on any of its connections. Give the connection on which your transaction runs: const connection = await pool.getConnection().",
    );
  const promised = part(given, "connection");
  const connection = promised !== null && isConnection(promised) ? promised : given;
  return isConnection(connection)
    ? { server: "mysql", client: clientOf(connection as unknown as Connection) }
    : null;
}

function isConnection(given: object): boolean {
  return has(given, "query", "execute", "beginTransaction", "promise") && "threadId" in given;
}

function clientOf(connection: Connection): Client {
  const send = (sql: string, values: readonly unknown[]) =>
    new Promise<Header | Record<string, unknown>[]>((resolve, reject) => {
      connection.query({ ...PLAIN, sql, values }, (error, result) =>
        error ? reject(error as Error) : resolve(result!),
      );
    });
  // Answers without rows tell it.
  let open: boolean | null = null;
  return {
    async query(text, values) {
      const result = await send(text, values);
      if (!Array.isArray(result)) open = isOpen(result);
      return answer(result);
    },
    inTransaction: () => open,
  };
}

function isOpen({ serverStatus }: Header): boolean {
  return (serverStatus & IN_TRANSACTION) !== 0 || (serverStatus & AUTOCOMMIT) === 0;
}

function answer(result: Header | Record<string, unknown>[]): Answer {
  return Array.isArray(result)
    ? { rows: result, changes: 0 }
    : { rows: [], changes: Number(result.affectedRows) };
}
