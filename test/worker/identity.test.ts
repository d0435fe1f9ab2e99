/** Several databases know who they are: wrong lists start nothing, modes are obeyed by everybody, transactions find their database. */
import { linkSync, symlinkSync } from "node:fs";
import { createConnection, type Connection } from "mysql2/promise";
import { Client } from "pg";
import { afterEach, describe, expect, test } from "vitest";
import {
  defineJob,
  InvalidInputError,
  Qudo,
  type ListedDatabase,
  type QudoEvents,
} from "../../src/index.js";
import { within } from "../../src/testing/conformance/harness.js";
import { has, mariadb, postgres } from "../servers/index.js";
import { closing, newPath, openHandle, refused, silent } from "./support.js";

const mail = defineJob("mail", { run: () => undefined });

function several(databases: readonly ListedDatabase[], more: object = {}): Qudo {
  return closing(new Qudo({ databases, jobs: [mail], logger: silent(), ...more }));
}

/** Two files, "a" and "b", with their tables and names. */
async function twoFiles(): Promise<[a: string, b: string]> {
  const [a, b] = [newPath(), newPath()];
  await several([
    { name: "a", url: `sqlite:${a}` },
    { name: "b", url: `sqlite:${b}` },
  ]).migrate();
  return [a, b];
}

const countsOf = async (path: string): Promise<number> => {
  const lanes = await closing(new Qudo({ databases: `sqlite:${path}` })).monitor.counts();
  return lanes.reduce((sum, { pending }) => sum + pending, 0);
};
const enqueue = async (qudo: Qudo, n: number): Promise<void> => {
  await qudo.enqueueMany(Array.from({ length: n }, (_, i) => [mail, i] as const));
};

const jobsIn = (path: string) => closing(new Qudo({ databases: `sqlite:${path}` })).jobs;

/** Whatever a program may do first. */
const FIRST: Readonly<Record<string, (qudo: Qudo) => Promise<unknown>>> = {
  enqueue: (qudo) => qudo.enqueue(mail, 1),
  "a look": (qudo) => qudo.monitor.counts(),
  "a job by its id": (qudo) => qudo.jobs.get("01a2056e-0fcc-7000-b73f-72fe5e0a14cb"),
  work: (qudo) => qudo.work({ signals: false }),
};

describe.each(Object.entries(FIRST))("%s is refused", (_, first) => {
  test("where addresses are swapped, with both names", async () => {
    const [a, b] = await twoFiles();
    const qudo = several([
      { name: "a", url: `sqlite:${b}` },
      { name: "b", url: `sqlite:${a}` },
    ]);
    const error = await refused(first(qudo));
    expect(error).toBeInstanceOf(InvalidInputError);
    expect(error.code).toBe("QUDO_DATABASE_SWAPPED");
    expect(error.message).toMatch(/configured as (a|b) .* says that it is (?!\1)(a|b)\b/);
  });

  test("where one is a copy of another, whichever of them is first", async () => {
    const [a] = await twoFiles();
    const copy = newPath();
    await closing(new Qudo({ databases: `sqlite:${a}` })).backup(copy);
    const qudo = several([
      { name: "b", url: `sqlite:${copy}` },
      { name: "a", url: `sqlite:${a}` },
    ]);
    const error = await refused(first(qudo));
    expect(error.code).toBe("QUDO_DATABASE_TWICE");
    expect(error.message).toMatch(/\b(a and b|b and a) are one database/);
  });

  test("where only one of them is wrong", async () => {
    const [a, b] = await twoFiles();
    const qudo = several([
      { name: "a", url: `sqlite:${a}` },
      { name: "c", url: `sqlite:${b}` },
    ]);
    expect(await refused(first(qudo))).toMatchObject({ code: "QUDO_DATABASE_SWAPPED" });
  });
});

test("a file that is linked to is found out before anything is opened", async () => {
  const [a] = await twoFiles();
  for (const link of [linkSync, symlinkSync]) {
    const path = newPath();
    link(a, path);
    const list = [
      { name: "a", url: `sqlite:${a}` },
      { name: "b", url: `sqlite:${path}` },
    ];
    expect(() => several(list)).toThrow("one address twice: a and b");
  }
});

test("a database that cannot be opened is out, and no mistake of the list", async () => {
  const [a] = await twoFiles();
  const qudo = several([
    { name: "a", url: `sqlite:${a}` },
    { name: "b", url: "sqlite:/nowhere/at/all/b.db" },
  ]);
  await qudo.enqueue(mail, 1);
  const worker = await qudo.work({ signals: false, logger: silent() });
  await worker.stop();
  expect(await qudo.monitor.databases()).toMatchObject([
    { name: "a", state: "healthy" },
    { name: "b", state: "out" },
  ]);
});

test("whoever makes no tables writes no names", async () => {
  const path = newPath();
  await closing(new Qudo({ databases: `sqlite:${path}` })).migrate();
  const database = { name: "a", url: `sqlite:${path}`, create: false };
  await several([database], { migrate: false }).monitor.counts();
  await several([{ ...database, name: "b" }], { migrate: false }).monitor.counts();
  await several([{ name: "a", url: `sqlite:${path}` }]).monitor.counts();
  const late = several([{ ...database, name: "b" }], { migrate: false });
  expect(await refused(late.monitor.counts())).toMatchObject({ code: "QUDO_DATABASE_SWAPPED" });
});

test("a renamed database is used under its new name, and a copy beside what it was copied from", async () => {
  const [a, b] = await twoFiles();
  const copy = newPath();
  await closing(new Qudo({ databases: `sqlite:${a}` })).backup(copy);
  const pair = (name: string): ListedDatabase[] => [
    { name: "a", url: `sqlite:${a}` },
    { name, url: `sqlite:${copy}` },
  ];
  expect(await refused(several(pair("c")).monitor.counts())).toMatchObject({
    code: "QUDO_DATABASE_TWICE",
  });
  const alone = closing(new Qudo({ databases: `sqlite:${copy}` }));
  const renamed = await alone.rename("c", { copy: true });
  expect(renamed).toMatchObject({ name: "c", mode: "active" });
  await several(pair("c")).monitor.counts();
  await closing(new Qudo({ databases: `sqlite:${b}` })).rename("c");
  await several([{ name: "c", url: `sqlite:${b}` }]).monitor.counts();
  expect(await refused(alone.rename("No"))).toMatchObject({ code: "QUDO_INVALID_OPTION" });
  expect(await refused(several(pair("c")).rename("d"))).toMatchObject({
    code: "QUDO_UNSUPPORTED",
  });
});

describe("a mode", () => {
  test("that is set sends new jobs elsewhere at once, and in other processes within seconds", async () => {
    const [a, b] = await twoFiles();
    const list = [
      { name: "a", url: `sqlite:${a}` },
      { name: "b", url: `sqlite:${b}` },
    ];
    const [one, other] = [several(list), several(list)];
    await Promise.all([enqueue(one, 20), enqueue(other, 20)]);
    const before = await countsOf(b);
    expect(before).toBeGreaterThan(0);
    const heard = new Promise<QudoEvents["database"]>((resolve) => other.once("database", resolve));
    await one.setMode("b", "drain");
    await enqueue(one, 20);
    expect(await countsOf(b)).toBe(before);
    // Its mode is asked for while it is in use, so that nobody has to tell it.
    await other.monitor.counts();
    expect(await within(15_000, "the other hears of it", heard)).toMatchObject({
      name: "b",
      from: "active",
      to: "drain",
    });
    await enqueue(other, 20);
    expect(await countsOf(b)).toBe(before);
    await one.setMode("b", "active");
    await enqueue(one, 20);
    expect(await countsOf(b)).toBeGreaterThan(before);
  });

  test("of the list is obeyed where the database says nothing, and the stricter one counts", async () => {
    const [a, b] = await twoFiles();
    const list = (mode: "active" | "drain"): ListedDatabase[] => [
      { name: "a", url: `sqlite:${a}` },
      { name: "b", url: `sqlite:${b}`, mode },
    ];
    const drained = several(list("drain"));
    await enqueue(drained, 20);
    expect(await countsOf(b)).toBe(0);
    await drained.setMode("b", "active");
    expect((await drained.monitor.databases())[1]).toMatchObject({ mode: "drain" });
    await drained.setMode("b", "off");
    expect((await several(list("active")).monitor.databases())[1]).toMatchObject({ mode: "off" });
  });

  test("that is off is not claimed from, drain is; what is tied to a database by a transaction goes there", async () => {
    const [a, b] = await twoFiles();
    const qudo = several([
      { name: "a", url: `sqlite:${a}` },
      { name: "b", url: `sqlite:${b}` },
    ]);
    const handle = openHandle(b);
    await qudo.setMode("b", "off");
    await qudo.in(handle).enqueue(mail, 1);
    handle.close();
    const first = (await qudo.enqueue(mail, 2)).id;
    const worker = await qudo.work({ signals: false, logger: silent() });
    await qudo.jobs.result(first, { timeout: "10s" });
    expect(await countsOf(b)).toBe(1);
    const done = new Promise((resolve) => qudo.on("done", resolve));
    await qudo.setMode("b", "drain");
    await within(10_000, "it is worked off", done);
    await worker.stop();
    expect(await countsOf(b)).toBe(0);
  });

  test("is set by the name that a database has, and no other", async () => {
    const [a, b] = await twoFiles();
    const qudo = several([{ name: "a", url: `sqlite:${a}` }]);
    expect(await refused(qudo.setMode("b", "off"))).toMatchObject({
      code: "QUDO_UNKNOWN_DATABASE",
    });
    expect(await refused(qudo.setMode("a", "on" as "off"))).toMatchObject({
      code: "QUDO_INVALID_OPTION",
    });
    const alone = closing(new Qudo({ databases: `sqlite:${b}` }));
    const error = await refused(alone.setMode("a", "off"));
    expect(error.code).toBe("QUDO_UNKNOWN_DATABASE");
    expect(error.message).toContain("is called b");
    await alone.setMode("b", "off");
    expect(
      (await several([{ name: "b", url: `sqlite:${b}` }]).monitor.databases())[0],
    ).toMatchObject({ mode: "off" });
  });
});

describe("qudo.in", () => {
  test("puts jobs into the file that the handle is on, and refuses any other", async () => {
    const [a, b] = await twoFiles();
    const qudo = several([
      { name: "a", url: `sqlite:${a}` },
      { name: "b", url: `sqlite:${b}` },
      { name: "m", url: "postgres://u@127.0.0.1:1/d" },
    ]);
    const [one, other, third] = [a, b, newPath()].map((path) => openHandle(path));
    const first = qudo.in(one!).enqueueSync(mail, 1);
    other!.exec("begin immediate");
    const second = qudo.in(other!).enqueueSync(mail, 2);
    other!.exec("commit");
    expect(() => qudo.in(third!)).toThrow(
      expect.objectContaining({
        code: "QUDO_WRONG_DATABASE",
        message: expect.stringMatching(
          /one of .*: a \(sqlite:.*, b \(sqlite:.*, m \(postgres:/,
        ) as string,
      }),
    );
    for (const handle of [one, other, third]) handle!.close();
    expect(await jobsIn(a).get(first.id)).not.toBeNull();
    expect(await jobsIn(b).get(second.id)).not.toBeNull();
  });
});

const servers = (await has("postgres")) && (await has("mariadb"));

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one[Symbol.asyncDispose]();
});

async function places(): Promise<{ pg: string; my: [string, string] }> {
  const fresh = [
    await (await postgres({ durable: false })).newDatabase(),
    await (await mariadb({ durable: false })).newDatabase(),
    await (await mariadb({ durable: false })).newDatabase(),
  ];
  for (const place of fresh) opened.push({ [Symbol.asyncDispose]: () => place.drop() });
  return { pg: fresh[0]!.url, my: [fresh[1]!.url, fresh[2]!.url] };
}

async function pgClient(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  opened.push({ [Symbol.asyncDispose]: () => client.end() });
  return client;
}

async function myClient(uri: string): Promise<Connection> {
  const connection = await createConnection({ uri });
  opened.push({ [Symbol.asyncDispose]: () => connection.end() });
  return connection;
}

const databaseOf = async (qudo: Qudo, id: string) => (await qudo.jobs.get(id))?.database;

/** Two queues in one PostgreSQL database, and two databases of one MariaDB. */
async function fleet(): Promise<{ qudo: Qudo; pg: string; my: [string, string] }> {
  const { pg, my } = await places();
  const qudo = several([
    { name: "p1", url: pg, schema: "one" },
    { name: "p2", url: pg, schema: "two" },
    { name: "m1", url: my[0] },
    { name: "m2", url: my[1] },
  ]);
  // Before databases are dropped nobody may be connected.
  opened.push({ [Symbol.asyncDispose]: () => qudo.close() });
  await qudo.migrate();
  return { qudo, pg, my };
}

describe.skipIf(!servers)("qudo.in on servers", () => {
  test("a connection finds the database that it is on, of several of its kind", async () => {
    const { qudo, my } = await fleet();
    for (const [i, name] of ["m1", "m2"].entries()) {
      const connection = await myClient(my[i]!);
      await connection.beginTransaction();
      const first = await qudo.in(connection).enqueue(mail, 1);
      const [second, third] = await Promise.all([
        qudo.in(connection).enqueue(mail, 2),
        qudo.in(connection).enqueue(mail, 3),
      ]);
      expect(await qudo.jobs.get(first.id)).toBeNull();
      await connection.commit();
      for (const { id } of [first, second, third]) expect(await databaseOf(qudo, id)).toBe(name);
      await connection.beginTransaction();
      const undone = await qudo.in(connection).enqueue(mail, 4);
      await connection.rollback();
      expect(await qudo.jobs.get(undone.id)).toBeNull();
    }
  });

  test("of two queues in one database the first is meant, and a transaction goes on after it was asked", async () => {
    const { qudo, pg } = await fleet();
    const client = await pgClient(pg);
    await client.query("create table mine (n int)");
    await client.query("begin");
    await client.query("insert into mine values (1)");
    const job = await qudo.in(client).enqueue(mail, 1);
    await client.query("insert into mine values (2)");
    await client.query("commit");
    expect(await databaseOf(qudo, job.id)).toBe("p1");
    expect((await client.query("select count(*)::int as n from mine")).rows).toEqual([{ n: 2 }]);
  });

  test("a connection on none of them is refused, and its transaction goes on", async () => {
    const { qudo } = await fleet();
    const { pg, my } = await places();
    const client = await pgClient(pg);
    await client.query("create table mine (n int)");
    await client.query("begin");
    const error = await refused(qudo.in(client).enqueue(mail, 1));
    expect(error.code).toBe("QUDO_WRONG_DATABASE");
    expect(error.message).toContain("schema=one");
    await client.query("insert into mine values (1)");
    await client.query("commit");
    expect((await client.query("select count(*)::int as n from mine")).rows).toEqual([{ n: 1 }]);

    // There a transaction can be on all databases of the server: those that it is in none of are reached all the same.
    const connection = await myClient(my[0]);
    await connection.beginTransaction();
    const job = await qudo.in(connection).enqueue(mail, 1);
    await connection.commit();
    expect(await databaseOf(qudo, job.id)).toBe("m1");
  });

  test("two addresses of one database are found out", async () => {
    const { pg, my } = await places();
    for (const url of [pg, my[0]]) {
      const other = new URL(url);
      other.hostname = other.hostname === "localhost" ? "127.0.0.1" : "localhost";
      const qudo = several([
        { name: "a", url },
        { name: "b", url: other.href },
      ]);
      opened.push({ [Symbol.asyncDispose]: () => qudo.close() });
      const error = await refused(qudo.enqueue(mail, 1));
      expect(error.code).toBe("QUDO_DATABASE_TWICE");
      expect(error.message).not.toContain(other.password || "no password");
    }
  });

  test("without a transaction it is refused", async () => {
    const { qudo, pg } = await fleet();
    const client = await pgClient(pg);
    expect(await refused(qudo.in(client).enqueue(mail, 1))).toMatchObject({
      code: "QUDO_NO_TRANSACTION",
    });
  });

  test("where the only other one of its kind cannot be asked, that is said", async () => {
    const { pg } = await places();
    const { pg: elsewhere } = await places();
    const gone = new URL(pg);
    gone.port = "1";
    const qudo = several([
      { name: "p1", url: pg },
      { name: "p2", url: gone.href },
    ]);
    opened.push({ [Symbol.asyncDispose]: () => qudo.close() });
    const client = await pgClient(pg);
    await client.query("begin");
    const job = await qudo.in(client).enqueue(mail, 1);
    await client.query("commit");
    expect(await databaseOf(qudo, job.id)).toBe("p1");
    const other = await pgClient(elsewhere);
    await other.query("begin");
    expect(await refused(qudo.in(other).enqueue(mail, 1))).toMatchObject({
      code: "QUDO_DATABASE_OUT",
    });
    await other.query("rollback");
  });
});
