/** Connections to MySQL and MariaDB: the only place that knows the client library. */
import { connect, type Socket } from "node:net";
import type { Connection, ConnectionOptions } from "mysql2";
import { DatabaseError } from "../../core/errors.js";
import type { MysqlSettings } from "../server.js";
import { asDatabaseError, ServerError, serverError } from "./errors.js";
import { flavourOf, type Flavour } from "./flavour.js";

type Client = typeof import("mysql2");

export type Row = Readonly<Record<string, unknown>>;

/** What a statement answered: rows, or how many it changed. */
export interface Answer {
  readonly rows: readonly Row[];
  readonly changed: number;
}

/** One connection, set up. */
export interface Wire {
  readonly flavour: Flavour;
  /** @throws DatabaseError. Statements of one connection go one after the other. `timeoutMs`: null for as long as it takes. */
  send(text: string, timeoutMs: number | null): Promise<Answer>;
  /** Says goodbye. */
  end(): Promise<void>;
  /** At once, whatever is under way. */
  destroy(): void;
}

/** For a statement's answer to come through the network after the server's own time is up, and for locks. */
const GRACE_MS = 3_000;

/**
 * Opens a connection of ours. `onBroken` is called when it breaks by itself.
 * @throws DatabaseError. Never later than the connect time-out, but for the time that a password function takes.
 */
export async function openWire(
  client: Client,
  settings: MysqlSettings,
  onBroken: (wire: Wire) => void,
): Promise<Wire> {
  const { label } = settings;
  const password = await passwordOf(settings);
  const socket: { now?: Socket } = {};
  const connection = client.createConnection({
    ...configOf(settings),
    password,
    // Our own socket: one that is half open can then be given up at once.
    stream: () => (socket.now = openSocket(settings)),
  });
  const wire = new MysqlWire(connection, socket.now!, label);
  let ready = false;
  connection.on("error", () => ready && onBroken(wire));
  try {
    await connected(connection, settings.connectTimeoutMs);
    const { rows } = await wire.send("select version() as version", settings.connectTimeoutMs);
    wire.flavour = flavourOf(String(rows[0]!["version"]), label);
    await wire.send(`set ${sessionOf(wire.flavour, settings)}`, settings.connectTimeoutMs);
    ready = true;
    return wire;
  } catch (error) {
    wire.destroy();
    throw asDatabaseError(error, label);
  }
}

/** @throws DatabaseError QUDO_PACKAGE_MISSING. */
export async function loadClient(): Promise<Client> {
  try {
    const { default: client } = await import("mysql2");
    return client;
  } catch (cause) {
    throw new DatabaseError(
      "QUDO_PACKAGE_MISSING",
      "MySQL and MariaDB need the package mysql2. Run: npm install mysql2@3",
      false,
      { cause },
    );
  }
}

async function passwordOf({ password, label }: MysqlSettings): Promise<string | undefined> {
  try {
    return (typeof password === "function" ? await password() : password) ?? undefined;
  } catch {
    // What it threw may hold what it was to return.
    throw new DatabaseError(
      "QUDO_DATABASE_UNREACHABLE",
      `${label}: the function that gives its password failed. Try it by itself.`,
      true,
    );
  }
}

function configOf(settings: MysqlSettings): ConnectionOptions {
  const { hosts, user, database, socketPath } = settings;
  return {
    ...(socketPath === null && hosts[0]),
    user,
    database,
    charset: "UTF8MB4_BIN",
    supportBigNumbers: true,
    multipleStatements: false,
    // Rows changed, not rows found. And no file of ours is ever read on a server's behalf.
    flags: ["-FOUND_ROWS", "-LOCAL_FILES"],
    connectAttributes: { program_name: "qudo" },
    // Ours is around all of it.
    connectTimeout: 0,
  };
}

function openSocket({ hosts, socketPath }: MysqlSettings): Socket {
  if (socketPath !== null) return connect(socketPath);
  const { host, port } = hosts[0]!;
  return connect({ host, port, noDelay: true, keepAlive: true });
}

/**
 * What our statements stand on, whatever the server's defaults are.
 * - Without autocommit a statement that comes after a deadlock, which ends the transaction, begins another one that will be
 *   rolled back. With it that statement would be committed by itself.
 * - With safe updates a DELETE by key follows the key also in a table so small that reading all of it seems cheaper: there it
 *   would wait for every row that others are moving.
 */
function sessionOf({ name, isolation }: Flavour, { statementTimeoutMs }: MysqlSettings): string {
  const own =
    name === "MySQL"
      ? { max_execution_time: statementTimeoutMs }
      : {
          max_statement_time: statementTimeoutMs / 1000,
          // Long lists of keys are looked up in the index, not made into a table first.
          in_predicate_conversion_threshold: 0,
        };
  const session = {
    autocommit: 0,
    [isolation]: "'READ-COMMITTED'",
    sql_mode: "'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
    time_zone: "'+00:00'",
    foreign_key_checks: 1,
    sql_safe_updates: 1,
    innodb_lock_wait_timeout: 2,
    ...own,
  };
  return Object.entries(session)
    .map(([variable, value]) => `session ${variable} = ${value}`)
    .join(", ");
}

function connected(connection: Connection, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () =>
        reject(new ServerError("ETIMEDOUT", null, `no connection within ${timeoutMs} ms`, true)),
      timeoutMs,
    );
    connection.connect((error) => {
      clearTimeout(timer);
      if (error) reject(serverError(error));
      else resolve();
    });
  });
}

class MysqlWire implements Wire {
  flavour!: Flavour;

  constructor(
    private readonly connection: Connection,
    private readonly socket: Socket,
    private readonly label: string,
  ) {}

  send(text: string, timeoutMs: number | null): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => reject(asDatabaseError(error, this.label));
      const timer =
        timeoutMs === null ? undefined : setTimeout(() => fail(this.late()), timeoutMs + GRACE_MS);
      this.connection.query(text, (error: unknown, answer: unknown) => {
        clearTimeout(timer);
        if (error) fail(error);
        else resolve(answerOf(answer));
      });
    });
  }

  end(): Promise<void> {
    return new Promise((resolve) => {
      this.connection.end(() => resolve());
    });
  }

  destroy(): void {
    this.connection.destroy();
    this.socket.destroy();
  }

  /** The server does not even say that it was too slow: nobody may be there any more. */
  private late(): ServerError {
    this.destroy();
    return new ServerError("ETIMEDOUT", null, "no answer in time", true);
  }
}

function answerOf(answer: unknown): Answer {
  if (Array.isArray(answer)) return { rows: answer as Row[], changed: 0 };
  return { rows: [], changed: (answer as { affectedRows?: number }).affectedRows ?? 0 };
}
