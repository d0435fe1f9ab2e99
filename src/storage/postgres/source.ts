/** Where connections come from, and what their sessions are told. */
import type { PostgresSettings } from "../server.js";
import type { Connection, SessionSettings } from "./connection.js";
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

export interface Opened {
  readonly source: Source;
  /** Whether its connections were told {@link sessionSettings}. Where not, each transaction says it for itself. */
  readonly settled: boolean;
  /** A connection of its own, for as long as one likes; null where there is no listening. */
  readonly direct: (() => Promise<Connection>) | null;
}

/** A process that stands still inside a transaction keeps others waiting for so long, and no longer. */
const IDLE_MS = 10_000;

/** Each transaction of ours reads a few rows along an index, and may take only so long. */
export function sessionSettings(statementTimeoutMs: number): SessionSettings {
  return {
    statement_timeout: String(statementTimeoutMs),
    // Shorter, or the time-out of the whole statement would always come first; to wait for a lock is no failure yet.
    lock_timeout: String(Math.ceil(statementTimeoutMs / 2)),
    idle_in_transaction_session_timeout: String(IDLE_MS),
    // A plan is kept for as long as a connection lives. One that was made for a table that held next to nothing would read, and
    // sort, all of it when it holds a million.
    enable_seqscan: "off",
    enable_bitmapscan: "off",
    jit: "off",
  };
}

/** What takes as long as it needs mostly reads all there is. */
export const PATIENT_SETTINGS: SessionSettings = {
  statement_timeout: "0",
  lock_timeout: "0",
  idle_in_transaction_session_timeout: String(IDLE_MS),
  enable_seqscan: "on",
  enable_bitmapscan: "on",
};

export async function openSource(settings: PostgresSettings): Promise<Opened> {
  const { pool, label, connections: max, connectTimeoutMs, statementTimeoutMs } = settings;
  if (pool !== undefined) {
    const source = await usersPool(pool, label);
    return { source, settled: false, direct: direct(settings, source.direct) };
  }
  // Behind a pooler there is no session that could hold them.
  const settled = settings.prepare;
  const session = settled ? { session: sessionSettings(statementTimeoutMs) } : {};
  const hosts = new Hosts({ address: settings, label, connectTimeoutMs, ...session });
  const connect = (): Promise<Connection> => hosts.connect();
  const source = new Pool({ label, max, open: connect });
  return { source, settled, direct: direct(settings, connect) };
}

/** `otherwise`: where no address is given for it. */
function direct(
  { listen, label, connectTimeoutMs }: PostgresSettings,
  otherwise: Opened["direct"],
): Opened["direct"] {
  if (typeof listen === "boolean") return listen ? otherwise : null;
  const hosts = new Hosts({ address: listen, label, connectTimeoutMs });
  return () => hosts.connect();
}

/** What a pool of ours looks at in each new connection is looked at once. */
async function usersPool(pool: unknown, label: string): Promise<UsersPool> {
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
