/** What addresses of servers ask for is what they get: encryption, hosts, users. Against real servers, through the front door. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { Client, Pool } from "pg";
import { createPool } from "mysql2";
import { createConnection, createPool as createPromisePool } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defineJob, Qudo, QudoError, type Database } from "../../src/index.js";
import {
  has,
  mariadb,
  postgres,
  startMariadb,
  startPostgres,
  type Controls,
  type MysqlServer,
  type PostgresServer,
} from "./index.js";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../postgres/fixtures/${name}`, import.meta.url));

/** "opened", or the code with which it was refused; the password is nowhere in it. */
async function attempt(database: Database, secret: string): Promise<string> {
  const qudo = new Qudo({ databases: database, migrate: false });
  try {
    await qudo.schemaVersion();
    return "opened";
  } catch (error) {
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(secret);
    return error instanceof QudoError ? error.code : inspect(error);
  } finally {
    expect(inspect(qudo, { depth: 9, showHidden: true })).not.toContain(secret);
    await qudo.close();
  }
}

const hello = defineJob("hello", { run: (name: string) => `hello ${name}` });

/** One job, from its enqueue to its result. */
async function works(database: Database): Promise<string> {
  await using qudo = new Qudo({ databases: database, jobs: [hello] });
  await using _ = await qudo.work();
  const job = await qudo.enqueue(hello, "you");
  return await job.result({ timeout: "20s" });
}

function changed(url: string, change: (url: URL) => void): string {
  const copy = new URL(url);
  change(copy);
  return copy.href;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const ca = encodeURIComponent(fixture("ca.pem"));
const pem = readFileSync(fixture("ca.pem"), "utf8");
const UNREACHABLE = "QUDO_DATABASE_UNREACHABLE";

describe.skipIf(!(await has("postgres")))("addresses of PostgreSQL", () => {
  let server: PostgresServer & Controls;
  let sockets: string;
  let secret: string;

  beforeAll(async () => {
    sockets = mkdtempSync(join(tmpdir(), "qudo-sockets-"));
    chmodSync(sockets, 0o777);
    const settings = { unix_socket_directories: sockets };
    server = await startPostgres({ durable: false, settings });
    secret = new URL(server.url).password;
    const admin = new Client({ connectionString: server.url });
    await admin.connect();
    // The server reads its key from its own folder only where nobody else can.
    for (const name of ["server.pem", "server.key"])
      await admin.query(
        `copy (select '${readFileSync(fixture(name), "utf8").replaceAll("\n", "|")}') to program 'umask 077; tr "|" "\\n" > ${name}'`,
      );
    await admin.query("alter system set ssl_cert_file = 'server.pem'");
    await admin.query("alter system set ssl_key_file = 'server.key'");
    await admin.query("alter system set ssl = on");
    await admin.end();
    await server.stop();
    await server.start();
  }, 120_000);

  afterAll(async () => {
    await server.close();
    rmSync(sockets, { recursive: true });
  });

  test.each([
    ["", "opened"],
    ["?sslmode=disable", "opened"],
    ["?sslmode=require", "opened"],
    [`?sslmode=require&sslrootcert=${ca}`, "opened"],
    [`?sslmode=verify-ca&sslrootcert=${ca}`, "opened"],
    // Signed by nobody whom Node knows.
    ["?sslmode=verify-ca", UNREACHABLE],
    ["?sslmode=verify-full", UNREACHABLE],
    ["?sslmode=verify-full&sslrootcert=system", UNREACHABLE],
    // Made for another name than 127.0.0.1.
    [`?sslmode=verify-full&sslrootcert=${ca}`, UNREACHABLE],
  ])("%j: %s", async (query, outcome) => {
    expect(await attempt(`${server.url}${query}`, secret)).toBe(outcome);
  });

  test("are encrypted where they say so, and only there", async () => {
    const admin = new Client({ connectionString: server.url });
    await admin.connect();
    const encrypted = async (query: string): Promise<unknown> => {
      await using qudo = new Qudo({ databases: `${server.url}${query}`, migrate: false });
      await qudo.schemaVersion();
      const { rows } = await admin.query<{ ssl: boolean }>(
        "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'encrypted?'",
      );
      return [...new Set(rows.map(({ ssl }) => ssl))];
    };
    expect(await encrypted("?application_name=encrypted%3F")).toEqual([false]);
    expect(await encrypted("?application_name=encrypted%3F&sslmode=require")).toEqual([true]);
    await admin.end();
  });

  test("with the option ssl are checked against it, whatever the address says", async () => {
    const url = `${server.url}?sslmode=require`;
    const named = { ca: pem, servername: "db.qudo.test" };
    expect(await attempt({ url, ssl: named }, secret)).toBe("opened");
    expect(await attempt({ url, ssl: { ca: pem } }, secret)).toBe(UNREACHABLE);
    expect(await attempt({ url, ssl: true }, secret)).toBe(UNREACHABLE);
    expect(await attempt({ url, ssl: { rejectUnauthorized: false } }, secret)).toBe("opened");
  });

  test("of several hosts go on to the one that is there", async () => {
    const { host } = new URL(server.url);
    const both = server.url.replace(host, `127.0.0.1:${await freePort()},${host}`);
    expect(await attempt(both, secret)).toBe("opened");
    expect(await works(both)).toBe("hello you");
  });

  test("lead to a socket", async () => {
    const { port } = new URL(server.url);
    const local = changed(server.url, (url) => (url.search = `host=${sockets}&port=${port}`));
    expect(await attempt(local, secret)).toBe("opened");
    const encoded = server.url.replace("127.0.0.1", encodeURIComponent(sockets));
    expect(await works(encoded)).toBe("hello you");
  });

  test("with a wrong password, user or database are refused, and show nothing", async () => {
    const wrong = (change: (url: URL) => void) => attempt(changed(server.url, change), "n0tThis");
    expect(await wrong((url) => (url.password = "n0tThis"))).toBe(UNREACHABLE);
    expect(await wrong((url) => (url.username = "nobody"))).toBe(UNREACHABLE);
    expect(await wrong((url) => (url.pathname = "/nowhere"))).toBe(UNREACHABLE);
    expect(await attempt({ url: server.url, password: async () => "n0tThis" }, "n0tThis")).toBe(
      UNREACHABLE,
    );
  });

  test("may leave the password to a function", async () => {
    const url = changed(server.url, (copy) => (copy.password = ""));
    expect(await attempt({ url, password: async () => secret }, secret)).toBe("opened");
  });

  test("may be a pool of the user's, which stays open", async () => {
    await using place = await server.newSchema();
    const pool = new Pool({ connectionString: place.url, max: 4 });
    expect(await works({ pool, schema: place.name })).toBe("hello you");
    const { rows } = await pool.query(`select count(*)::int as n from ${place.name}.qudo_job`);
    expect(rows).toEqual([{ n: 1 }]);
    await pool.end();
  });

  test("keep queues with other schemas and prefixes apart", async () => {
    await using place = await server.newDatabase();
    for (const search of ["", "schema=other", "prefix=q2_", "schema=other&prefix=q2_"]) {
      const url = changed(place.url, (copy) => (copy.search = search));
      expect(await works(url)).toBe("hello you");
      await using qudo = new Qudo({ databases: url });
      const lanes = await qudo.monitor.counts();
      expect(lanes.map(({ done }) => done)).toEqual([1]);
    }
  });
});

describe.skipIf(!(await has("mariadb")))("addresses of MariaDB", () => {
  let folder: string;
  let server: MysqlServer & Controls;
  let url: string;
  let secret: string;

  beforeAll(async () => {
    // Where the server's own user can read them.
    folder = mkdtempSync(join(tmpdir(), "qudo-tls-"));
    chmodSync(folder, 0o755);
    for (const name of ["server.pem", "server.key"]) {
      writeFileSync(join(folder, name), readFileSync(fixture(name)));
      chmodSync(join(folder, name), 0o644);
    }
    server = await startMariadb({
      durable: false,
      settings: {
        "ssl-cert": join(folder, "server.pem"),
        "ssl-key": join(folder, "server.key"),
      },
    });
    ({ url } = await server.newDatabase());
    secret = new URL(url).password;
  }, 120_000);

  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  test.each([
    ["", "opened"],
    ["?ssl=false", "opened"],
    ["?ssl-mode=DISABLED", "opened"],
    ["?ssl-mode=REQUIRED", "opened"],
    [`?ssl-ca=${ca}`, "opened"],
    [`?ssl-mode=VERIFY_CA&ssl-ca=${ca}`, "opened"],
    // Signed by nobody whom Node knows.
    ["?ssl-mode=VERIFY_CA", UNREACHABLE],
    ["?ssl=true", UNREACHABLE],
    // Made for another name than 127.0.0.1.
    [`?ssl-mode=VERIFY_IDENTITY&ssl-ca=${ca}`, UNREACHABLE],
    [`?ssl=true&ssl-ca=${ca}`, UNREACHABLE],
  ])("%j: %s", async (query, outcome) => {
    expect(await attempt(`${url}${query}`, secret)).toBe(outcome);
  });

  test("are encrypted where they say so, and only there", async () => {
    const plain = await handshakes();
    expect(await attempt(url, secret)).toBe("opened");
    expect(await handshakes()).toBe(plain);
    expect(await attempt(`${url}?ssl-mode=REQUIRED`, secret)).toBe("opened");
    expect(await handshakes()).toBeGreaterThan(plain);
  });

  async function handshakes(): Promise<number> {
    const admin = await createConnection(server.url);
    const [rows] = await admin.query("show global status like 'Ssl_accepts'");
    await admin.end();
    return Number((rows as { Value: string }[])[0]!.Value);
  }

  test("with the option ssl are checked against it", async () => {
    const named = { ca: pem, servername: "db.qudo.test" };
    expect(await attempt({ url, ssl: named }, secret)).toBe("opened");
    expect(await attempt({ url, ssl: { ca: pem } }, secret)).toBe(UNREACHABLE);
    expect(await attempt({ url, ssl: true }, secret)).toBe(UNREACHABLE);
    expect(await attempt({ url, ssl: { rejectUnauthorized: false } }, secret)).toBe("opened");
  });

  test("with a wrong password, user or database are refused, and show nothing", async () => {
    const wrong = (change: (url: URL) => void) => attempt(changed(url, change), "n0tThis");
    expect(await wrong((copy) => (copy.password = "n0tThis"))).toBe(UNREACHABLE);
    expect(await wrong((copy) => (copy.username = "nobody"))).toBe(UNREACHABLE);
    expect(await wrong((copy) => (copy.pathname = "/nowhere"))).toBe(UNREACHABLE);
    expect(await attempt({ url, password: async () => "n0tThis" }, "n0tThis")).toBe(UNREACHABLE);
  });

  test("may leave the password to a function", async () => {
    const bare = changed(url, (copy) => (copy.password = ""));
    expect(await attempt({ url: bare, password: async () => secret }, secret)).toBe("opened");
  });

  test("may be written mariadb://", async () => {
    expect(await attempt(url.replace("mysql:", "mariadb:"), secret)).toBe("opened");
  });
});

describe.skipIf(!(await has("mariadb")))("the server of the run", () => {
  test("takes a pool of the user's, of promises or callbacks, and it stays open", async () => {
    const server = await mariadb({ durable: false });
    await using place = await server.newDatabase();
    const pools = [createPromisePool(place.url), createPool(place.url)] as const;
    for (const pool of pools) expect(await works({ pool })).toBe("hello you");
    const [rows] = await pools[0].query("select count(*) as n from qudo_job");
    expect(rows).toEqual([{ n: 2 }]);
    await pools[0].end();
    await pools[1].promise().end();
  });

  test("keeps queues with other prefixes apart", async () => {
    const server = await mariadb({ durable: false });
    await using place = await server.newDatabase();
    for (const search of ["", "prefix=q2_"]) {
      const url = changed(place.url, (copy) => (copy.search = search));
      expect(await works(url)).toBe("hello you");
      await using qudo = new Qudo({ databases: url });
      expect((await qudo.monitor.counts()).map(({ done }) => done)).toEqual([1]);
    }
  });
});

describe.skipIf(!(await has("postgres")))("the time-outs of an address", () => {
  test("hold for who connects", async () => {
    const { url } = await postgres({ durable: false });
    const silent = createServer((socket) => void socket.on("error", () => undefined).resume());
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;
    const { host, password } = new URL(url);
    const started = performance.now();
    const late = url.replace(host, `127.0.0.1:${port}`);
    expect(await attempt(`${late}?connectTimeout=200ms`, password)).toBe(UNREACHABLE);
    // The default is 1 s.
    expect(performance.now() - started).toBeLessThan(900);
    await new Promise((resolve) => silent.close(resolve));
  });
});
