/** What a user may say about a database. `check.ts` holds what is given against it. */
import type { Duration } from "../core/duration.js";
import type { HandleLike } from "./handle.js";
import type { DatabaseMode } from "./records.js";

/** One database, or a list of several that are used as one. */
export type Databases = Database | readonly ListedDatabase[];

/** One of several databases: all that can be said of one, and what it is among the others. */
export type ListedDatabase = DatabaseOptions & Listing;

/** What is said of a database only where it stands in a list. */
export interface Listing {
  /**
   * Stable: it is written into the database at first use, and compared from then on. Small letters, digits, "_" and "-", at most
   * 41, and a letter or "_" first.
   */
  name: string;
  /** Its share of new jobs, in proportion to the others'. Above 0. Default 1. */
  weight?: number;
  /**
   * "drain": it gets no new jobs, and those in it are worked off. "off": nothing of it is claimed either. The stricter
   * one of this and of what the database itself says (`qudo database drain`) counts. Default "active".
   */
  mode?: DatabaseMode;
}

/**
 * Where new jobs go. "spread": each to any of the healthy ones, by weight. "hash": those with a unique key always to the same one, so
 * that the key is unique over all of them while the list stays as it is; they are not failed over. The others are spread.
 */
export type Placement = "spread" | "hash";

/** A database by its address, or with more to say about it. */
export type Database = string | DatabaseOptions;

/** One kind of database with what can be said of it; an option of another kind is refused. */
export type DatabaseOptions =
  | (SqliteDatabase & Without<PostgresDatabase & MysqlDatabase, SqliteDatabase>)
  | (PostgresDatabase & Without<SqliteDatabase & MysqlDatabase, PostgresDatabase>)
  | (MysqlDatabase & Without<SqliteDatabase & PostgresDatabase, MysqlDatabase>);

/** Says no to every option of the others that is none of its own. */
type Without<Others, Own> = { readonly [Name in Exclude<keyof Others, keyof Own>]?: never };

/** A SQLite file, or a handle on one. */
export interface SqliteDatabase {
  /** "sqlite:jobs.db", "sqlite:/var/lib/app/jobs.db", "sqlite:C:\\data\\jobs.db", "sqlite::memory:". */
  url?: string;
  /** Your own open SQLite handle (node:sqlite, better-sqlite3, …) instead of an address. It is not closed by qudo. */
  handle?: HandleLike;
  /**
   * False for those who only look. A file that is missing stays missing (QUDO_DATABASE_UNREACHABLE), and one without
   * qudo's tables stays as it is. Default true.
   */
  create?: boolean;
  /** FULL (default) survives a power cut; NORMAL is faster and may lose the last commits in one. */
  synchronous?: "FULL" | "NORMAL";
  /**
   * "allow" for a file on a network file system that one host alone ever opens: its locks hold on one host at best.
   * Default "refuse" (QUDO_NETWORK_FILE_SYSTEM); of file systems that may be anything (FUSE, 9p) a warning tells.
   */
  networkFileSystem?: "refuse" | "allow";
  /** Milliseconds UTC, for tests: `manualClock()` of qudo/testing, or a function. Default Date.now. */
  clock?: () => number;
  /**
   * Files: true for a thread of its own that does the database's work, so that the main loop stays free and a main
   * loop that is blocked loses no jobs. A database in memory, a handle of yours and a clock that is a plain
   * function are always served where they are. Default true.
   */
  thread?: boolean;
}

/** What PostgreSQL and MySQL have in common. What stands here outranks what the address says. */
export interface ServerDatabase {
  /** Address of the server. Left out with a `pool`. */
  url?: string;
  /** Your own pool instead of an address: of `pg`, or of `mysql2`. It is not closed by qudo. */
  pool?: object;
  /** Proves who we are; a function, which may be async, is asked at each new connection (tokens of a cloud's IAM). */
  password?: string | (() => string | Promise<string>);
  /** True: encrypted, and the server's certificate checked against the authorities that Node knows. Default false. */
  ssl?: boolean | TlsOptions;
  /** How the names of our tables begin: small letters, digits and "_", at most 41. Default "qudo_". */
  prefix?: string;
  /** At most so many connections at once. Default 10. */
  connections?: number;
  /** How long a connection may take to open. Default "1s". */
  connectTimeout?: Duration;
  /** How long one statement may take. Default "2s". */
  statementTimeout?: Duration;
}

/** PostgreSQL: "postgres://user:password@host:5432/database", or several hosts of which one takes writes. */
export interface PostgresDatabase extends ServerDatabase {
  /** Holds our tables: small letters, digits and "_", at most 41. Default "public". */
  schema?: string;
  /**
   * Whether idle workers are woken by LISTEN; the address of the server itself when `url` leads to a pooler that cannot.
   * False: they poll. Default true.
   */
  listen?: boolean | string;
  /** False where a pooler gives each transaction another connection, and knows no prepared statements. Default true. */
  prepare?: boolean;
}

/** MySQL or MariaDB: "mysql://user:password@host:3306/database", "mariadb://…". */
export interface MysqlDatabase extends ServerDatabase {}

/** How a connection to a server is encrypted. */
export interface TlsOptions {
  /** Authorities that may have signed the server's certificate, as PEM. Default: those that Node knows. */
  ca?: string | Buffer | readonly (string | Buffer)[];
  /** Our own certificate, as PEM, for servers that ask for one; goes with `key`. */
  cert?: string | Buffer;
  /** The private key of `cert`, as PEM. */
  key?: string | Buffer;
  /** The name in the server's certificate where that is not the host's. */
  servername?: string;
  /** False: encrypted, but anybody may be at the other end. Default true. */
  rejectUnauthorized?: boolean;
}
