/** MariaDB and MySQL under the laws: a database of its own for each law, and a count of the commits that pass through. */
import { Connection } from "mysql2";
import { manualClock, type Fixture } from "../../../src/testing/index.js";
import { openMysql } from "../../../src/storage/mysql/index.js";
import type { MysqlSettings } from "../../../src/storage/server.js";
import type { MysqlServer } from "../../servers/index.js";

/** In 2027. */
const START = 1_800_000_000_000;

/** Settings of a connection to there ("mysql://user:password@host:port/database"), with the defaults that users have. */
export function mysqlSettings(
  address: string,
  settings: Partial<MysqlSettings> = {},
): MysqlSettings {
  const url = new URL(address);
  return {
    hosts: [{ host: url.hostname, port: Number(url.port) }],
    socketPath: null,
    user: decodeURIComponent(url.username),
    password: url.password === "" ? null : decodeURIComponent(url.password),
    database: url.pathname.slice(1),
    ssl: null,
    pool: undefined,
    prefix: "qudo_",
    connections: 10,
    connectTimeoutMs: 1_000,
    statementTimeoutMs: 2_000,
    label: `mysql://${url.username}@${url.host}${url.pathname}`,
    ...settings,
  };
}

/**
 * A fresh database costs 8 ms with its tables, and 2 to be dropped; fresh tables in a kept one cost the same, emptying kept tables
 * with TRUNCATE 10. Only DELETE would be cheaper, and it leaves counters and whatever a law did to the tables behind.
 */
export function mysql(
  name: string,
  server: () => Promise<MysqlServer>,
  settings: Partial<MysqlSettings> = {},
): Fixture {
  return {
    name,
    capabilities: ["clock", "commits", "identity"],
    async open() {
      const place = await (await server()).newDatabase();
      const clock = manualClock(START);
      const connect = () => openMysql(mysqlSettings(place.url, { clock, ...settings }));
      const driver = await connect();
      return {
        driver,
        connect,
        clock: { now: clock, advance: clock.advance },
        commits: () => commits,
        close: async () => {
          await driver.close();
          await place.drop();
        },
      };
    },
  };
}

let commits = 0;
let statements = 0;

/** All that was sent so far, over all connections. */
export const statementsSent = (): number => statements;

const { query } = Connection.prototype as Connection;
Connection.prototype.query = function (this: Connection, ...args: unknown[]) {
  statements++;
  if (args[0] === "commit") commits++;
  return Reflect.apply(query, this, args);
} as typeof query;
