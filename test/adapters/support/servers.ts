/** A database of one test file's own, and a connection beside the library's. */
import { Client } from "pg";
import { createConnection } from "mysql2/promise";
import { mariadb, postgres } from "../../servers/index.js";

export interface Place {
  readonly url: string;
  /** On a connection of its own: sees what is committed. */
  query(text: string): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

const OTHERS =
  "select count(*) as n from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";

export async function serverOf(kind: "postgres" | "mysql"): Promise<Place> {
  const server = await (kind === "postgres" ? postgres : mariadb)({ durable: false });
  const place = await server.newDatabase();
  const { query, end } = await (kind === "postgres" ? viaPg : viaMysql2)(place.url);
  const close = async (): Promise<void> => {
    // Libraries say goodbye and do not wait until they are heard. To be thrown out meanwhile is an error that nobody listens for.
    if (kind === "postgres") while (Number((await query(OTHERS))[0]!["n"]) > 0);
    await end();
    await place.drop();
  };
  return { url: place.url, query, close };
}

async function viaPg(connectionString: string) {
  const client = new Client({ connectionString });
  await client.connect();
  return {
    query: async (text: string) => (await client.query(text)).rows as Record<string, unknown>[],
    end: () => client.end(),
  };
}

async function viaMysql2(uri: string) {
  const connection = await createConnection({ uri });
  return {
    query: async (text: string) => (await connection.query(text))[0] as Record<string, unknown>[],
    end: () => connection.end(),
  };
}
