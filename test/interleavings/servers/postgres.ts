/** A PostgreSQL database for the interleavings. */
import { Client } from "pg";
import type { Driver } from "../../../src/storage/driver.js";
import { openPostgres } from "../../../src/storage/postgres/index.js";
import { PostgresDatabase } from "../../../src/storage/postgres/database.js";
import { postgresDialect } from "../../../src/storage/postgres/dialect.js";
import { postgresSettings } from "../../conformance/support/postgres.js";
import { postgres } from "../../servers/index.js";
import type { UnderTest } from "./stage.js";

export async function postgresUnderTest(): Promise<UnderTest> {
  const server = await postgres({ durable: false });
  const place = await server.newDatabase();
  const clock = { now: 0 };
  const settings = postgresSettings(place.url, { connections: 3, clock: () => clock.now });
  const dialect = postgresDialect(settings, settings.clock);
  const client = new Client({ connectionString: place.url });
  await client.connect();
  const connect = () => openPostgres(settings);
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
    given: "overriding system value",
    connect: () =>
      PostgresDatabase.open(settings, { now: () => dialect.now, announcement: () => null }),
    rows: async (sql) => {
      const result = await client.query<Record<string, unknown>>(sql);
      return Array.isArray(result) ? [] : result.rows;
    },
    close: async () => {
      for (const one of [driver, ...others]) await one.close();
      await client.end();
      await place[Symbol.asyncDispose]();
    },
  };
}
