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

export async function serverOf(kind: "postgres" | "mysql"): Promise<Place> {
  const server = await (kind === "postgres" ? postgres : mariadb)({ durable: false });
  const place = await server.newDatabase();
  const { query, end } = await (kind === "postgres" ? viaPg : viaMysql2)(place.url);
  const close = async (): Promise<void> => {
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
