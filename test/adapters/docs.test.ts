/** Every example of docs/transactions.md, run as it stands there: it commits both, and rolls both back. */
import { readFileSync } from "node:fs";
import { drizzle as drizzleMysql2 } from "drizzle-orm/mysql2";
import { int as mysqlInt, mysqlTable } from "drizzle-orm/mysql-core";
import { drizzle as drizzlePg } from "drizzle-orm/node-postgres";
import { integer, pgTable } from "drizzle-orm/pg-core";
import knexOf from "knex";
import { Kysely, MysqlDialect, PostgresDialect } from "kysely";
import { createPool as createCallbackPool } from "mysql2";
import { createPool } from "mysql2/promise";
import { Pool } from "pg";
import postgres from "postgres";
import { DataSource } from "typeorm";
import { transpile, ScriptTarget } from "typescript";
import { expect, test } from "vitest";
import type { AnyJobDefinition } from "../../src/core/job.js";
import { defineJob, Qudo } from "../../src/index.js";
import { serverOf } from "./support/servers.js";

type Scope = Record<string, unknown>;
/** What an example finds, and how it is put away. */
type Opener = (url: string) => Promise<[Scope, () => Promise<unknown>]>;

const knexOn =
  (client: string): Opener =>
  async (connection) => {
    const knex = knexOf({ client, connection });
    return [{ knex }, () => knex.destroy()];
  };

const typeormOn =
  (type: "postgres" | "mysql"): Opener =>
  async (url) => {
    const dataSource = await new DataSource({ type, url }).initialize();
    return [{ dataSource }, () => dataSource.destroy()];
  };

const pg: Opener = async (connectionString) => {
  const pool = new Pool({ connectionString });
  return [{ pool }, () => pool.end()];
};

const OPENERS: Record<string, Opener> = {
  "PostgreSQL: pg": pg,
  "PostgreSQL: postgres": async (url) => {
    const sql = postgres(url);
    return [{ sql }, () => sql.end()];
  },
  "PostgreSQL: Drizzle": async (connectionString) => {
    const pool = new Pool({ connectionString });
    const orders = pgTable("orders", { id: integer().primaryKey() });
    return [{ db: drizzlePg(pool), orders }, () => pool.end()];
  },
  "PostgreSQL: Kysely": async (connectionString) => {
    const db = new Kysely({
      dialect: new PostgresDialect({ pool: new Pool({ connectionString }) }),
    });
    return [{ db }, () => db.destroy()];
  },
  "PostgreSQL: Knex": knexOn("pg"),
  "PostgreSQL: TypeORM": typeormOn("postgres"),
  "MySQL and MariaDB: mysql2": async (uri) => {
    const pool = createPool(uri);
    return [{ pool }, () => pool.end()];
  },
  "MySQL and MariaDB: Drizzle": async (uri) => {
    const pool = createPool(uri);
    const orders = mysqlTable("orders", { id: mysqlInt().primaryKey() });
    return [{ db: drizzleMysql2({ client: pool }), orders }, () => pool.end()];
  },
  "MySQL and MariaDB: Kysely": async (uri) => {
    const db = new Kysely({ dialect: new MysqlDialect({ pool: createCallbackPool(uri) }) });
    return [{ db }, () => db.destroy()];
  },
  "MySQL and MariaDB: Knex": knexOn("mysql2"),
  "MySQL and MariaDB: TypeORM": typeormOn("mysql"),
};

/** By "section: heading". */
function examplesOf(page: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const section of page.split(/^## /m).slice(1))
    for (const part of section.split(/^### /m).slice(1)) {
      const code = /```ts\n([^]*?)```/.exec(part)?.[1];
      if (code !== undefined) found.set(`${firstLine(section)}: ${firstLine(part)}`, code);
    }
  return found;
}

const firstLine = (text: string): string => text.split("\n", 1)[0]!;

/** As the body of a function that finds these names. */
function run(code: string, scope: Scope, answer = ""): Promise<unknown> {
  const javascript = transpile(code, { target: ScriptTarget.ES2022 });
  const body = `return (async () => { ${javascript}; ${answer} })();`;
  // oxlint-disable-next-line no-implied-eval, typescript/no-implied-eval -- the page's own text
  const call = new Function(...Object.keys(scope), body);
  return call(...Object.values(scope)) as Promise<unknown>;
}

const sendReceipt = defineJob("receipt", { run: (_payload: { order: number }) => undefined });
const HANDLER = "A handler whose effects happen exactly once: Handler";
const examples = examplesOf(readFileSync("docs/transactions.md", "utf8"));

test("the page has an example for each of these, and none besides", () => {
  expect([...examples.keys()].toSorted()).toEqual([...Object.keys(OPENERS), HANDLER].toSorted());
});

test.each(Object.entries(OPENERS))("%s", async (name, open) => {
  const place = await serverOf(name.startsWith("PostgreSQL") ? "postgres" : "mysql");
  const qudo = new Qudo({ databases: place.url });
  await qudo.migrate();
  await place.query("create table orders (id int primary key)");
  const [scope, close] = await open(place.url);
  const counts = async () => [
    (await place.query("select id from orders")).length,
    (await place.query("select id from qudo_job")).length,
  ];
  const fails = {
    in: (tx: object) => ({
      enqueue: async (...args: Parameters<ReturnType<Qudo["in"]>["enqueue"]>) => {
        await qudo.in(tx).enqueue(...args);
        throw new Error("it went wrong");
      },
    }),
  };
  const code = examples.get(name)!;
  const failing = run(code, { ...scope, qudo: fails, sendReceipt, order: 1 });
  await expect(failing).rejects.toThrow("it went wrong");
  expect(await counts()).toEqual([0, 0]);
  await run(code, { ...scope, qudo, sendReceipt, order: 2 });
  expect(await counts()).toEqual([1, 1]);
  await close();
  await qudo.close();
  await place.close();
});

test(HANDLER, async () => {
  const place = await serverOf("postgres");
  const [scope, close] = await pg(place.url);
  await place.query("create table shipments (id int primary key)");
  const enqueuer = new Qudo({ databases: place.url });
  await enqueuer.migrate();
  const names = { ...scope, qudo: enqueuer, sendReceipt, defineJob };
  const ship = (await run(examples.get(HANDLER)!, names, "return ship;")) as AnyJobDefinition;
  const qudo = new Qudo({ databases: place.url, jobs: [ship] });
  const worker = await qudo.work({ signals: false });
  const job = await qudo.enqueue(ship, { order: 7 });
  expect(await job.result({ timeout: "10s" })).toEqual({ shipped: 7 });
  expect(await place.query("select id from shipments")).toEqual([{ id: 7 }]);
  expect(await qudo.monitor.counts({ kind: "receipt" })).toMatchObject([{ pending: 1 }]);
  await worker.stop();
  for (const one of [qudo, enqueuer]) await one.close();
  await close();
  await place.close();
});
