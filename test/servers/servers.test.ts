import { readlinkSync, statSync } from "node:fs";
import { Client, type ClientConfig } from "pg";
import { createConnection, type Connection } from "mysql2/promise";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import {
  has,
  mariadb,
  MissingServer,
  mysql,
  postgres,
  startMariadb,
  startPgbouncer,
  startPostgres,
} from "./index.js";
import { isAlive, listening, stateOf } from "./processes.js";

// This is of the servers that are started, whatever was given.
beforeEach(() => {
  for (const kind of ["POSTGRES", "MARIADB", "MYSQL"]) vi.stubEnv(`QUDO_TEST_${kind}_URL`, "");
});
afterEach(() => void vi.unstubAllEnvs());

async function pg(url: string, options: ClientConfig = {}): Promise<Client> {
  const client = new Client({ connectionString: url, ...options });
  // Of a server that is killed.
  client.on("error", () => {});
  onTestFinished(() => client.end());
  await client.connect();
  return client;
}

async function my(uri: string): Promise<Connection> {
  const connection = await createConnection({ uri, multipleStatements: false });
  connection.on("error", () => {});
  onTestFinished(() => connection.destroy());
  return connection;
}

describe.skipIf(!(await has("postgres", { own: true })))("the PostgreSQL of the run", () => {
  it("is one, with places of one's own in it", async () => {
    const server = await postgres({ durable: false });
    expect((await postgres({ durable: false })).url).toBe(server.url);
    for (const place of [await server.newDatabase(), await server.newSchema()]) {
      const client = await pg(place.url);
      const tables = "select 1 from pg_tables where schemaname = any($1)";
      expect((await client.query(tables, [["public", place.name]])).rows).toEqual([]);
      await client.query(`create table ${place.schema}.mine (n int)`);
      await place.drop();
      await expect(client.query(`select * from ${place.schema}.mine`)).rejects.toThrow();
    }
  });

  it("keeps to the disk unless told otherwise", async () => {
    const safe = await pg((await postgres()).url);
    expect((await safe.query("show fsync")).rows).toEqual([{ fsync: "on" }]);
    const hasty = await pg((await postgres({ durable: false })).url);
    expect((await hasty.query("show fsync")).rows).toEqual([{ fsync: "off" }]);
  });

  it("is the one of the environment, where that is of the version", async () => {
    const { url, major } = await postgres({ durable: false });
    vi.stubEnv("QUDO_TEST_POSTGRES_URL", url);
    expect((await postgres()).url).toBe(url);
    expect((await postgres({ version: major })).url).toBe(url);
    await expect(postgres({ newerThan: major })).rejects.toThrow(MissingServer);
    // Nobody may kill that one.
    await using mine = await startPostgres({ durable: false });
    expect(mine.url).not.toBe(url);
  });
});

describe.skipIf(!(await has("postgres", { version: 15, own: true })))("PostgreSQL 15", () => {
  it("is had by its number, not by being the newest", async () => {
    const server = await postgres({ version: 15, durable: false });
    expect(server.major).toBe(15);
    const client = await pg(server.url);
    expect((await client.query("show server_version")).rows[0].server_version).toMatch(/^15\./);
  });
});

describe.skipIf(!(await has("postgres", { newerThan: 15, own: true })))(
  "a PostgreSQL newer than 15",
  () => {
    it("is had by that", async () => {
      const server = await postgres({ newerThan: 15, durable: false });
      const client = await pg(server.url);
      const { server_version } = (await client.query("show server_version")).rows[0];
      expect(Number.parseInt(server_version, 10)).toBeGreaterThan(15);
      expect(server_version).toMatch(new RegExp(`^${server.version}\\b`));
    });
  },
);

describe.skipIf(!(await has("postgres", { own: true })))("a PostgreSQL of one's own", () => {
  it("keeps what it has committed, killed or stopped, on the same port", async () => {
    await using server = await startPostgres();
    await (await pg(server.url)).query("create table kept as select 7 as n");
    await server.kill();
    expect(await server.processes()).toEqual([]);
    await expect(pg(server.url)).rejects.toThrow(/ECONNREFUSED/);
    await server.start();
    await server.stop();
    await expect(pg(server.url)).rejects.toThrow(/ECONNREFUSED/);
    await server.start();
    expect((await (await pg(server.url)).query("select n from kept")).rows).toEqual([{ n: 7 }]);
    expect(await server.log()).toContain("ready to accept connections");
  });

  it("stands still as a whole while it is paused, and goes on", async () => {
    await using server = await startPostgres({ durable: false });
    const client = await pg(server.url);
    await server.pause();
    const answer = client.query("select 1 as n");
    const pids = await server.processes();
    expect(pids.length).toBeGreaterThan(3);
    await expect.poll(() => pids.map(stateOf)).toEqual(pids.map(() => "T"));
    await expect(pg(server.url, { connectionTimeoutMillis: 100 })).rejects.toThrow(/timeout/);
    await server.resume();
    expect((await answer).rows).toEqual([{ n: 1 }]);
  });

  it("can be killed and closed while it is paused", async () => {
    const server = await startPostgres({ durable: false });
    await server.pause();
    await server.kill();
    await server.start();
    await server.pause();
    const pids = await server.processes();
    await server.close();
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it("is no root's, listens on 127.0.0.1 alone, and is gone with its folder when it is closed", async () => {
    const server = await startPostgres();
    const pids = await server.processes();
    const data = readlinkSync(`/proc/${pids[0]}/cwd`);
    const owners = pids.map((pid) => statSync(`/proc/${pid}`).uid);
    expect(owners).not.toContain(0);
    expect(statSync(data).mode & 0o077).toBe(0);
    expect(listening(pids)).toEqual([`127.0.0.1:${new URL(server.url).port}`]);
    await server.close();
    await server.close();
    expect(pids.filter(isAlive)).toEqual([]);
    expect(() => statSync(data)).toThrow(/ENOENT/);
    await expect(server.start()).rejects.toThrow("This server was closed.");
  });

  it("takes settings, and says what is wrong with them", async () => {
    const settings = { log_min_duration_statement: 250 };
    await using server = await startPostgres({ durable: false, settings });
    const client = await pg(server.url);
    const { rows } = await client.query("show log_min_duration_statement");
    expect(rows).toEqual([{ log_min_duration_statement: "250ms" }]);
    const wrong = startPostgres({ settings: { no_such_setting: 1 } });
    await expect(wrong).rejects.toThrow(/unrecognized configuration parameter "no_such_setting"/);
  });
});

const bouncer = await has("pgbouncer");
describe.skipIf(!bouncer || !(await has("postgres", { own: true })))("PgBouncer", () => {
  it("hands one connection from transaction to transaction, and comes back when killed", async () => {
    const { url } = await postgres({ durable: false });
    await using pooler = await startPgbouncer({ behind: url, settings: { default_pool_size: 1 } });
    expect(new URL(pooler.url).port).not.toBe(new URL(url).port);
    const [one, other] = [await pg(pooler.url), await pg(pooler.url)];
    expect(await backend(one)).toBe(await backend(other));
    await pooler.kill();
    await expect(backend(one)).rejects.toThrow();
    await pooler.start();
    expect(await backend(await pg(pooler.url))).toBeGreaterThan(0);
  });
});

describe.skipIf(!(await has("mariadb", { own: true })))("the MariaDB of the run", () => {
  it("is one, with databases of one's own in it", async () => {
    const server = await mariadb({ durable: false });
    expect((await mariadb({ durable: false })).url).toBe(server.url);
    const place = await server.newDatabase();
    const connection = await my(place.url);
    expect((await connection.query("show tables"))[0]).toEqual([]);
    await connection.query("create table mine (n int)");
    await place.drop();
    await expect(connection.query("select * from mine")).rejects.toThrow();
  });

  it("keeps to the disk unless told otherwise", async () => {
    const flush = "select @@innodb_flush_log_at_trx_commit as flush";
    const safe = await my((await mariadb()).url);
    expect((await safe.query(flush))[0]).toEqual([{ flush: 1 }]);
    const hasty = await my((await mariadb({ durable: false })).url);
    expect((await hasty.query(flush))[0]).toEqual([{ flush: 0 }]);
  });

  it("is the one of the environment", async () => {
    const { url } = await mariadb({ durable: false });
    vi.stubEnv("QUDO_TEST_MARIADB_URL", url);
    expect((await mariadb()).url).toBe(url);
  });
});

describe.skipIf(!(await has("mariadb", { own: true })))("a MariaDB of one's own", () => {
  it("keeps what it has committed, killed or stopped, on the same port", async () => {
    await using server = await startMariadb();
    const place = await server.newDatabase();
    await (await my(place.url)).query("create table kept as select 7 as n");
    await server.kill();
    expect(await server.processes()).toEqual([]);
    await expect(my(place.url)).rejects.toThrow(/ECONNREFUSED/);
    await server.start();
    await server.stop();
    await server.start();
    expect((await (await my(place.url)).query("select n from kept"))[0]).toEqual([{ n: 7 }]);
  });

  it("is no root's, listens on 127.0.0.1 alone, and takes nobody without the password", async () => {
    await using server = await startMariadb({
      durable: false,
      settings: { "lock-wait-timeout": 7 },
    });
    const pids = await server.processes();
    expect(pids.map((pid) => statSync(`/proc/${pid}`).uid)).not.toContain(0);
    expect(listening(pids)).toEqual([`127.0.0.1:${new URL(server.url).port}`]);
    const [rows] = await (await my(server.url)).query("select @@lock_wait_timeout as seconds");
    expect(rows).toEqual([{ seconds: 7 }]);
    const nobodys = new URL(server.url);
    nobodys.password = "";
    await expect(my(nobodys.href)).rejects.toThrow(/Access denied/);
  });
});

describe("MySQL", () => {
  it("is the one of the environment, or missing", async () => {
    await expect(mysql()).rejects.toThrow(/no MySQL\. To get it: QUDO_TEST_MYSQL_URL/);
  });
});

/** The process of the server that serves it. */
async function backend(client: Client): Promise<unknown> {
  return (await client.query("select pg_backend_pid() as pid")).rows[0].pid;
}
