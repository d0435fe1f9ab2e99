/** A database that all nodes of a cluster have, and a look at each of them that waits for what the others have committed. */
import { randomBytes } from "node:crypto";
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise";
import type { Violation } from "../../../src/storage/driver.js";
import { openMysql } from "../../../src/storage/mysql/index.js";
import { mysqlSettings } from "../../conformance/support/mysql.js";
import type { Galera } from "../../servers/index.js";

/** ER_LOCK_DEADLOCK: also whoever came second on a cluster. */
export const DEADLOCK = 1213;

export const numberOf = (error: unknown): unknown => (error as { errno?: unknown }).errno;

export interface Shared extends AsyncDisposable {
  /** Of the database, on each node. */
  readonly urls: readonly string[];
  /** A superuser's connection to each node; another one after its node was started again. */
  at(node: number): Promise<Connection>;
  /** Resolves when each node has whatever was committed on any. */
  replicated(): Promise<void>;
  /** What the audit says on each node. */
  audits(): Promise<Violation[][]>;
  /** A counter of the server's, summed over the nodes. */
  status(name: string): Promise<number>;
}

export async function newShared({ nodes }: Galera): Promise<Shared> {
  const name = `qudo_test_${randomBytes(6).toString("hex")}`;
  const urls = nodes.map(({ url }) => {
    const place = new URL(url);
    place.pathname = `/${name}`;
    return place.href;
  });
  const open = new Map<number, Connection>();
  const at = async (node: number, uri = urls[node]!): Promise<Connection> => {
    const known = open.get(node);
    if (known) return known;
    const connection = await createConnection(uri);
    connection.on("error", () => open.delete(node));
    connection.on("end", () => open.delete(node));
    await connection.query("set session wsrep_sync_wait = 1");
    open.set(node, connection);
    return connection;
  };
  const all = <T>(body: (node: number) => Promise<T>): Promise<T[]> =>
    Promise.all(nodes.map((_, node) => body(node)));
  const replicated = async (): Promise<void> =>
    void (await all(async (node) => (await at(node)).query("select 1")));
  await (await at(0, nodes[0]!.url)).query(`create database ${name}`);
  await (await at(0)).query(`use ${name}`);
  for (const node of [1, 2]) await (await at(node, nodes[node]!.url)).query("select 1");
  return {
    urls,
    at,
    replicated,
    audits: async () => {
      await replicated();
      return all(async (node) => {
        const driver = await openMysql(mysqlSettings(urls[node]!));
        return driver.audit().finally(() => driver.close());
      });
    },
    status: async (variable) => {
      const found = await all(async (node) => {
        const [rows] = await (
          await at(node)
        ).query<RowDataPacket[]>("show global status like ?", [variable]);
        return Number(rows[0]!["Value"]);
      });
      return found.reduce((sum, n) => sum + n, 0);
    },
    [Symbol.asyncDispose]: async () => {
      for (const connection of open.values()) connection.destroy();
    },
  };
}
