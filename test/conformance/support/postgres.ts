/** PostgreSQL under the laws: a schema of its own for each database, and a count of the commits that pass through. */
import { Client } from "pg";
import { manualClock, type Fixture } from "../../../src/testing/index.js";
import { openPostgres } from "../../../src/storage/postgres/index.js";
import type { PostgresSettings } from "../../../src/storage/server.js";

/** In 2027. */
const START = 1_800_000_000_000;

/** Where tests connect to: "postgres://user@host:port/database". */
export function postgresUrl(): URL {
  const url = process.env["QUDO_TEST_POSTGRES_URL"];
  if (url === undefined) throw new Error("QUDO_TEST_POSTGRES_URL is not set");
  return new URL(url);
}

/** Settings of a connection to there, with the defaults that users have. */
export function postgresSettings(settings: Partial<PostgresSettings> = {}): PostgresSettings {
  const url = postgresUrl();
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

let schemas = 0;

export function postgres(name: string, settings: Partial<PostgresSettings> = {}): Fixture {
  return {
    name,
    capabilities: ["clock", "commits"],
    async open() {
      const clock = manualClock(START);
      const schema = `law_${process.pid}_${++schemas}`;
      const connect = () => openPostgres(postgresSettings({ schema, clock, ...settings }));
      const driver = await connect();
      return {
        driver,
        connect,
        clock: { now: clock, advance: clock.advance },
        commits: () => commits,
        close: async () => {
          await driver.close();
          await administrate((client) => client.query(`drop schema if exists "${schema}" cascade`));
        },
      };
    },
  };
}

/** On a connection of its own. */
export async function administrate<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: postgresUrl().href });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

let commits = 0;
const { query } = Client.prototype;
Client.prototype.query = function (this: Client, ...args: unknown[]) {
  const [text] = args as [string | { text?: string }];
  if ((typeof text === "string" ? text : text.text) === "commit") commits++;
  return Reflect.apply(query, this, args);
} as typeof query;
