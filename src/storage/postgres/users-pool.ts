/** A pool of the user's, of pg or of its shape: its settings are respected, and it is not closed here. */
import { closedError, InvalidInputError } from "../../core/errors.js";
import { Connection, type ClientBase } from "./connection.js";

/** What is asked of a pool. */
export interface PoolLike {
  connect(): Promise<ClientLike>;
  /** Of pg: what its clients are made of, and with. */
  readonly Client?: new (options: unknown) => ClientBase & { end(): Promise<void> };
  readonly options?: unknown;
  on?(event: "error", listener: (error: Error) => void): unknown;
  off?(event: "error", listener: (error: Error) => void): unknown;
}

interface ClientLike extends ClientBase {
  release(broken?: boolean): void;
  readonly pipeline?: boolean;
}

/** @throws InvalidInputError QUDO_INVALID_OPTION for something else. */
export function checkPool(pool: unknown): PoolLike {
  if (typeof (pool as Partial<PoolLike> | null)?.connect === "function") return pool as PoolLike;
  throw new InvalidInputError(
    "QUDO_INVALID_OPTION",
    "pool is no pool of connections to PostgreSQL. Give a Pool of the package pg.",
  );
}

export class UsersPool {
  private closed = false;
  private readonly onError = (): void => undefined;

  constructor(private readonly pool: PoolLike) {
    // Where nobody listens, an idle connection that breaks would end the process.
    pool.on?.("error", this.onError);
  }

  async acquire(): Promise<Connection> {
    if (this.closed) throw closedError();
    const client = await this.pool.connect();
    return new Connection(client, client.pipeline === true, {
      end: async () => undefined,
      destroy: () => socketOf(client)?.destroy?.(),
      hold: () => undefined,
    });
  }

  /** A connection like those of the pool, but none of them: one that listens would never be given back. */
  get direct(): (() => Promise<Connection>) | null {
    const { Client, options } = this.pool;
    if (Client === undefined || options === undefined) return null;
    return async () => {
      const client = new Client(options);
      const connection = new Connection(client, false, {
        end: () => client.end(),
        destroy: () => socketOf(client)?.destroy?.(),
        hold: (on) => (on ? socketOf(client)?.ref?.() : socketOf(client)?.unref?.()),
      });
      await client.connect();
      return connection;
    };
  }

  release(connection: Connection, broken = false): void {
    const usable = connection.usable && !broken;
    connection.letGo();
    (connection.client as ClientLike).release(!usable);
  }

  /** Which connections it keeps is the pool's own business. */
  forget(): void {}

  async close(): Promise<void> {
    this.closed = true;
    this.pool.off?.("error", this.onError);
  }
}

interface SocketLike {
  destroy?(): void;
  ref?(): void;
  unref?(): void;
}

/** Of pg: the only way to be rid of a connection that does not answer. */
function socketOf(client: unknown): SocketLike | undefined {
  return (client as { connection?: { stream?: SocketLike } }).connection?.stream;
}
