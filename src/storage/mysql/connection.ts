/**
 * One connection to one MySQL or MariaDB: the only place that knows the client library. Statements go one after the other; the
 * library sends none before the one before it is answered.
 */
import { connect as openSocket, isIP, type Socket } from "node:net";
import type { Connection as Client, ConnectionOptions, PoolConnection } from "mysql2";
import { DatabaseError } from "../../core/errors.js";
import type { MysqlSettings, TlsSettings } from "../server.js";
import { ConnectionLost, Silence } from "../sql/errors.js";
import type { Pooled } from "../sql/pool.js";

export type { PoolConnection } from "mysql2";

type Library = typeof import("mysql2");
type Row = Readonly<Record<string, unknown>>;

/** What a statement answered: rows, or how many it changed. */
export interface Answer {
  readonly rows: readonly Row[];
  readonly changed: number;
}

/** What is said of a statement's time by whoever sends it: null, that it may take as long as it needs. */
export type PatienceMs = number | null;

/** What is done with a client is up to whoever made it. */
export interface Control {
  end(): Promise<void>;
  destroy(): void;
  hold(on: boolean): void;
}

/** A client, whoever made it: statements go in, and what is wrong with it is known. */
export class Connection implements Pooled {
  private failure: Error | null = null;
  /** Ends of statements that are not answered yet: the library calls nobody back once its connection is destroyed. */
  private readonly underway = new Set<(error: Error) => void>();
  private readonly onError = (error: Error): void => void (this.failure ??= error);
  private readonly onEnd = (): void => this.onError(new ConnectionLost("the connection has ended"));

  constructor(
    readonly client: Client,
    private readonly control: Control,
  ) {
    // Without a listener an error on a connection that nobody is waiting for would end the process.
    client.on("error", this.onError);
    client.on("end", this.onEnd);
  }

  get usable(): boolean {
    return this.failure === null;
  }

  /**
   * Goes out when those before it are answered.
   * @throws what the server, the socket or the library says; ConnectionLost when it takes longer than it may.
   */
  send(text: string, patienceMs: PatienceMs): Promise<Answer> {
    if (this.failure !== null) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const late = (): void => this.fail(new Silence(patienceMs));
      const timer = patienceMs === null ? undefined : setTimeout(late, patienceMs);
      const fail = (error: Error): void => {
        this.underway.delete(fail);
        clearTimeout(timer);
        reject(this.failure instanceof ConnectionLost ? this.failure : error);
      };
      this.underway.add(fail);
      this.client.query({ sql: text, values: [], ...AS_WE_READ }, (error, answer: unknown) => {
        if (error) return fail(error);
        this.underway.delete(fail);
        clearTimeout(timer);
        resolve(answerOf(answer));
      });
    });
  }

  /** It is in no state to be used again: what it was still asked ends with this error. */
  fail(error: Error): void {
    this.failure ??= error;
    this.control.destroy();
    for (const fail of this.underway) fail(error);
  }

  hold(on: boolean): void {
    this.control.hold(on);
  }

  destroy(): void {
    this.fail(new ConnectionLost("the connection was closed"));
  }

  end(): Promise<void> {
    this.failure ??= new ConnectionLost("the connection was closed");
    return this.control.end();
  }

  /** The client goes back to whoever made it. */
  letGo(): void {
    this.client.off("error", this.onError);
    this.client.off("end", this.onEnd);
  }
}

/** However the user's pool reads rows, ours are read like this. */
const AS_WE_READ = {
  rowsAsArray: false,
  nestTables: false,
  namedPlaceholders: false,
  typeCast: true,
  supportBigNumbers: true,
  bigNumberStrings: false,
} as const;

function answerOf(answer: unknown): Answer {
  if (Array.isArray(answer)) return { rows: answer as Row[], changed: 0 };
  return { rows: [], changed: (answer as { affectedRows?: number }).affectedRows ?? 0 };
}

/** A client of a pool of the user's. */
export function connectionOf(client: PoolConnection): Connection {
  return new Connection(client as unknown as Client, {
    end: async () => undefined,
    destroy: () => {
      client.destroy();
      // It would wait for the other side to say goodbye.
      (client as { stream?: { destroy?(): void } }).stream?.destroy?.();
    },
    hold: () => undefined,
  });
}

/** @throws what the socket, the server or the library says; ConnectionLost when it takes longer than it may. */
export async function connect(settings: MysqlSettings): Promise<Connection> {
  const { createConnection } = await load();
  const { connectTimeoutMs } = settings;
  // Asked by ourselves and each time anew: a password may be good for minutes only.
  const password = await passwordOf(settings);
  const socket = socketTo(settings);
  const client = createConnection({ ...configOf(settings), password, stream: () => socket });
  const connection = new Connection(client, {
    end: () => goodbye(client, socket),
    destroy: () => {
      client.destroy();
      socket.destroy();
    },
    hold: (on) => (on ? socket.ref() : socket.unref()),
  });
  const late = new Silence(connectTimeoutMs);
  const timer = setTimeout(() => connection.fail(late), connectTimeoutMs);
  try {
    await greeting(client, socket, late);
    return connection;
  } catch (error) {
    connection.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function greeting(client: Client, socket: Socket, late: Error): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("close", () => reject(late));
    client.connect((error) => (error ? reject(error) : resolve()));
  });
}

/** How long a server may take to say goodbye. */
const GOODBYE_MS = 1_000;

function goodbye(client: Client, socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), GOODBYE_MS);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
    if (socket.destroyed) resolve();
    client.end();
  });
}

async function passwordOf({ password }: MysqlSettings): Promise<string | undefined> {
  return (typeof password === "function" ? await password() : password) ?? undefined;
}

function configOf(settings: MysqlSettings): ConnectionOptions {
  const { user, database, ssl } = settings;
  return {
    user,
    database,
    charset: "UTF8MB4_BIN",
    multipleStatements: false,
    // Rows changed, not rows found. And no file of ours is ever read because a server asks for it.
    flags: ["-FOUND_ROWS", "-LOCAL_FILES"],
    // Our texts hold their values; a look for placeholders in them would cost as much as all the rest.
    queryFormat: (text) => text,
    // Ours is around the whole greeting.
    connectTimeout: 0,
    ...(ssl !== null && tlsConfig(settings, ssl)),
  };
}

/** A password in clear text, as cloud providers want their tokens, is given to a server that has proved who it is. */
function tlsConfig(settings: MysqlSettings, tls: TlsSettings): ConnectionOptions {
  const { ca, cert, key, verify, servername } = tls;
  return {
    // The name that is sent and checked. The socket is ours, and goes where it should.
    host: servername ?? settings.hosts[0]?.host,
    ssl: {
      ca: ca as string,
      cert: cert as string,
      key: key as string,
      rejectUnauthorized: verify !== "nothing",
      verifyIdentity: verify === "host",
    },
    enableCleartextPlugin: verify !== "nothing",
  };
}

/** A peer that is gone without a word is noticed in the end. */
const KEEP_ALIVE_AFTER_MS = 10_000;

/** Our own: one that is half open can be given up at once. */
function socketTo({ hosts, socketPath }: MysqlSettings): Socket {
  if (socketPath !== null) return openSocket(socketPath);
  const { host, port } = hosts[0]!;
  const keepAliveInitialDelay = KEEP_ALIVE_AFTER_MS;
  const socket = openSocket({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay });
  // Node takes the name to be checked from here where the library gives none, as it does for addresses; else it would
  // take "localhost".
  return isIP(host) ? Object.assign(socket, { _host: host }) : socket;
}

/** The library's way to write a text into a statement. Good for sessions without NO_BACKSLASH_ESCAPES, as ours are. */
export async function loadEscape(): Promise<(text: string) => string> {
  const { escape } = await load();
  return (text) => escape(text);
}

const PACKAGE = "mysql2";

async function load(): Promise<Library> {
  try {
    const library = (await import(PACKAGE)) as { default: Library };
    return library.default;
  } catch (cause) {
    throw new DatabaseError(
      "QUDO_PACKAGE_MISSING",
      `MySQL and MariaDB need a package that is not installed. Run: npm install ${PACKAGE}@3`,
      false,
      { cause },
    );
  }
}
