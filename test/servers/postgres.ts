/** A PostgreSQL of its own: data folder, port and password are made for it and go with it. */
import { randomBytes } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { Pool } from "pg";
import { installedPostgres, type Installed } from "./installed.js";
import { keep, type Controls, type Plan } from "./kept.js";
import { MissingServer } from "./missing.js";

export interface PostgresOptions {
  /** A major version, as 15. Default: the newest that is installed. */
  readonly version?: number;
  /** The newest that is newer than this major version. */
  readonly newerThan?: number;
  /** False: it answers before the disk has what it was given (`fsync=off`), for speed. Default true. */
  readonly durable?: boolean;
  /** More lines for postgresql.conf. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

/** An empty place in a server, for one test. */
export interface Fresh extends AsyncDisposable {
  /** Of the superuser, with the password. */
  readonly url: string;
  /** Of the database or the schema. */
  readonly name: string;
  /** Where its tables belong: the schema itself, "public" in a database. The database itself on MySQL. */
  readonly schema: string;
  /** Away with it, whoever is connected. All goes by itself where the server was started for the tests. */
  drop(): Promise<void>;
}

export interface PostgresServer {
  readonly kind: "postgres";
  /** "15.18". */
  readonly version: string;
  readonly major: number;
  /** Of the superuser, with the password, and of the database `postgres`. */
  readonly url: string;
  /** An empty database: about 50 ms and 7 MB. */
  newDatabase(): Promise<Fresh>;
  /** An empty schema in the one database of `url`: about 2 ms. Enough for all that looks no further than its tables. */
  newSchema(): Promise<Fresh>;
}

export async function startPostgres(
  options: PostgresOptions = {},
): Promise<PostgresServer & Controls> {
  const installed = await fitting(options);
  if (!installed) throw new MissingServer("postgres", options);
  const kept = await keep("postgres", "SIGQUIT");
  const password = randomBytes(12).toString("hex");
  writeFileSync(join(kept.folder, "password"), password);
  chmodSync(join(kept.folder, "password"), 0o644);
  const bin = join(kept.programs(dirname(installed.bin)), basename(installed.bin));
  await kept.run({ file: join(bin, "initdb"), args: INITDB });
  const { port, controls } = await kept.serve((port) => plan(bin, port, options));
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  return { ...postgresAt(url, installed.version), ...controls };
}

/** The installed PostgreSQL that an option asks for. */
export async function fitting({
  version,
  newerThan = 0,
}: PostgresOptions): Promise<Installed | undefined> {
  const all = await installedPostgres();
  return all.find(({ major }) => major > newerThan && (version === undefined || major === version));
}

const INITDB = [
  "--pgdata=data",
  "--username=postgres",
  "--pwfile=password",
  "--auth=scram-sha-256",
  "--encoding=UTF8",
  "--locale=C",
  "--no-sync",
  "--no-instructions",
];

function plan(bin: string, port: number, { durable = true, settings }: PostgresOptions): Plan {
  const lines = {
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: 300,
    // In the data folder, so that a killed server leaves nothing in /dev/shm.
    dynamic_shared_memory_type: "mmap",
    ...(!durable && { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
    ...settings,
  };
  const args = Object.entries(lines).map(([name, value]) => `--${name}=${value}`);
  return {
    command: { file: join(bin, "postgres"), args: ["-D", "data", ...args] },
    ready: ["database system is ready to accept connections"],
    stopSignal: "SIGINT",
  };
}

/** A running server, whoever started it. */
export function postgresAt(url: string, version: string): PostgresServer {
  const fresh = async (what: "database" | "schema"): Promise<Fresh> => {
    const name = `qudo_test_${randomBytes(6).toString("hex")}`;
    await asAdmin(url, `create ${what} ${name}`);
    const away =
      what === "database" ? `drop database ${name} with (force)` : `drop schema ${name} cascade`;
    const drop = async () => void (await asAdmin(url, away));
    return {
      url: what === "database" ? withDatabase(url, name) : url,
      name,
      schema: what === "database" ? "public" : name,
      drop,
      [Symbol.asyncDispose]: drop,
    };
  };
  return {
    kind: "postgres",
    version,
    major: Number.parseInt(version, 10),
    url,
    newDatabase: () => fresh("database"),
    newSchema: () => fresh("schema"),
  };
}

/** "15.18", as the server says. */
export async function postgresVersion(url: string): Promise<string> {
  const [row] = await asAdmin(url, "show server_version");
  return String(row!["server_version"]).split(" ")[0]!;
}

const pools = new Map<string, Pool>();

/** On a connection that is kept for the next time and holds nobody: a new one costs more than most of what is asked. */
async function asAdmin(url: string, statement: string): Promise<Record<string, unknown>[]> {
  let pool = pools.get(url);
  if (!pool) {
    pool = new Pool({ connectionString: url, max: 2, allowExitOnIdle: true });
    // Its server was killed while nothing was asked of it: the next question opens another.
    pool.on("error", () => {});
    pools.set(url, pool);
  }
  return (await pool.query(statement)).rows as Record<string, unknown>[];
}

/** The same address, with another database. */
export function withDatabase(url: string, name: string): string {
  const address = new URL(url);
  address.pathname = `/${name}`;
  return address.href;
}
