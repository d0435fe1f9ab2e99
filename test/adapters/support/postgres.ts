/** Libraries on PostgreSQL, with parsers and plugins of the user's that make something else of what they read. */
import { drizzle as drizzleNodePostgres } from "drizzle-orm/node-postgres";
import { drizzle as drizzlePostgresJs } from "drizzle-orm/postgres-js";
import { sql as drizzleSql } from "drizzle-orm";
import knexOf, { type Knex } from "knex";
import {
  CamelCasePlugin,
  Kysely,
  PostgresDialect,
  sql as kyselySql,
  type Transaction,
} from "kysely";
import { Client, Pool, TypeOverrides, types, type PoolClient } from "pg";
import postgres from "postgres";
import { DataSource, type EntityManager } from "typeorm";
import { byHand, type Library } from "./library.js";

/** Whatever it is: not what it was. */
const spoilt = { getTypeParser: () => () => "spoilt" };

/** A parser as people set it. Kysely reads through it. */
const bigints = new TypeOverrides();
bigints.setTypeParser(types.builtins.INT8, BigInt);

const pgClient: Library = {
  name: "pg: a Client",
  server: "postgres",
  async open(connectionString) {
    const client = new Client({ connectionString, types: spoilt });
    await client.connect();
    const hand = byHand((text) => client.query(text));
    return {
      ...hand,
      transaction: (body) => hand.transaction(() => body(client)),
      run: (_, text) => client.query(text),
      wrong: { "a client without BEGIN": () => client },
      close: () => client.end(),
    };
  },
};

const pgPool: Library = {
  name: "pg: a client of a Pool",
  server: "postgres",
  async open(connectionString) {
    const pool = new Pool({ connectionString, types: spoilt });
    return {
      async transaction(body) {
        const client = await pool.connect();
        try {
          await byHand((text) => client.query(text)).transaction(() => body(client));
        } finally {
          client.release();
        }
      },
      nested: (tx, body) => byHand((text) => (tx as PoolClient).query(text)).nested(tx, body),
      run: (tx, text) => (tx as PoolClient).query(text),
      wrong: { "the Pool": () => pool },
      close: () => pool.end(),
    };
  },
};

const postgresJs: Library = {
  name: "postgres",
  server: "postgres",
  async open(url) {
    const sql = postgres(url, {
      transform: postgres.camel,
      types: { bigint: postgres.BigInt },
      fetch_types: false,
      onnotice: () => undefined,
    });
    return {
      transaction: async (body) => void (await sql.begin((tx) => body(tx))),
      nested: async (tx, body) =>
        void (await (tx as postgres.TransactionSql).savepoint((inner) => body(inner))),
      run: async (tx, text) => (tx as postgres.TransactionSql).unsafe(text),
      wrong: { "the outer sql": () => sql },
      close: () => sql.end(),
    };
  },
};

const drizzleOnPg: Library = {
  name: "Drizzle on pg",
  server: "postgres",
  async open(connectionString) {
    const pool = new Pool({ connectionString, types: spoilt });
    const db = drizzleNodePostgres(pool, { casing: "camelCase" });
    type Tx = Parameters<Parameters<typeof db.transaction>[0]>[0];
    return {
      transaction: (body) => db.transaction(body),
      nested: (tx, body) => (tx as Tx).transaction(body),
      run: (tx, text) => (tx as Tx).execute(drizzleSql.raw(text)),
      wrong: {
        db: () => db,
        "a tx that has ended": async () => {
          let ended: object = {};
          await db.transaction(async (tx) => void (ended = tx));
          return ended;
        },
      },
      close: () => pool.end(),
    };
  },
};

const drizzleOnPostgresJs: Library = {
  name: "Drizzle on postgres",
  server: "postgres",
  async open(url) {
    const sql = postgres(url, { transform: postgres.pascal, onnotice: () => undefined });
    const db = drizzlePostgresJs(sql);
    type Tx = Parameters<Parameters<typeof db.transaction>[0]>[0];
    return {
      transaction: (body) => db.transaction(body),
      nested: (tx, body) => (tx as Tx).transaction(body),
      run: async (tx, text) => (tx as Tx).execute(drizzleSql.raw(text)),
      wrong: { db: () => db },
      close: () => sql.end(),
    };
  },
};

// oxlint-disable-next-line typescript/no-explicit-any -- tables are named in plain SQL here
type AnyDatabase = any;

const kysely: Library = {
  name: "Kysely on pg",
  server: "postgres",
  async open(connectionString) {
    const db = new Kysely<AnyDatabase>({
      dialect: new PostgresDialect({ pool: new Pool({ connectionString, types: bigints }) }),
      plugins: [new CamelCasePlugin()],
    });
    const run = (tx: object, text: string) =>
      kyselySql.raw(text).execute(tx as Transaction<AnyDatabase>);
    return {
      transaction: (body) => db.transaction().execute(body),
      // It nests in controlled transactions only; a savepoint by hand is the same.
      nested: (tx, body) => byHand((text) => run(tx, text)).nested(tx, body),
      run,
      wrong: {
        db: () => db,
        "a controlled transaction that has ended": async () => {
          const trx = await db.startTransaction().execute();
          await trx.rollback().execute();
          return trx;
        },
      },
      close: () => db.destroy(),
    };
  },
};

const knex: Library = {
  name: "Knex on pg",
  server: "postgres",
  async open(connection) {
    const db = knexOf({
      client: "pg",
      connection,
      postProcessResponse: () => "spoilt",
      wrapIdentifier: (name, quote) => quote(name.toUpperCase()),
    });
    return {
      transaction: (body) => db.transaction(body),
      nested: (tx, body) => (tx as Knex.Transaction).transaction(body),
      run: async (tx, text) => (tx as Knex.Transaction).raw(text),
      wrong: {
        knex: () => db,
        "a trx that has ended": async () => {
          const trx = await db.transaction();
          await trx.commit();
          return trx;
        },
      },
      close: () => db.destroy(),
    };
  },
};

const typeorm: Library = {
  name: "TypeORM on pg",
  server: "postgres",
  async open(url) {
    const source = await new DataSource({ type: "postgres", url, parseInt8: true }).initialize();
    return {
      transaction: (body) => source.transaction(body),
      nested: (tx, body) => (tx as EntityManager).transaction(body),
      run: (tx, text) => (tx as EntityManager).query(text),
      wrong: {
        "the DataSource": () => source,
        "its manager": () => source.manager,
        "a query runner without a transaction": () => source.createQueryRunner(),
        "a manager whose transaction has ended": async () => {
          let ended: object = {};
          await source.transaction(async (tx) => void (ended = tx));
          return ended;
        },
      },
      close: () => source.destroy(),
    };
  },
};

const typeormRunner: Library = {
  name: "TypeORM on pg: a QueryRunner",
  server: "postgres",
  async open(url) {
    const source = await new DataSource({ type: "postgres", url }).initialize();
    type Runner = ReturnType<DataSource["createQueryRunner"]>;
    const bracket = async (runner: Runner, body: (tx: object) => Promise<void>): Promise<void> => {
      await runner.startTransaction();
      try {
        await body(runner);
        await runner.commitTransaction();
      } catch (error) {
        await runner.rollbackTransaction();
        throw error;
      }
    };
    return {
      async transaction(body) {
        const runner = source.createQueryRunner();
        await bracket(runner, body).finally(() => runner.release());
      },
      nested: (tx, body) => bracket(tx as Runner, body),
      run: (tx, text) => (tx as Runner).query(text),
      wrong: {},
      close: () => source.destroy(),
    };
  },
};

export const onPostgres: readonly Library[] = [
  pgClient,
  pgPool,
  postgresJs,
  drizzleOnPg,
  drizzleOnPostgresJs,
  kysely,
  knex,
  typeorm,
  typeormRunner,
];
