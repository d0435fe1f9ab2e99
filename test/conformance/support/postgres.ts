/** PostgreSQL under the laws: a schema of its own for each database, and a count of the commits that pass through. */
import { Client } from "pg";
import { manualClock, type Fixture } from "../../../src/testing/index.js";
import type { Driver } from "../../../src/storage/driver.js";
import { openPostgres } from "../../../src/storage/postgres/index.js";
import type { PostgresSettings } from "../../../src/storage/server.js";
import { postgres, type PostgresOptions } from "../../servers/index.js";

/** In 2027. */
const START = 1_800_000_000_000;

/** What the engine is opened with at this address, with the defaults that users have. */
export function postgresSettings(
  address: string,
  settings: Partial<PostgresSettings> = {},
): PostgresSettings {
  const url = new URL(address);
  return {
    hosts: [{ host: url.hostname, port: Number(url.port) }],
    user: decodeURIComponent(url.username),
    password: url.password === "" ? null : decodeURIComponent(url.password),
    database: url.pathname.slice(1),
    ssl: null,
    pool: undefined,
    applicationName: "qudo",
    schema: "public",
    prefix: "qudo_",
    connections: 10,
    connectTimeoutMs: 1_000,
    statementTimeoutMs: 2_000,
    listen: true,
    prepare: true,
    label: `postgres://${url.username}@${url.host}${url.pathname}`,
    ...settings,
  };
}

/** The run's server, with a schema of its own for each law. */
export function postgresSchema(name: string, which: PostgresOptions = {}): Fixture {
  return {
    name,
    capabilities: ["clock", "commits", "identity", "wakeups"],
    async open() {
      const server = await postgres({ durable: false, ...which });
      const schema = await server.newSchema();
      const clock = manualClock(START);
      const connect = (): Promise<Driver> =>
        openPostgres(postgresSettings(schema.url, { schema: schema.name, clock }));
      const driver = await connect();
      return {
        driver,
        connect,
        clock: { now: clock, advance: clock.advance },
        commits: () => commits,
        close: async () => {
          await driver.close();
          await schema.drop();
        },
      };
    },
  };
}

let commits = 0;
let statements = 0;

/**
 * All that was sent so far, over all connections. Not counted are words to who listens, which go out at most once in 5 ms however
 * many jobs there are (`test/postgres/wakeups.test.ts`), and what a connection asks when it is opened.
 */
export const statementsSent = (): number => statements;

const { query } = Client.prototype;
Client.prototype.query = function (this: Client, ...args: unknown[]) {
  const [given] = args as [string | { text: string }];
  const text = typeof given === "string" ? given : given.text;
  if (!text.includes("pg_notify(") && !text.includes("pg_is_in_recovery()")) statements++;
  if (text === "commit") commits++;
  return Reflect.apply(query, this, args);
} as typeof query;
