/**
 * One connection to one PostgreSQL: the only place that knows the client library. Statements that are not waited for go out
 * together (pg's pipeline mode), each with an answer of its own.
 */
import { checkServerIdentity, type ConnectionOptions } from "node:tls";
import { Socket } from "node:net";
import type { ClientBase, QueryConfig, QueryResult } from "pg";
import { DatabaseError } from "../../core/errors.js";
import type { PostgresAddress, ServerHost, TlsSettings } from "../server.js";
import { ConnectionLost, Silence } from "../sql/errors.js";
import type { Pooled } from "../sql/pool.js";

export type { ClientBase, QueryResult } from "pg";

/** A statement as pg takes it. With a name it is prepared once in each connection. */
export interface Statement {
  readonly text: string;
  readonly values?: readonly unknown[];
  readonly name?: string;
}

/** What is said of a statement's time by whoever sends it: null, that it may take as long as it needs. */
export type PatienceMs = number | null;

/** What {@link connect} needs to know. */
export interface ConnectOptions {
  readonly address: PostgresAddress;
  readonly host: ServerHost;
  readonly connectTimeoutMs: number;
  /** Settings of the session, sent with the first word. Poolers refuse them. */
  readonly session?: SessionSettings;
}

/** By the names that the server has for them. */
export type SessionSettings = Readonly<Record<string, string>>;

/** What is done with a client is up to whoever made it. */
export interface Control {
  end(): Promise<void>;
  destroy(): void;
  hold(on: boolean): void;
}

/** A client, whoever made it: statements go in, and what is wrong with it is known. */
export class Connection implements Pooled {
  private failure: Error | null = null;
  private last: Promise<unknown> = Promise.resolve();
  private readonly onError = (error: Error): void => void (this.failure ??= error);
  private readonly onEnd = (): void => this.onError(new ConnectionLost("the connection has ended"));

  constructor(
    readonly client: ClientBase,
    /** Statements may be sent before the one before them is answered. */
    readonly pipelined: boolean,
    private readonly control: Control,
  ) {
    // Without a listener an error on a connection that nobody is waiting for would end the process.
    client.on("error", this.onError);
    client.on("end", this.onEnd);
  }

  get usable(): boolean {
    return this.failure === null;
  }

  /** @throws what the server, the socket or the library says. */
  send(statement: Statement, patienceMs: PatienceMs): Promise<QueryResult> {
    if (this.pipelined) return this.sendNow(statement, patienceMs);
    const sent = this.last.then(() => this.sendNow(statement, patienceMs));
    this.last = sent.catch(() => undefined);
    return sent;
  }

  private async sendNow(statement: Statement, patienceMs: PatienceMs): Promise<QueryResult> {
    if (this.failure !== null) throw this.failure;
    const late = (): void => this.fail(new Silence(patienceMs));
    const timer = patienceMs === null ? undefined : setTimeout(late, patienceMs);
    try {
      return await (this.client.query(statement as QueryConfig) as Promise<QueryResult>);
    } catch (error) {
      throw this.reasonFor(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Where we gave it up ourselves, that is what happened, and not what the library made of it. */
  private reasonFor(error: unknown): unknown {
    return this.failure instanceof ConnectionLost ? this.failure : error;
  }

  /** It is in no state to be used again: what it was still asked ends with this error. */
  fail(error: Error): void {
    this.failure ??= error;
    this.control.destroy();
  }

  hold(on: boolean): void {
    this.control.hold(on);
  }

  destroy(): void {
    this.fail(new ConnectionLost("the connection was closed"));
  }

  async end(): Promise<void> {
    this.failure ??= new ConnectionLost("the connection was closed");
    const timer = setTimeout(() => this.control.destroy(), END_MS);
    try {
      await this.control.end();
    } finally {
      clearTimeout(timer);
    }
  }

  onNotification(heard: (channel: string, word: string) => void): void {
    this.client.on("notification", ({ channel, payload = "" }) => heard(channel, payload));
  }

  /** Called when it breaks, or ends. */
  onLost(lost: () => void): void {
    this.client.on("error", lost);
    this.client.on("end", lost);
  }

  /** The client goes back to whoever made it. */
  letGo(): void {
    this.client.off("error", this.onError);
    this.client.off("end", this.onEnd);
  }
}

/** @throws what the socket, the server or the library says; ConnectionLost when it takes longer than it may. */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { address, host, connectTimeoutMs } = options;
  const { Client: PgClient } = await load();
  // Asked by ourselves and each time anew: a password may be good for minutes only.
  const password = await passwordOf(address);
  const socket = new Socket();
  const client = new PgClient({
    host: host.host,
    port: host.port,
    user: address.user,
    database: address.database,
    ...(password !== null && { password }),
    ssl: address.ssl === null ? false : tlsOptions(address.ssl),
    application_name: address.applicationName,
    stream: () => socket,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
    pipeline: true,
    options: Object.entries(options.session ?? {})
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(" "),
  });
  const connection = new Connection(client, true, {
    end: () => client.end(),
    destroy: () => socket.destroy(),
    hold: (on) => (on ? socket.ref() : socket.unref()),
  });
  const late = new Silence(connectTimeoutMs);
  const timer = setTimeout(() => connection.fail(late), connectTimeoutMs);
  try {
    await client.connect();
    return connection;
  } catch (error) {
    const cause = connection.usable ? error : late;
    connection.destroy();
    throw cause;
  } finally {
    clearTimeout(timer);
  }
}

/** So long a server may take to say goodbye. */
const END_MS = 1_000;
/** A peer that is gone without a word is noticed in the end, also by those who only listen. */
const KEEP_ALIVE_AFTER_MS = 10_000;

async function passwordOf({ password }: PostgresAddress): Promise<string | null> {
  return typeof password === "function" ? password() : password;
}

function tlsOptions({ verify, ca, cert, key, servername }: TlsSettings): ConnectionOptions {
  const name = servername;
  return {
    ca: ca as ConnectionOptions["ca"],
    cert: cert as ConnectionOptions["cert"],
    key: key as ConnectionOptions["key"],
    servername,
    rejectUnauthorized: verify !== "nothing",
    ...(verify === "authority" && { checkServerIdentity: () => undefined }),
    // The library sends the host's own name in any case; what the certificate is checked for is up to us.
    ...(verify === "host" &&
      name !== undefined && {
        checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
      }),
  };
}

const PACKAGE = "pg";

async function load(): Promise<typeof import("pg")> {
  try {
    const library = (await import(PACKAGE)) as { default: typeof import("pg") };
    return library.default;
  } catch (cause) {
    throw new DatabaseError(
      "QUDO_PACKAGE_MISSING",
      `PostgreSQL needs a package that is not installed. Run: npm install ${PACKAGE}@8`,
      false,
      { cause },
    );
  }
}
