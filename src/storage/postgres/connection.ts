/** Connections to PostgreSQL: the only place that knows the client library. */
import { Pool, type PoolClient, type QueryResult } from "pg";
import type { PostgresSettings } from "../server.js";
import type { Body, Database, Tx } from "../sql/database.js";
import { Id, List, raw, render, sql, type Query, type Value } from "../sql/query.js";
import { decode, type RowOf, type Shape } from "../sql/rows.js";
import { asDatabaseError, isConflict } from "./errors.js";

const CONFLICTS_MAX = 20;

export class PostgresDatabase implements Database {
  readonly label: string;
  private readonly pool: Pool;

  /** `now`: the database's clock, asked at the start of each transaction. */
  constructor(
    settings: PostgresSettings,
    private readonly now: () => Query,
  ) {
    const { label, hosts, user, password, database, connections, connectTimeoutMs } = settings;
    this.label = label;
    const config = {
      ...hosts[0],
      user,
      password: password ?? undefined,
      database,
      max: connections,
      connectionTimeoutMillis: connectTimeoutMs,
      pipeline: true,
    };
    this.pool = new Pool(config);
    // An idle connection that breaks is replaced by the next one; without a listener the process would end.
    this.pool.on("error", () => undefined);
  }

  async transaction<T>(body: Body<T>): Promise<T> {
    for (let tries = 0; ; tries++)
      try {
        return await this.once(raw("begin"), body);
      } catch (error) {
        if (!isConflict(error) || tries >= CONFLICTS_MAX) throw error;
        await jitter(tries);
      }
  }

  snapshot<T>(body: Body<T>): Promise<T> {
    return this.once(raw("begin isolation level repeatable read, read only"), body);
  }

  async look<T>(body: (tx: Tx) => Promise<T>): Promise<T> {
    const client = await this.connect();
    try {
      return await body(this.tx(client));
    } finally {
      client.release();
    }
  }

  private async once<T>(begin: Query, body: Body<T>): Promise<T> {
    const client = await this.connect();
    const tx = this.tx(client);
    try {
      const [, rows] = await Promise.all([
        tx.run(begin),
        tx.all(sql`select ${this.now()} as now`, { now: "int" }),
      ]);
      const value = await body(tx, rows[0]!.now);
      const { command } = await client.query("commit");
      if (command !== "COMMIT") throw new Error("the transaction was rolled back at its commit");
      client.release();
      return value;
    } catch (error) {
      await client.query("rollback").then(
        () => client.release(),
        (broken: Error) => client.release(broken),
      );
      throw error;
    }
  }

  private async connect(): Promise<PoolClient> {
    try {
      return await this.pool.connect();
    } catch (error) {
      throw asDatabaseError(error, this.label);
    }
  }

  private tx(client: PoolClient): Tx {
    const send = async (query: Query): Promise<QueryResult> => {
      const { text, values } = render(query, placeholder);
      try {
        return await client.query({ text, values: values.map(encode) });
      } catch (error) {
        throw asDatabaseError(error, this.label);
      }
    };
    return {
      all: async <S extends Shape>(query: Query, shape: S): Promise<RowOf<S>[]> =>
        (await send(query)).rows.map((row) => decode(shape, row as Record<string, unknown>)),
      run: async (query) => (await send(query)).rowCount ?? 0,
    };
  }

  async close(): Promise<void> {
    await this.pool.end();
  }
}

function placeholder(n: number, value: Value): string {
  return value instanceof List ? `$${n}::${value.type}[]` : `$${n}`;
}

function encode(value: Value): unknown {
  if (value instanceof Id) return value.text;
  return value instanceof List ? value.values : value;
}

function jitter(tries: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(100, 2 ** tries)));
}
