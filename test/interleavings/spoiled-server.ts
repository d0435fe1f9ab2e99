/** The prepared database on a server, made anew for each test that spoils it, and what the audit says before and after. */
import { Client } from "pg";
import { createConnection, type ResultSetHeader } from "mysql2/promise";
import type { Driver } from "../../src/storage/driver.js";
import { openMysql } from "../../src/storage/mysql/index.js";
import { openPostgres } from "../../src/storage/postgres/index.js";
import { mysqlSettings } from "../conformance/support/mysql.js";
import { postgresSettings } from "../conformance/support/postgres.js";
import { mariadb, postgres } from "../servers/index.js";
import { fill, NOW } from "./scenario.js";
import { ARRAYS, BLOBS, statementsOf, type Spoil, type Spoiled, type Words } from "./spoil.js";

type Spoiling = (spoil: (run: Spoil) => void) => Promise<Spoiled>;

export function useSpoiledPostgres(): Spoiling {
  return async (spoil) => {
    await using schema = await (await postgres({ durable: false })).newSchema();
    const open = (clock: () => number): Promise<Driver> =>
      openPostgres(postgresSettings(schema.url, { schema: schema.name, clock, listen: false }));
    return await spoilOne(open, ARRAYS, spoil, async (statements) => {
      const client = new Client({ connectionString: schema.url });
      await client.connect();
      await client.query(`set search_path to ${schema.name}`);
      // Foreign keys are triggers, and are those of the origin.
      await client.query("set session_replication_role = replica");
      const changed: number[] = [];
      for (const sql of statements) changed.push((await client.query(sql)).rowCount ?? 0);
      await client.end();
      return changed;
    });
  };
}

export function useSpoiledMariadb(): Spoiling {
  return async (spoil) => {
    await using database = await (await mariadb({ durable: false })).newDatabase();
    const open = (clock: () => number): Promise<Driver> =>
      openMysql(mysqlSettings(database.url, { clock }));
    return await spoilOne(open, BLOBS, spoil, async (statements) => {
      const connection = await createConnection(database.url);
      await connection.query("set foreign_key_checks = 0");
      const changed: number[] = [];
      for (const sql of statements)
        changed.push((await connection.query<ResultSetHeader>(sql))[0].affectedRows);
      await connection.end();
      return changed;
    });
  };
}

async function spoilOne(
  open: (clock: () => number) => Promise<Driver>,
  words: Words,
  spoil: (run: Spoil) => void,
  change: (statements: readonly string[]) => Promise<number[]>,
): Promise<Spoiled> {
  const clock = { now: NOW };
  const driver = await open(() => clock.now);
  try {
    await fill(driver, clock);
    const before = await driver.audit();
    const statements = statementsOf(spoil, words);
    const changed = await change(statements);
    const idle = statements.find((_, i) => changed[i] !== 1);
    if (idle !== undefined) throw new Error(`not one row was changed by: ${idle}`);
    return { before, after: await driver.audit() };
  } finally {
    await driver.close();
  }
}
