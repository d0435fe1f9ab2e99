/** How connections are made: to which server, encrypted how, as whom, and for how long is waited. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect, promisify } from "node:util";
import { createServer as createMysqlServer } from "mysql2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { raw, sql } from "../../src/storage/sql/query.js";
import type { TlsSettings } from "../../src/storage/server.js";
import { has, startMariadb, type Controls, type MysqlServer } from "../servers/index.js";
import {
  administrator,
  errorOf,
  gate,
  KINDS_HERE,
  number,
  openDatabase,
  openPlace,
} from "./support.js";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const pem = (name: string): string => readFileSync(fixture(name), "utf8");

/** Takes connections and never says a word. */
async function silence(): Promise<{ port: number; server: Server }> {
  const server = createServer((socket) => void socket.on("error", () => undefined));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, server };
}

async function failing(): Promise<string> {
  throw new Error("no token today");
}

/** A port that nothing listens at. */
async function nowhere(): Promise<{ host: string; port: number }> {
  const { port, server } = await silence();
  await new Promise((resolve) => server.close(resolve));
  return { host: "127.0.0.1", port };
}

/** What a server says of itself, and nothing else. */
async function pretending(version: string): Promise<{ url: string; close(): void }> {
  const server = createMysqlServer((connection) => {
    connection.on("error", () => undefined);
    connection.serverHandshake({
      protocolVersion: 10,
      serverVersion: version,
      connectionId: 1,
      statusFlags: 2,
      characterSet: 8,
      capabilityFlags: 0xfff7ff,
    });
    connection.on("query", () =>
      connection.writeTextResult(
        [{ version }],
        [{ catalog: "def", schema: "", table: "", orgTable: "", name: "version", orgName: "" }].map(
          (column) => ({ ...column, characterSet: 33, columnLength: 99, columnType: 253 }),
        ) as never,
      ),
    );
  });
  const { _server: inner } = server.listen(0) as unknown as { _server: Server };
  await once(inner, "listening");
  const { port } = inner.address() as AddressInfo;
  return { url: `mysql://root@127.0.0.1:${port}/jobs`, close: () => void inner.close() };
}

test.each([
  ["5.7.44-log", "MySQL 5.7.44; qudo needs MySQL 8.0.17"],
  ["8.0.16", "MySQL 8.0.16; qudo needs MySQL 8.0.17"],
  ["10.5.29-MariaDB-ubu2204", "MariaDB 10.5.29; qudo needs MariaDB 10.6.0"],
  ["5.5.5-10.4.34-MariaDB", "MariaDB 10.4.34; qudo needs MariaDB 10.6.0"],
])("a server of version %s is refused by its name and version", async (version, says) => {
  const old = await pretending(version);
  expect(await errorOf(openDatabase(old.url))).toMatchObject({
    code: "QUDO_DATABASE_TOO_OLD",
    transient: false,
    message: expect.stringContaining(says) as string,
  });
  old.close();
});

describe.each(KINDS_HERE)("connections to $name", ({ server: find }) => {
  let server: MysqlServer;
  let url: string;

  beforeAll(async () => {
    server = await find();
    const place = await server.newDatabase();
    ({ url } = place);
    return () => place.drop();
  });

  const look =
    (text = "select 1") =>
    async (settings: Parameters<typeof openDatabase>[1]) => {
      await using db = await openDatabase(url, settings);
      return await db.look((tx) => number(tx, text));
    };

  test("a server that is not there is unreachable at once", async () => {
    const began = performance.now();
    const error = await errorOf(look()({ hosts: [await nowhere()] }));
    expect(error).toMatchObject({ code: "QUDO_DATABASE_UNREACHABLE", transient: true });
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  test("a server that says nothing is waited for until the time-out", async () => {
    const { port, server: silent } = await silence();
    const hosts = [{ host: "127.0.0.1", port }];
    expect(await errorOf(look()({ hosts, connectTimeoutMs: 100 }))).toMatchObject({
      code: "QUDO_DATABASE_UNREACHABLE",
      message: expect.stringContaining("no answer for 100 ms") as string,
    });
    silent.close();
  });

  test("a function is asked for the password at each new connection", async () => {
    const { password } = new URL(url);
    let asked = 0;
    const ask = async (): Promise<string> => (asked++, decodeURIComponent(password));
    await using db = await openDatabase(url, { password: ask, connections: 3 });
    const slow = () => db.look((tx) => number(tx, "select sleep(0.1)"));
    await Promise.all([slow(), slow(), slow()]);
    expect(asked).toBe(3);
    await slow();
    expect(asked).toBe(3);
  });

  test("what goes wrong is told by its code, with what to do, and without any secret", async () => {
    const secret = "hunter2secret";
    const errors: Error[] = [];
    const meet = async (code: string, transient: boolean, failing: Promise<unknown>) => {
      const error = await errorOf(failing);
      expect(error).toMatchObject({ code, transient });
      errors.push(error);
    };
    const refused = ["QUDO_DATABASE_UNREACHABLE", false] as const;
    await using admin = await administrator(url);
    const user = `app_${Math.random().toString(36).slice(2)}`;
    const account = `${user}@'%'`;
    await admin.query(
      `create user ${account} identified by '${secret}' with max_user_connections 1`,
    );
    const database = new URL(url).pathname.slice(1);
    const app = { user, password: secret };

    await meet(...refused, look()({ password: `${secret}wrong` }));
    await meet(...refused, look()({ database: "qudo_nowhere" }));
    await meet("QUDO_DATABASE_DENIED", false, look()(app));
    await admin.query(`grant select, insert on ${database}.* to ${account}`);
    await meet("QUDO_DATABASE_UNREACHABLE", true, look()({ password: failing }));
    expect(errors.at(-1)?.message).toContain("no token today");

    await using db = await openDatabase(url, app);
    const busy = db.look((tx) => number(tx, "select sleep(0.5)"));
    await meet("QUDO_DATABASE_BUSY", true, look()(app));
    await busy;
    const write = (text: string) => db.transaction((tx) => tx.run(raw(text)));
    await meet("QUDO_DATABASE_DENIED", false, write("create table x (n int)"));
    await meet("QUDO_SCHEMA_MISSING", false, write("insert into qudo_meta values (1, 1)"));
    await admin.query("create table m (id int primary key, text varchar(20), t longtext)");
    const texts = [`'${secret}`, `${secret}!`.repeat(10), `${secret}\u0000`];
    await meet("QUDO_DATABASE_FAILED", false, write(`insert into m (nonsense '${secret}')`));
    const put = (text: string) =>
      db.transaction((tx) => tx.run(sql`insert into m (id, text) values (${text}, ${text})`));
    for (const text of texts) await meet("QUDO_DATABASE_FAILED", false, put(text));
    await meet(
      "QUDO_DATABASE_FAILED",
      false,
      db.transaction((tx) =>
        tx.run(sql`insert into m (id, t) values (1, ${secret.repeat(5.5e6)})`),
      ),
    );
    await admin.query("set session max_heap_table_size = 16384");
    await admin.query("create table small (text varchar(1000)) engine = memory");
    await meet(
      "QUDO_DATABASE_FULL",
      true,
      write(`insert into small values ${Array.from({ length: 99 }, () => `('${secret}')`).join()}`),
    );
    await admin.query(`drop user ${account}`);
    for (const error of errors) {
      expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain(secret);
      expect(error.message).toMatch(/^mysql:\/\/.+\)$/);
    }
  });

  test("whoever closes waits for those who have a connection, and takes nobody new", async () => {
    const db = await openDatabase(url, { connections: 1 });
    const [begun, go] = [gate(), gate()];
    const within = db.transaction(async (tx) => {
      begun.open();
      await go.opened;
      return number(tx, "select 5");
    });
    await begun.opened;
    const closed = db.close();
    expect(await errorOf(db.look((tx) => number(tx, "select 1")))).toMatchObject({
      code: "QUDO_CLOSED",
    });
    go.open();
    expect(await within).toBe(5);
    await closed;
  });

  test("connections that nobody uses keep no process from its end", async () => {
    await using place = await openPlace(server);
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, [fixture("leaves.mjs"), place.url], {
      timeout: 20_000,
    });
    expect(stdout).toBe("inserted\n");
  });

  describe("the time", () => {
    test.each(["+00:00", "+05:30", "-11:00"])(
      "is the server's, in a session at %s",
      async (zone) => {
        await using place = await openPlace(server);
        const { admin, dialect } = place;
        await admin.query(`set time_zone = '${zone}'`);
        const clock = (dialect.now as unknown as { texts: string[] }).texts[0]!;
        const ask = async () => {
          const [rows] = await admin.query(`select ${clock} as now`);
          return Number((rows as { now: number }[])[0]!.now);
        };
        await admin.query("set timestamp = 1800000000.123");
        expect(await ask()).toBe(1_800_000_000_123);
        await admin.query("set timestamp = 1799999999.999");
        expect(await ask()).toBe(1_799_999_999_999);
      },
    );

    test("is the server's whatever the time is here", async () => {
      await using place = await openPlace(server);
      const here = Date.now;
      try {
        Date.now = () => here() + 86_400_000;
        const { now } = await place.driver.ping();
        expect(Math.abs(now - here())).toBeLessThan(5_000);
      } finally {
        Date.now = here;
      }
    });
  });
});

describe.skipIf(!(await has("mariadb")))("MariaDB over TLS", () => {
  let server: MysqlServer & Controls;
  let folder: string;

  beforeAll(async () => {
    // Where the server, which is not root, can read it.
    folder = mkdtempSync(join(tmpdir(), "qudo-tls-"));
    chmodSync(folder, 0o755);
    put("server.pem");
    put("server.key");
    server = await startMariadb({
      durable: false,
      settings: { "ssl-cert": join(folder, "server.pem"), "ssl-key": join(folder, "server.key") },
    });
  }, 60_000);

  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  const put = (name: string, as = name): void => {
    copyFileSync(fixture(name), join(folder, as));
    chmodSync(join(folder, as), 0o644);
  };

  const encrypted = async (ssl: TlsSettings | null, host = "127.0.0.1"): Promise<boolean> => {
    const port = Number(new URL(server.url).port);
    await using db = await openDatabase(`${server.url}mysql`, { ssl, hosts: [{ host, port }] });
    const rows = await db.look((tx) =>
      tx.all(raw("show session status like 'Ssl_cipher'"), { Value: "text" }),
    );
    return rows[0]!.Value !== "";
  };

  test("with its own authority, for the host's name, its address, or without a look at it", async () => {
    const ca = pem("ca.pem");
    expect(await encrypted({ verify: "host", ca })).toBe(true);
    expect(await encrypted({ verify: "host", ca, servername: "db.qudo.test" })).toBe(true);
    expect(await encrypted({ verify: "authority", ca, servername: "evil.test" })).toBe(true);
    expect(await encrypted({ verify: "nothing" })).toBe(true);
    expect(await encrypted(null)).toBe(false);
  });

  test("a certificate of somebody else's authority, or for another host, is refused for good", async () => {
    const ca = pem("ca.pem");
    const refused = { code: "QUDO_DATABASE_UNREACHABLE", transient: false };
    const other = { verify: "host", ca, servername: "evil.test" } as const;
    expect(await errorOf(encrypted(other))).toMatchObject(refused);
    expect(await errorOf(encrypted({ verify: "host" }))).toMatchObject(refused);
    expect(await errorOf(encrypted({ verify: "authority" }))).toMatchObject(refused);
    expect(await errorOf(encrypted({ verify: "host", ca }, "localhost"))).toMatchObject(refused);
  });

  test("one for `localhost` is none for an address", async () => {
    const ca = pem("ca.pem");
    put("localhost.pem", "server.pem");
    await using admin = await administrator(server.url);
    await admin.query("flush ssl");
    expect(await encrypted({ verify: "host", ca }, "localhost")).toBe(true);
    expect(await errorOf(encrypted({ verify: "host", ca }))).toMatchObject({
      code: "QUDO_DATABASE_UNREACHABLE",
      transient: false,
    });
  });
});

test.skipIf(!(await has("mariadb")))("a server without TLS is not spoken to in clear", async () => {
  await using server = await startMariadb({ durable: false, settings: { "skip-ssl": 1 } });
  expect(await errorOf(openDatabase(server.url, { ssl: { verify: "nothing" } }))).toMatchObject({
    code: "QUDO_DATABASE_UNREACHABLE",
    transient: false,
  });
});
