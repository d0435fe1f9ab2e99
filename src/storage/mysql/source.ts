/** Where connections come from, and what their sessions are told. */
import { closedError, InvalidInputError } from "../../core/errors.js";
import type { MysqlSettings } from "../server.js";
import { Pool } from "../sql/pool.js";
import { connect, connectionOf, type Connection, type PoolConnection } from "./connection.js";
import { asDatabaseError } from "./errors.js";
import { flavourOf, type Flavour } from "./flavour.js";
import { borrow, restore, settle } from "./session.js";

/** So many connections that died while nobody used them are passed over. */
const LOSSES_MAX = 2;

/** A pool of ours, or the user's. */
export interface Source {
  /** @throws DatabaseError. */
  acquire(): Promise<Connection>;
  /** `broken`: it is in no state to be used again. Otherwise nothing is open on it. */
  release(connection: Connection, broken?: boolean): void;
  /** The server behind the connections made so far takes no writes any more. */
  forget(): void;
  close(): Promise<void>;
}

export interface Opened {
  readonly source: Source;
  readonly flavour: Flavour;
}

/** @throws DatabaseError when nobody answers, or one that is too old. */
export async function openSource(settings: MysqlSettings): Promise<Opened> {
  return settings.pool === undefined ? ownPool(settings) : usersPool(settings);
}

async function ownPool(settings: MysqlSettings): Promise<Opened> {
  const { label, connections: max } = settings;
  const source = new Pool({ label, max, open: () => open(settings) });
  // The first one also says which of the two kinds of server it is.
  const connection = await source.acquire();
  const flavour = await flavourAt(connection, settings);
  source.release(connection);
  return { source, flavour };
}

async function open(settings: MysqlSettings): Promise<Connection> {
  const { label, connectTimeoutMs, statementTimeoutMs } = settings;
  let connection: Connection | undefined;
  try {
    connection = await connect(settings);
    const flavour = await flavourAt(connection, settings);
    await connection.send(settle(flavour, statementTimeoutMs), connectTimeoutMs);
    return connection;
  } catch (error) {
    connection?.destroy();
    throw asDatabaseError(error, label, "connecting");
  }
}

async function flavourAt(
  connection: Connection,
  { label, connectTimeoutMs }: MysqlSettings,
): Promise<Flavour> {
  const { rows } = await connection.send("select version() as version", connectTimeoutMs);
  return flavourOf(String(rows[0]!["version"]), label);
}

// — the user's

/** What is asked of a pool: that of mysql2, or the one that it puts before it for promises. */
interface PoolLike {
  getConnection(callback: (error: Error | null, client: PoolConnection) => void): void;
  readonly pool?: PoolLike;
}

async function usersPool(settings: MysqlSettings): Promise<Opened> {
  const pool = checkPool(settings.pool);
  const first = await borrowed(pool, settings);
  const flavour = await flavourAt(first, settings).finally(() => giveBack(first));
  return { source: new UsersPool(pool, settings, flavour), flavour };
}

/** @throws InvalidInputError QUDO_INVALID_OPTION for something else. */
function checkPool(given: unknown): PoolLike {
  const { pool = given } = given as PoolLike;
  if (typeof (pool as Partial<PoolLike>).getConnection === "function") return pool as PoolLike;
  throw new InvalidInputError(
    "QUDO_INVALID_OPTION",
    "pool is no pool of connections to MySQL or MariaDB. Give one that createPool of the package mysql2 made.",
  );
}

async function borrowed(pool: PoolLike, { label }: MysqlSettings): Promise<Connection> {
  try {
    return await new Promise((resolve, reject) => {
      pool.getConnection((error, client) =>
        error ? reject(error) : resolve(connectionOf(client)),
      );
    });
  } catch (error) {
    throw asDatabaseError(error, label, "connecting");
  }
}

function giveBack(connection: Connection, broken = false): void {
  const usable = connection.usable && !broken;
  connection.letGo();
  const client = connection.client as unknown as PoolConnection;
  if (usable) client.release();
  else connection.destroy();
}

/** Its settings are respected: each session is given back as it was. It is not closed here. */
class UsersPool implements Source {
  private closed = false;

  constructor(
    private readonly pool: PoolLike,
    private readonly settings: MysqlSettings,
    private readonly flavour: Flavour,
  ) {}

  async acquire(): Promise<Connection> {
    const { statementTimeoutMs } = this.settings;
    for (let losses = 0; ;) {
      if (this.closed) throw closedError();
      const connection = await borrowed(this.pool, this.settings);
      try {
        await connection.send(borrow(this.flavour, statementTimeoutMs), statementTimeoutMs);
        return connection;
      } catch (error) {
        giveBack(connection, true);
        // It may have died while nobody used it.
        if (++losses > LOSSES_MAX) throw asDatabaseError(error, this.settings.label, "connecting");
      }
    }
  }

  release(connection: Connection, broken = false): void {
    if (broken || !connection.usable) return giveBack(connection, true);
    connection.send(restore(this.flavour), this.settings.statementTimeoutMs).then(
      () => giveBack(connection),
      () => giveBack(connection, true),
    );
  }

  /** Which connections it keeps is the pool's own business. */
  forget(): void {}

  async close(): Promise<void> {
    this.closed = true;
  }
}
