/** A MariaDB of its own: data folder, port and password are made for it and go with it. */
import { randomBytes } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { installedMariadb, program, type Installed } from "./installed.js";
import { keep, type Controls, type Kept, type Plan } from "./kept.js";
import { MissingServer } from "./missing.js";
import { withDatabase, type Fresh } from "./postgres.js";

export interface MariadbOptions {
  /** False: it answers before the disk has what it was given, for speed. Default true: InnoDB flushes at each commit. */
  readonly durable?: boolean;
  /** More of mariadbd's options, by their long names. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

/** MariaDB, or MySQL where its address was given. */
export interface MysqlServer {
  readonly kind: "mariadb" | "mysql";
  /** "10.11.19". */
  readonly version: string;
  readonly major: number;
  /** Of the superuser, with the password, and of no database. */
  readonly url: string;
  /** An empty database: about 5 ms. What PostgreSQL calls a schema is the same here. */
  newDatabase(): Promise<Fresh>;
}

export async function startMariadb(options: MariadbOptions = {}): Promise<MysqlServer & Controls> {
  const installed = await installedMariadb();
  if (!installed) throw new MissingServer("mariadb");
  const kept = await keep("mariadb");
  const password = randomBytes(12).toString("hex");
  await makeData(kept, password);
  const { port, controls } = await kept.serve((port) => planOf(installed, kept, port, options));
  return { ...mysqlAt("mariadb", rootUrl(port, password), installed.version), ...controls };
}

export function rootUrl(port: number, password: string): string {
  return `mysql://root:${password}@127.0.0.1:${port}/`;
}

/** An empty data folder, with root's password. */
export async function makeData(kept: Kept, password: string): Promise<void> {
  const accounts = join(kept.folder, "accounts.sql");
  writeFileSync(accounts, superuser(password));
  chmodSync(accounts, 0o644);
  await kept.run({
    file: program("mariadb-install-db")!,
    args: [
      "--no-defaults",
      "--auth-root-authentication-method=normal",
      "--skip-test-db",
      `--datadir=${kept.folder}/data`,
      `--extra-file=${accounts}`,
      ...flags({ ...STORAGE, ...HASTY }),
    ],
  });
}

/** Whoever comes over TCP comes from 127.0.0.1: names are not looked up. */
function superuser(password: string): string {
  return [
    // Accounts may be made once the tables of accounts, just filled, are read.
    "flush privileges;",
    `create or replace user root@'127.0.0.1' identified by '${password}';`,
    "grant all on *.* to root@'127.0.0.1' with grant option;\n",
  ].join("\n");
}

/** What the data folder is made with. A small log, because much of the start is writing it. */
const STORAGE = { "innodb-log-file-size": "32M", "innodb-use-native-aio": 0 };
const HASTY = {
  "innodb-flush-log-at-trx-commit": 0,
  "innodb-doublewrite": 0,
  "innodb-flush-method": "nosync",
};

const flags = (settings: Readonly<Record<string, string | number>>): string[] =>
  Object.entries(settings).map(([name, value]) => `--${name}=${value}`);

export function planOf(
  { bin }: Installed,
  { folder }: Kept,
  port: number,
  { durable = true, settings }: MariadbOptions,
): Plan {
  const all = {
    datadir: `${folder}/data`,
    socket: `${folder}/socket`,
    "pid-file": `${folder}/pid`,
    port,
    "bind-address": "127.0.0.1",
    "max-connections": 300,
    "innodb-buffer-pool-size": "64M",
    ...STORAGE,
    ...(!durable && HASTY),
    ...settings,
  };
  return {
    command: {
      file: join(bin, "mariadbd"),
      args: ["--no-defaults", "--skip-name-resolve", ...flags(all)],
    },
    ready: ["mariadbd: ready for connections"],
    stopSignal: "SIGTERM",
  };
}

/** A running server, whoever started it. */
export function mysqlAt(kind: "mariadb" | "mysql", url: string, version: string): MysqlServer {
  return {
    kind,
    version,
    major: Number.parseInt(version, 10),
    url,
    newDatabase: async () => {
      const name = `qudo_test_${randomBytes(6).toString("hex")}`;
      await asRoot(url, `create database ${name}`);
      const drop = async () => void (await asRoot(url, `drop database ${name}`));
      return {
        url: withDatabase(url, name),
        name,
        schema: name,
        drop,
        [Symbol.asyncDispose]: drop,
      };
    },
  };
}

/** "10.11.19", as the server says. */
export async function mysqlVersion(url: string): Promise<string> {
  const rows = (await asRoot(url, "select version() as version")) as { version: string }[];
  return rows[0]!.version.split("-")[0]!;
}

async function asRoot(url: string, statement: string): Promise<unknown> {
  const connection = await createConnection(url);
  try {
    return (await connection.query(statement))[0];
  } finally {
    await connection.end();
  }
}
