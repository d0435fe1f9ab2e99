/** Where connections come from, and what their sessions are told. */
import type { PostgresSettings } from "../server.js";
import type { Connection, SessionSetting } from "./connection.js";
import { asDatabaseError } from "./errors.js";
import { Hosts, isWritable } from "./hosts.js";
import { Pool } from "../sql/pool.js";
import { checkPool, UsersPool } from "./users-pool.js";

/** A pool of ours, or the user's. */
export interface Source {
  acquire(): Promise<Connection>;
  release(connection: Connection, broken?: boolean): void;
  /** The server behind the connections made so far takes no writes any more. */
  forget(): void;
  close(): Promise<void>;
}

/** A source, and whether its connections were told {@link sessionSettings}. Where not, each transaction says it for itself. */
export interface Opened {
  readonly source: Source;
  readonly settled: boolean;
}

/** A process that stands still inside a transaction keeps others waiting for so long, and no longer. */
export const SESSION_IDLE_MS = 10_000;
/** What a statement of ours may take, as the server counts it, by the name of its setting. In milliseconds. */
export function sessionSettings(statementTimeoutMs: number): Record<SessionSetting, number> {
  return {
    statement_timeout: statementTimeoutMs,
    // Shorter, or the time-out of the whole statement would always come first; to wait for a lock is no failure yet.
    lock_timeout: Math.ceil(statementTimeoutMs / 2),
    idle_in_transaction_session_timeout: SESSION_IDLE_MS,
  };
}

export async function openSource(settings: PostgresSettings): Promise<Opened> {
  const { pool, label, connections: max, connectTimeoutMs, statementTimeoutMs } = settings;
  if (pool !== undefined) return { source: await usersPool(pool, label), settled: false };
  // Behind a pooler there is no session that could hold them.
  const settled = settings.prepare;
  const session = settled ? { session: sessionSettings(statementTimeoutMs) } : {};
  const hosts = new Hosts({ address: settings, label, connectTimeoutMs, ...session });
  return { source: new Pool({ label, max, open: () => hosts.connect() }), settled };
}

/** What a pool of ours looks at in each new connection is looked at once. */
async function usersPool(pool: unknown, label: string): Promise<Source> {
  const source = new UsersPool(checkPool(pool));
  let connection: Connection | undefined;
  try {
    connection = await source.acquire();
    await isWritable(connection, label);
    source.release(connection);
    return source;
  } catch (error) {
    if (connection !== undefined) source.release(connection, true);
    await source.close();
    throw asDatabaseError(error, label, "connecting");
  }
}
