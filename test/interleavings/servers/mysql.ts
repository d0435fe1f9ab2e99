/** A MariaDB or MySQL database for the interleavings. */
import { createConnection, type RowDataPacket } from "mysql2/promise";
import type { Driver } from "../../../src/storage/driver.js";
import { openMysql } from "../../../src/storage/mysql/index.js";
import { MysqlDatabase } from "../../../src/storage/mysql/database.js";
import { mysqlDialect } from "../../../src/storage/mysql/dialect.js";
import { mysqlSettings } from "../../conformance/support/mysql.js";
import type { MysqlServer } from "../../servers/index.js";
import type { UnderTest } from "./stage.js";

export async function mysqlUnderTest(server: MysqlServer): Promise<UnderTest> {
  const place = await server.newDatabase();
  const clock = { now: 0 };
  const settings = mysqlSettings(place.url, { connections: 3, clock: () => clock.now });
  const dialect = mysqlDialect(settings.prefix, settings.clock);
  const connection = await createConnection({ uri: place.url, multipleStatements: true });
  const connect = () => openMysql(settings);
  const driver = await connect();
  const others: Driver[] = [];
  return {
    driver,
    another: async () => {
      const other = await connect();
      others.push(other);
      return other;
    },
    clock,
    dialect,
    given: "",
    connect: () => MysqlDatabase.open(settings, () => dialect.now),
    rows: async (sql) => (await connection.query<RowDataPacket[]>(sql))[0],
    close: async () => {
      for (const one of [driver, ...others]) await one.close();
      await connection.end();
      await place.drop();
    },
  };
}
