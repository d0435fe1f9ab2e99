/** Libraries on MySQL and MariaDB, with settings of the user's that make something else of what they read. */
import { promisify } from "node:util";
import { sql as drizzleSql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/mysql2";
import knexOf, { type Knex } from "knex";
import { CamelCasePlugin, Kysely, MysqlDialect, sql as kyselySql, type Transaction } from "kysely";
import { createConnection, createPool } from "mysql2";
import promised, { type Connection as PromiseConnection } from "mysql2/promise";
import { DataSource, type EntityManager } from "typeorm";
import { byHand, type Library } from "./library.js";

/** Numbers as texts, rows as lists, and whatever is read spoilt. */
const odd = {
  supportBigNumbers: true,
  bigNumberStrings: true,
  rowsAsArray: true,
  nestTables: "_",
  namedPlaceholders: true,
  typeCast: () => "spoilt",
} as const;

const promiseConnection: Library = {
  name: "mysql2/promise: a connection of a pool",
  server: "mysql",
  async open(uri) {
    const pool = promised.createPool({ uri, ...odd });
    return {
      async transaction(body) {
        const connection = await pool.getConnection();
        try {
          await connection.beginTransaction();
          await body(connection);
          await connection.commit();
        } catch (error) {
          await connection.rollback();
          throw error;
        } finally {
          connection.release();
        }
      },
      nested: (tx, body) =>
        byHand((text) => (tx as PromiseConnection).query(text)).nested(tx, body),
      run: (tx, text) => (tx as PromiseConnection).query(text),
      wrong: {
        "the pool": () => pool,
        "a connection without BEGIN": async () => {
          const connection = await pool.getConnection();
          connection.release();
          return connection;
        },
      },
      close: () => pool.end(),
    };
  },
};

const callbackConnection: Library = {
  name: "mysql2: a connection by callback",
  server: "mysql",
  async open(uri) {
    const connection = createConnection({ uri, ...odd });
    const pool = createPool(uri);
    const run = (text: string) => promisify(connection.query.bind(connection) as Query)(text);
    const hand = byHand(run);
    return {
      ...hand,
      transaction: (body) => hand.transaction(() => body(connection)),
      run: (_, text) => run(text),
      wrong: { "the pool": () => pool, "a connection without BEGIN": () => connection },
      close: async () => {
        await promisify(pool.end.bind(pool))();
        await promisify(connection.end.bind(connection))();
      },
    };
  },
};

type Query = (text: string, done: (error: unknown) => void) => void;

const withoutAutocommit: Library = {
  name: "mysql2/promise: with autocommit off",
  server: "mysql",
  async open(uri) {
    const connection = await promised.createConnection(uri);
    await connection.query("set autocommit = 0");
    return {
      async transaction(body) {
        try {
          await body(connection);
          await connection.commit();
        } catch (error) {
          await connection.rollback();
          throw error;
        }
      },
      nested: (tx, body) => byHand((text) => connection.query(text)).nested(tx, body),
      run: (_, text) => connection.query(text),
      wrong: {},
      close: () => connection.end(),
    };
  },
};

const drizzleOnMysql2: Library = {
  name: "Drizzle on mysql2",
  server: "mysql",
  async open(uri) {
    const pool = promised.createPool({ uri, supportBigNumbers: true, bigNumberStrings: true });
    const db = drizzle({ client: pool });
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

// oxlint-disable-next-line typescript/no-explicit-any -- tables are named in plain SQL here
type AnyDatabase = any;

const kysely: Library = {
  name: "Kysely on mysql2",
  server: "mysql",
  async open(uri) {
    const pool = createPool({ uri, supportBigNumbers: true, bigNumberStrings: true });
    const db = new Kysely<AnyDatabase>({
      dialect: new MysqlDialect({ pool }),
      plugins: [new CamelCasePlugin()],
    });
    const run = (tx: object, text: string) =>
      kyselySql.raw(text).execute(tx as Transaction<AnyDatabase>);
    return {
      transaction: (body) => db.transaction().execute(body),
      nested: (tx, body) => byHand((text) => run(tx, text)).nested(tx, body),
      run,
      wrong: { db: () => db },
      close: () => db.destroy(),
    };
  },
};

const knex: Library = {
  name: "Knex on mysql2",
  server: "mysql",
  async open(connection) {
    const db = knexOf({
      client: "mysql2",
      connection,
      postProcessResponse: () => "spoilt",
    });
    return {
      transaction: (body) => db.transaction(body),
      nested: (tx, body) => (tx as Knex.Transaction).transaction(body),
      run: async (tx, text) => (tx as Knex.Transaction).raw(text),
      wrong: { knex: () => db },
      close: () => db.destroy(),
    };
  },
};

const typeorm: Library = {
  name: "TypeORM on mysql2",
  server: "mysql",
  async open(url) {
    const source = await new DataSource({
      type: "mysql",
      url,
      supportBigNumbers: true,
      bigNumberStrings: true,
    }).initialize();
    return {
      transaction: (body) => source.transaction(body),
      nested: (tx, body) => (tx as EntityManager).transaction(body),
      run: (tx, text) => (tx as EntityManager).query(text),
      wrong: { "the DataSource": () => source, "its manager": () => source.manager },
      close: () => source.destroy(),
    };
  },
};

export const onMysql: readonly Library[] = [
  promiseConnection,
  callbackConnection,
  withoutAutocommit,
  drizzleOnMysql2,
  kysely,
  knex,
  typeorm,
];
