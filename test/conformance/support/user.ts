/** A queue on a server, and connections of a user's beside it. */
import { Client } from "pg";
import { createConnection, type ConnectionOptions } from "mysql2/promise";
import { describe } from "vitest";
import type { Driver, UserTransaction } from "../../../src/storage/driver.js";
import { openMysql } from "../../../src/storage/mysql/index.js";
import { mysqlSpeech } from "../../../src/storage/mysql/transaction.js";
import { openPostgres } from "../../../src/storage/postgres/index.js";
import { postgresSpeech } from "../../../src/storage/postgres/transaction.js";
import type { ServerDriver } from "../../../src/storage/sql/driver.js";
import { userTransaction } from "../../../src/storage/sql/transaction.js";
import { has, mariadb, postgres } from "../../servers/index.js";
import { mysqlSettings } from "./mysql.js";
import { postgresSettings } from "./postgres.js";

export interface User {
  readonly connection: object;
  run(text: string): Promise<Record<string, unknown>[]>;
  /** The queue inside whatever transaction is open. */
  readonly inside: UserTransaction;
  end(): Promise<void>;
}

export interface UserSide {
  readonly driver: ServerDriver;
  /** The table's name, as a user of this connection writes it. */
  table(name: string): string;
  connect(options?: ConnectionOptions): Promise<User>;
  close(): Promise<void>;
}

export type ServerKind = "postgres" | "mariadb";

/** Tables are migrated; there is a table `orders` of the user's. */
export async function openUserSide(kind: ServerKind): Promise<UserSide> {
  const side = await (kind === "postgres" ? onPostgres : onMariadb)();
  await side.driver.migrate();
  const first = await side.connect();
  await first.run("create table orders (n int)");
  await first.end();
  return side;
}

async function onPostgres(): Promise<UserSide> {
  const server = await postgres({ durable: false });
  // The queue's schema is in nobody's search_path.
  const [mine, theirs] = [await server.newSchema(), await server.newSchema()];
  const settings = postgresSettings(theirs.url, { schema: theirs.name });
  const driver = await openPostgres(settings);
  const users: User[] = [];
  return {
    driver,
    table: (name) => `"${theirs.name}"."qudo_${name}"`,
    async connect() {
      const client = new Client({ connectionString: mine.url });
      await client.connect();
      await client.query(`set search_path to "${mine.name}"`);
      const user = {
        connection: client,
        run: async (text: string) => (await client.query(text)).rows as Record<string, unknown>[],
        inside: userTransaction(client, postgresSpeech, [() => driver.queue()]),
        end: () => client.end(),
      };
      users.push(user);
      return user;
    },
    async close() {
      await Promise.all(users.map((user) => user.end()));
      await driver.close();
      await Promise.all([mine.drop(), theirs.drop()]);
    },
  };
}

async function onMariadb(): Promise<UserSide> {
  const place = await (await mariadb({ durable: false })).newDatabase();
  const driver = await openMysql(mysqlSettings(place.url));
  const users: User[] = [];
  return {
    driver,
    table: (name) => `qudo_${name}`,
    async connect(options = {}) {
      const connection = await createConnection({ uri: place.url, ...options });
      let ended = false;
      const user = {
        connection,
        run: async (text: string) => (await connection.query(text))[0] as Record<string, unknown>[],
        inside: userTransaction(connection, mysqlSpeech, [() => driver.queue()]),
        end: async () => {
          if (!ended) await connection.end();
          ended = true;
        },
      };
      users.push(user);
      return user;
    },
    async close() {
      await Promise.all(users.map((user) => user.end()));
      await driver.close();
      await place.drop();
    },
  };
}

const KINDS: readonly ServerKind[] = ["postgres", "mariadb"];
const here = await Promise.all(KINDS.map((kind) => has(kind)));

/** The same tests of each kind; skipped, and counted as such, where a kind is missing. */
export function describeServers(tests: (kind: ServerKind) => void): void {
  for (const [i, kind] of KINDS.entries()) describe.skipIf(!here[i])(kind, () => tests(kind));
}

/** By state; undefined for those that are not there. */
export async function statesOf(
  driver: Driver,
  ...ids: readonly string[]
): Promise<(string | undefined)[]> {
  return (await driver.getJobs(ids)).map((row) => row?.state);
}

/** What was counted, as "event n". */
export async function eventsOf(driver: Driver): Promise<string[]> {
  return (await driver.tally(0)).map(({ event, n }) => `${event} ${n}`).toSorted();
}

/** What a call was refused with. */
export async function failure(call: unknown): Promise<Error & { code?: string }> {
  try {
    await call;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was accepted");
}
