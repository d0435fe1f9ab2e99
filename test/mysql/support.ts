/** A database of ours on a real server, below the operations: its transactions, and the connections behind them. */
import { createConnection, type Connection } from "mysql2/promise";
import { MysqlDatabase } from "../../src/storage/mysql/database.js";
import { mysqlDialect } from "../../src/storage/mysql/dialect.js";
import { openMysql } from "../../src/storage/mysql/index.js";
import type { Driver } from "../../src/storage/driver.js";
import type { MysqlSettings } from "../../src/storage/server.js";
import type { Tx } from "../../src/storage/sql/database.js";
import type { Dialect } from "../../src/storage/sql/dialect.js";
import { raw } from "../../src/storage/sql/query.js";
import { mysqlSettings } from "../conformance/support/mysql.js";
import { has, mariadb, mysql, type MysqlServer } from "../servers/index.js";

/** One of the two kinds of server that the engine is for. */
export interface Kind {
  readonly name: "MariaDB" | "MySQL";
  /** Whether it is here. Where it is not, the end of the run says so. */
  readonly here: boolean;
  server(): Promise<MysqlServer>;
}

const KINDS: readonly Kind[] = [
  { name: "MariaDB", here: await has("mariadb"), server: () => mariadb({ durable: false }) },
  { name: "MySQL", here: await has("mysql"), server: () => mysql() },
];

/** The kinds that are here. */
export const KINDS_HERE = KINDS.filter(({ here }) => here);

/** An empty database with our tables in it, one of its own for each test. */
export interface Place extends AsyncDisposable {
  readonly url: string;
  readonly driver: Driver;
  readonly db: MysqlDatabase;
  readonly dialect: Dialect;
  /** A superuser's connection beside it. */
  readonly admin: Connection;
}

export async function openPlace(
  server: MysqlServer,
  settings: Partial<MysqlSettings> = {},
): Promise<Place> {
  const place = await server.newDatabase();
  const all = mysqlSettings(place.url, settings);
  const driver = await openMysql(all);
  await driver.migrate();
  const dialect = mysqlDialect(all.prefix, all.clock);
  const db = await MysqlDatabase.open(all, () => dialect.now);
  const admin = await administrator(place.url);
  return {
    url: place.url,
    driver,
    db,
    dialect,
    admin,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([driver.close(), db.close(), admin.end()]);
      await place.drop();
    },
  };
}

/** A database alone, without tables. */
export async function openDatabase(
  url: string,
  settings: Partial<MysqlSettings> = {},
): Promise<MysqlDatabase & AsyncDisposable> {
  const all = mysqlSettings(url, settings);
  const dialect = mysqlDialect(all.prefix, all.clock);
  const db = await MysqlDatabase.open(all, () => dialect.now);
  return Object.assign(db, { [Symbol.asyncDispose]: () => db.close() });
}

/** A superuser's connection. */
export async function administrator(url: string): Promise<Connection & AsyncDisposable> {
  const connection = await createConnection(url);
  connection.on("error", () => undefined);
  return Object.assign(connection, { [Symbol.asyncDispose]: () => connection.end() });
}

/** The number that a statement of one row and one column answers with. */
export async function number(tx: Tx, text: string): Promise<number> {
  const [row] = await tx.all(raw(`select (${text}) as n`), { n: "int" });
  return row!.n;
}

/** What a promise is rejected with. */
export async function errorOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was not refused");
}

/** Waits until this is so, by asking again and again: for what another process does. */
export async function until(what: string, so: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await so())) {
    if (performance.now() > end) throw new Error(`${what}: not within 20 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Something to wait for, and what ends the waiting. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}
