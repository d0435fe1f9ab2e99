/** A database of ours on a real server, below the operations: its transactions, and the connections behind them. */
import { Client } from "pg";
import { PostgresDatabase } from "../../src/storage/postgres/database.js";
import { postgresDialect } from "../../src/storage/postgres/dialect.js";
import type { PostgresSettings } from "../../src/storage/server.js";
import type { Tx } from "../../src/storage/sql/database.js";
import { raw } from "../../src/storage/sql/query.js";
import { postgresSettings } from "../conformance/support/postgres.js";

export interface Opened extends AsyncDisposable {
  readonly db: PostgresDatabase;
  announced: number;
}

export async function openDatabase(
  url: string,
  settings: Partial<PostgresSettings> = {},
): Promise<Opened> {
  const all = postgresSettings(url, settings);
  const dialect = postgresDialect(all);
  const opened = { announced: 0 };
  const announcement = (): null => {
    opened.announced++;
    return null;
  };
  const db = await PostgresDatabase.open(all, { now: () => dialect.now, announcement });
  return Object.assign(opened, { db, [Symbol.asyncDispose]: () => db.close() });
}

/** A superuser's connection beside it. */
export async function superuser(url: string): Promise<Client & AsyncDisposable> {
  const client = new Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

/** The number that a statement of one row and one column answers with. */
export async function number(tx: Tx, text: string): Promise<number> {
  const [row] = await tx.all(raw(`select (${text})::bigint as n`), { n: "int" });
  return row!.n;
}

/** What a promise is rejected with. */
export async function errorOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was not refused");
}

/** Waits until this is so, by asking again and again: for what another process does. */
export async function until(what: string, so: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await so())) {
    if (performance.now() > end) throw new Error(`${what}: not within 20 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Something to wait for, and what ends the waiting. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}
