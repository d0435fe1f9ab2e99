/**
 * What the server engines are opened with: addresses and options as they were checked, with every default filled in. Engines
 * check nothing of it again. It holds passwords: nothing of it may be printed but `label`.
 */

/** What proves who we are: a word, or a function that is asked at each new connection; null for none. */
export type Password = string | (() => string | Promise<string>) | null;

/** One place where the server may be. In PostgreSQL a host that begins with "/" is the folder of its socket. */
export interface ServerHost {
  readonly host: string;
  readonly port: number;
}

/** How a connection is encrypted. */
export interface TlsSettings {
  /**
   * What of the server's certificate is checked: nothing; that an authority known here signed it; or, beyond that, that it
   * was made for this host.
   */
  readonly verify: "nothing" | "authority" | "host";
  /** Authorities, PEM. Left out: those that Node knows. */
  readonly ca?: PemText;
  /** Our own certificate and its key, PEM. */
  readonly cert?: PemText;
  readonly key?: PemText;
  /** The name that the certificate is checked for, and that is sent (SNI), instead of the host's. */
  readonly servername?: string;
}

export type PemText = string | Buffer | readonly (string | Buffer)[];

/** Where to connect, and as whom. */
export interface ServerAddress {
  /** In the order in which they are tried; never empty, unless a socket or a pool of the user's takes their place. */
  readonly hosts: readonly ServerHost[];
  readonly user: string;
  readonly password: Password;
  readonly database: string;
  /** Null: not encrypted. */
  readonly ssl: TlsSettings | null;
}

/** What both kinds of server are opened with. */
export interface ServerSettings extends ServerAddress {
  /** A pool of the user's, which is used and not closed: address, `connections` and `connectTimeoutMs` are not ours then. Undefined: none. */
  readonly pool: unknown;
  /** Begins the name of each table. */
  readonly prefix: string;
  /** At most so many connections at once. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  /** For people: "postgres://user@host:5432/db". Never holds a password. */
  readonly label: string;
  /** Milliseconds UTC instead of the server's clock. Only tests give it. */
  readonly clock?: () => number;
}

/** What `openPostgres` takes. */
export interface PostgresSettings extends ServerSettings {
  readonly applicationName: string;
  /** Holds the tables. */
  readonly schema: string;
  /** Whether LISTEN wakes idle workers; an address: on a connection to there (past a pooler). */
  readonly listen: boolean | PostgresAddress;
  /** Whether statements may be prepared by name: not behind a pooler that gives each transaction another connection. */
  readonly prepare: boolean;
}

export interface PostgresAddress extends ServerAddress {
  readonly applicationName: string;
}

/** What `openMysql` takes, for MySQL and MariaDB. One host at most. */
export interface MysqlSettings extends ServerSettings {
  /** Path of the server's socket, instead of a host; null: over the network. */
  readonly socketPath: string | null;
}
