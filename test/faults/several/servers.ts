/** The two kinds of server that faults are done to, each with a way to ask it what is true without a line of ours between. */
import { createConnection } from "mysql2/promise";
import { Client } from "pg";
import {
  has,
  mariadb,
  postgres,
  startMariadb,
  startPostgres,
  type Controls,
  type Fresh,
} from "../../servers/index.js";

export type Row = Readonly<Record<string, unknown>>;

/** Statements in a database, past the queue. */
export interface Outside extends AsyncDisposable {
  ask(text: string): Promise<Row[]>;
}

export interface ServerKind {
  readonly name: "PostgreSQL" | "MariaDB";
  readonly here: boolean;
  /** A database on the run's server, which is fast and must be left in peace. */
  fresh(): Promise<Fresh>;
  /** A server to be killed, paused, started again. It flushes: what it has acknowledged is there after a kill. */
  own(): Promise<Controls & { readonly url: string; newDatabase(): Promise<Fresh> }>;
  outside(url: string): Promise<Outside>;
}

export const SERVERS: readonly ServerKind[] = [
  {
    name: "PostgreSQL",
    here: await has("postgres", { own: true }),
    fresh: async () => (await postgres({ durable: false })).newDatabase(),
    own: () => startPostgres(),
    outside: async (url) => {
      const client = new Client({ connectionString: url });
      client.on("error", () => undefined);
      await client.connect();
      return {
        ask: async (text) => (await client.query<Row>(text)).rows,
        [Symbol.asyncDispose]: () => client.end(),
      };
    },
  },
  {
    name: "MariaDB",
    here: await has("mariadb", { own: true }),
    fresh: async () => (await mariadb({ durable: false })).newDatabase(),
    own: () => startMariadb(),
    outside: async (url) => {
      const connection = await createConnection({ uri: url });
      connection.on("error", () => undefined);
      return {
        ask: async (text) => (await connection.query(text))[0] as Row[],
        [Symbol.asyncDispose]: () => connection.end(),
      };
    },
  },
];
