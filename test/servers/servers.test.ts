import { Client } from "pg";
import { createConnection } from "mysql2/promise";
import { describe, expect, it } from "vitest";
import { has, mariadb, postgres, startMariadb, startPostgres } from "./index.js";

describe.skipIf(!(await has("postgres")))("PostgreSQL", () => {
  it("is one for the whole run, with places of one's own in it", async () => {
    const server = await postgres({ durable: false });
    expect((await postgres({ durable: false })).url).toBe(server.url);
    for (const place of [await server.newDatabase(), await server.newSchema()]) {
      const client = new Client(place.url);
      await client.connect();
      const { rows } = await client.query(
        "select count(*)::int as n from pg_tables where schemaname in ('public', $1)",
        [place.name],
      );
      expect(rows).toEqual([{ n: 0 }]);
      await client.end();
      await place.drop();
    }
  });

  it("keeps what it has committed when it is killed", async () => {
    await using server = await startPostgres();
    const client = new Client(server.url);
    client.on("error", () => {});
    await client.connect();
    await client.query("create table kept as select 7 as n");
    await server.kill();
    expect(await server.processes()).toEqual([]);
    await server.start();
    const again = new Client(server.url);
    await again.connect();
    expect((await again.query("select n from kept")).rows).toEqual([{ n: 7 }]);
    await again.end();
  });
});

describe.skipIf(!(await has("mariadb")))("MariaDB", () => {
  it("is one for the whole run, with databases of one's own in it", async () => {
    const server = await mariadb({ durable: false });
    expect((await mariadb({ durable: false })).url).toBe(server.url);
    await using place = await server.newDatabase();
    const connection = await createConnection(place.url);
    expect((await connection.query("show tables"))[0]).toEqual([]);
    await connection.end();
  });

  it("keeps what it has committed when it is killed", async () => {
    await using server = await startMariadb();
    const place = await server.newDatabase();
    const connection = await createConnection(place.url);
    connection.on("error", () => {});
    await connection.query("create table kept as select 7 as n");
    await server.kill();
    expect(await server.processes()).toEqual([]);
    await server.start();
    const again = await createConnection(place.url);
    expect((await again.query("select n from kept"))[0]).toEqual([{ n: 7 }]);
    await again.end();
  });
});
