/** One database on a cluster for the interleavings: each of the two actors works on a node of its own. */
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise";
import { MysqlDatabase } from "../../../src/storage/mysql/database.js";
import { mysqlDialect } from "../../../src/storage/mysql/dialect.js";
import { openMysql } from "../../../src/storage/mysql/index.js";
import { mysqlSettings } from "../../conformance/support/mysql.js";
import type { UnderTest } from "../../interleavings/servers/stage.js";
import { DEADLOCK, numberOf, type Shared } from "./shared.js";

export async function galeraUnderTest(shared: Shared): Promise<UnderTest> {
  const clock = { now: 0 };
  const at = (node: number) =>
    mysqlSettings(shared.urls[node]!, { connections: 3, clock: () => clock.now });
  const settings = at(0);
  const dialect = mysqlDialect(settings.prefix, settings.clock, undefined, true);
  const admin = await createConnection({ uri: shared.urls[0]!, multipleStatements: true });
  const driver = await openMysql(settings);
  return {
    driver,
    clock,
    dialect,
    given: "",
    another: () => openMysql(settings),
    connect: (actor) => MysqlDatabase.open(at(actor), () => dialect.now),
    replicated: () => shared.replicated(),
    rows: (sql) => again(admin, sql),
    close: async () => {
      await driver.close();
      await admin.end();
    },
  };
}

/** What a node applies for another one goes before what is open on it. */
async function again(connection: Connection, sql: string): Promise<unknown[]> {
  for (;;)
    try {
      return (await connection.query<RowDataPacket[]>(sql))[0];
    } catch (error) {
      if (numberOf(error) !== DEADLOCK) throw error;
      await connection.query("rollback");
    }
}
