/** How connections are made: to which server, encrypted how, as whom, and for how long is waited. */
import { readFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { raw } from "../../src/storage/sql/query.js";
import { openPostgres } from "../../src/storage/postgres/index.js";
import type { TlsSettings } from "../../src/storage/server.js";
import { postgresSettings } from "../conformance/support/postgres.js";
import {
  has,
  postgres,
  startPostgres,
  type Controls,
  type PostgresServer,
} from "../servers/index.js";
import { errorOf, gate, number, openDatabase, superuser } from "./support.js";

const pem = (name: string): string =>
  readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8");

const hostOf = (url: string) => {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
};

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

async function readOnly(server: PostgresServer, on: boolean): Promise<void> {
  await using admin = await superuser(server.url);
  await admin.query(`alter system set default_transaction_read_only = ${on ? "on" : "off"}`);
  await admin.query("select pg_reload_conf()");
  // The server's processes hear of it one by one.
  for (;;) {
    await using other = await superuser(server.url);
    const { rows } = await other.query<{ s: string }>(
      "select current_setting('default_transaction_read_only') as s",
    );
    if (rows[0]!.s === (on ? "on" : "off")) return;
  }
}

describe.skipIf(!(await has("postgres")))("PostgreSQL connections", () => {
  let url: string;

  beforeAll(async () => {
    ({ url } = await postgres({ durable: false }));
  });

  test("a server that is not there is unreachable at once, for everybody who waits", async () => {
    await using opened = await openDatabase(url, { hosts: [await nowhere()], connections: 2 });
    const all = Array.from({ length: 20 }, () =>
      errorOf(opened.db.look((tx) => number(tx, "select 1"))),
    );
    for (const error of await Promise.all(all))
      expect(error).toMatchObject({ code: "QUDO_DATABASE_UNREACHABLE", transient: true });
  });

  test("a server that says nothing is waited for until the time-out", async () => {
    const { port, server } = await silence();
    const hosts = [{ host: "127.0.0.1", port }];
    await using opened = await openDatabase(url, { hosts, connectTimeoutMs: 100 });
    const error = await errorOf(opened.db.look((tx) => number(tx, "select 1")));
    expect(error).toMatchObject({
      code: "QUDO_DATABASE_UNREACHABLE",
      message: expect.stringContaining("no answer for 100 ms") as string,
    });
    server.close();
  });

  test("a server that stops to answer is given up", { timeout: 60_000 }, async () => {
    await using server = await startPostgres({ durable: false });
    await using opened = await openDatabase(server.url, { statementTimeoutMs: 100 });
    await opened.db.look((tx) => number(tx, "select 1"));
    await server.pause();
    const error = await errorOf(opened.db.transaction((tx) => number(tx, "select 1")));
    expect(error).toMatchObject({ code: "QUDO_DATABASE_UNREACHABLE", transient: true });
    await server.resume();
    expect(await opened.db.transaction((tx) => number(tx, "select 1"))).toBe(1);
  });

  test("a server that is too old is refused, by name and version", async () => {
    await using admin = await superuser(url);
    // As the server sees it there is no other way to be of another version than to be another server.
    await admin.query(`create schema old; create role old login password 'old';
      grant usage on schema old to old;
      create function old.current_setting(text) returns text language sql as
        $$select case $1 when 'server_version_num' then '130012' when 'server_version' then '13.12' else 'off' end$$;
      alter role old set search_path = old, pg_catalog`);
    const error = await errorOf(
      openPostgres(postgresSettings(url, { user: "old", password: "old" })),
    );
    expect(error).toMatchObject({
      code: "QUDO_DATABASE_TOO_OLD",
      transient: false,
      message: expect.stringContaining("PostgreSQL 13.12; qudo needs PostgreSQL 14") as string,
    });
    await admin.query("drop schema old cascade; drop role old");
  });

  describe("of several hosts", () => {
    let one: PostgresServer & Controls;
    let two: PostgresServer & Controls;

    beforeAll(async () => {
      [one, two] = await Promise.all([startPostgres(), startPostgres()]);
      for (const server of [one, two]) {
        await using admin = await superuser(server.url);
        await admin.query("create role app login superuser password 'app'; create table t (n int)");
      }
    }, 60_000);

    afterAll(async () => {
      await Promise.all([one.close(), two.close()]);
    });

    test("the one that takes writes is found, and found again when it is another one", async () => {
      const [first, second] = [hostOf(one.url), hostOf(two.url)];
      await readOnly(one, true);
      const hosts = [await nowhere(), first, second];
      await using opened = await openDatabase(one.url, { hosts, user: "app", password: "app" });
      const where = () => opened.db.look((tx) => number(tx, "select inet_server_port()"));
      const write = () => opened.db.transaction((tx) => tx.run(raw("insert into t values (1)")));
      await write();
      expect(await where()).toBe(second.port);
      await readOnly(one, false);
      await readOnly(two, true);
      expect(await errorOf(write())).toMatchObject({
        code: "QUDO_DATABASE_READ_ONLY",
        transient: true,
      });
      await write();
      expect(await where()).toBe(first.port);
      await readOnly(two, false);
      await one.kill();
      await write();
      expect(await where()).toBe(second.port);
      await one.start();
    });

    test("where none takes writes, those who look are served all the same", async () => {
      await Promise.all([readOnly(one, true), readOnly(two, true)]);
      const hosts = [await nowhere(), hostOf(one.url), hostOf(two.url)];
      await using opened = await openDatabase(one.url, { hosts, user: "app", password: "app" });
      expect(await opened.db.snapshot((tx) => number(tx, "select 1"))).toBe(1);
      const error = await errorOf(
        opened.db.transaction((tx) => tx.run(raw("insert into t values (1)"))),
      );
      expect(error).toMatchObject({ code: "QUDO_DATABASE_READ_ONLY" });
      await Promise.all([readOnly(one, false), readOnly(two, false)]);
    });
  });

  describe("encrypted", () => {
    let server: PostgresServer & Controls;

    beforeAll(async () => {
      server = await startPostgres({ durable: false });
      await using admin = await superuser(server.url);
      for (const name of ["server.pem", "server.key"])
        await admin.query(
          `copy (select '${pem(name).replaceAll("\n", "|")}') to program 'umask 077; tr "|" "\\n" > ${name}'`,
        );
      await admin.query("alter system set ssl_cert_file = 'server.pem'");
      await admin.query("alter system set ssl_key_file = 'server.key'");
      await admin.query("alter system set ssl = on");
      await server.stop();
      await server.start();
    }, 60_000);

    afterAll(() => server.close());

    const encrypted = async (ssl: TlsSettings): Promise<boolean> => {
      await using opened = await openDatabase(server.url, { ssl });
      const text = "select ssl::int from pg_stat_ssl where pid = pg_backend_pid()";
      return (await opened.db.look((tx) => number(tx, text))) === 1;
    };

    test("with an authority of one's own, for the name in the certificate", async () => {
      const ca = pem("ca.pem");
      expect(await encrypted({ verify: "host", ca, servername: "db.qudo.test" })).toBe(true);
      expect(await encrypted({ verify: "authority", ca })).toBe(true);
      expect(await encrypted({ verify: "nothing" })).toBe(true);
    });

    test("a certificate of somebody else's authority, or for another host, is refused for good", async () => {
      const refused = { code: "QUDO_DATABASE_UNREACHABLE", transient: false };
      expect(
        await errorOf(encrypted({ verify: "host", servername: "db.qudo.test" })),
      ).toMatchObject(refused);
      expect(await errorOf(encrypted({ verify: "host", ca: pem("ca.pem") }))).toMatchObject(
        refused,
      );
      const other = { verify: "host", ca: pem("ca.pem"), servername: "evil.test" } as const;
      expect(await errorOf(encrypted(other))).toMatchObject(refused);
    });

    test("and not at all where that was not asked for", async () => {
      await using opened = await openDatabase(server.url);
      const text = "select ssl::int from pg_stat_ssl where pid = pg_backend_pid()";
      expect(await opened.db.look((tx) => number(tx, text))).toBe(0);
    });
  });

  test("a function is asked for the password at each new connection", async () => {
    const { password } = new URL(url);
    let asked = 0;
    const ask = async (): Promise<string> => (asked++, password);
    await using opened = await openDatabase(url, { password: ask, connections: 3 });
    const look = () => opened.db.look((tx) => number(tx, "select 1 from pg_sleep(0.05)"));
    await Promise.all([look(), look(), look()]);
    expect(asked).toBe(3);
    await look();
    expect(asked).toBe(3);
  });

  test("no error shows a password, however deep one looks", async () => {
    const secret = "hunter2secret";
    const errors: Error[] = [];
    const settings = { password: secret };
    await using refused = await openDatabase(url, settings);
    errors.push(await errorOf(refused.db.look((tx) => number(tx, "select 1"))));
    expect(errors[0]).toMatchObject({ code: "QUDO_DATABASE_UNREACHABLE", transient: false });
    await using gone = await openDatabase(url, { ...settings, hosts: [await nowhere()] });
    errors.push(await errorOf(gone.db.look((tx) => number(tx, "select 1"))));
    await using failed = await openDatabase(url, { password: failing });
    errors.push(await errorOf(failed.db.look((tx) => number(tx, "select 1"))));
    await using admin = await superuser(url);
    await admin.query(`create role app login password '${secret}'`);
    await using poor = await openDatabase(url, { ...settings, user: "app" });
    errors.push(await errorOf(poor.db.look((tx) => tx.run(raw("create table public.x (n int)")))));
    expect(errors.at(-1)).toMatchObject({ code: "QUDO_DATABASE_DENIED" });
    errors.push(await errorOf(poor.db.look((tx) => number(tx, "select 1 from qudo_job"))));
    expect(errors.at(-1)).toMatchObject({ code: "QUDO_SCHEMA_MISSING" });
    await admin.query("drop role app");
    for (const error of errors)
      expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain(secret);
  });

  test("a pool that is closed lets those finish who have a connection, and takes nobody new", async () => {
    const opened = await openDatabase(url, { connections: 1 });
    const [begun, go] = [gate(), gate()];
    const within = opened.db.transaction(async (tx) => {
      begun.open();
      await go.opened;
      return number(tx, "select 5");
    });
    await begun.opened;
    const waiting = errorOf(opened.db.look((tx) => number(tx, "select 1")));
    await new Promise((resolve) => setImmediate(resolve));
    const closed = opened.db.close();
    expect(await waiting).toMatchObject({ code: "QUDO_CLOSED" });
    go.open();
    expect(await within).toBe(5);
    await closed;
    expect(await errorOf(opened.db.look((tx) => number(tx, "select 1")))).toMatchObject({
      code: "QUDO_CLOSED",
    });
  });
});
