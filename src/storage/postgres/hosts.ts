/**
 * Which of several servers takes writes. They are asked in order; the one that was found is asked first from then on, until
 * it is gone or takes no writes any more.
 */
import { DatabaseError } from "../../core/errors.js";
import type { PostgresAddress, ServerHost } from "../server.js";
import { connect, type Connection, type ConnectOptions } from "./connection.js";
import { asDatabaseError } from "./errors.js";

export interface HostsOptions extends Omit<ConnectOptions, "host"> {
  readonly label: string;
}

/** The oldest that has all that the engine uses. */
const OLDEST = 140_000;
const CHECK_MS = 5_000;

export class Hosts {
  private best: ServerHost | undefined;

  constructor(private readonly options: HostsOptions) {}

  /** Where none takes writes, but one answers, it is that one: who only looks can go on. */
  async connect(): Promise<Connection> {
    const { address } = this.options;
    let readOnly: Connection | undefined;
    let refused: unknown;
    for (const host of inOrder(address, this.best)) {
      let found: Found;
      try {
        found = await this.try(host);
      } catch (error) {
        refused ??= error;
        continue;
      }
      if (found.writable || address.hosts.length === 1) {
        readOnly?.destroy();
        this.best = host;
        return found.connection;
      }
      if (readOnly === undefined) readOnly = found.connection;
      else found.connection.destroy();
    }
    if (readOnly === undefined) throw refused;
    return readOnly;
  }

  private async try(host: ServerHost): Promise<Found> {
    const { label } = this.options;
    let connection: Connection | undefined;
    try {
      connection = await connect({ ...this.options, host });
      return { connection, writable: await isWritable(connection, label) };
    } catch (error) {
      connection?.destroy();
      throw asDatabaseError(error, label, "connecting");
    }
  }
}

interface Found {
  readonly connection: Connection;
  readonly writable: boolean;
}

function inOrder({ hosts }: PostgresAddress, first: ServerHost | undefined): ServerHost[] {
  return first === undefined ? [...hosts] : [first, ...hosts.filter((host) => host !== first)];
}

interface Server {
  readonly version: number;
  readonly name: string;
  readonly read_only: boolean;
}

/** @throws DatabaseError QUDO_DATABASE_TOO_OLD for a server that is. */
export async function isWritable(connection: Connection, label: string): Promise<boolean> {
  const text = `select current_setting('server_version_num')::int as version, current_setting('server_version') as name,
    pg_is_in_recovery() or current_setting('transaction_read_only')::bool as read_only`;
  const { rows } = await connection.send({ text }, CHECK_MS);
  const { version, name, read_only: readOnly } = rows[0] as Server;
  if (version < OLDEST)
    throw new DatabaseError(
      "QUDO_DATABASE_TOO_OLD",
      `${label} runs PostgreSQL ${name}; qudo needs PostgreSQL ${OLDEST / 10_000} or newer. Upgrade the server.`,
      false,
    );
  return !readOnly;
}
