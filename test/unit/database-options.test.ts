/** What may be said about a database beside its address; that it goes together; and that no secret of it is ever shown. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import * as fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import { defineJob, Qudo, type Database, type DatabaseOptions } from "../../src/index.js";
import { checkDatabase } from "../../src/storage/check.js";
import { openDirect } from "../../src/storage/open.js";
import { readTls } from "../../src/storage/tls.js";
import { refusal } from "./support/refusal.js";
import { mysqlOf, postgresOf, shown } from "./support/settings.js";

const postgres = "postgres://u:p@h/d";
const mysql = "mysql://u:p@h/d";
const PEM = "-----BEGIN CERTIFICATE-----\nsecret\n-----END CERTIFICATE-----\n";
const pgPool = { connect: () => undefined, query: () => undefined };
const mysqlPool = { getConnection: () => undefined, query: () => undefined };

describe("options of servers", () => {
  it("outrank what the address says", async () => {
    const url = `${postgres}?schema=a&prefix=b_&connections=1&connectTimeout=1&statementTimeout=1&listen=true&prepare=true&sslmode=require`;
    const options = {
      password: "other",
      ssl: false,
      schema: "c",
      prefix: "d_",
      connections: 2,
      connectTimeout: "2s",
      statementTimeout: 3,
      listen: false,
      prepare: false,
    };
    const { connectTimeout: _, statementTimeout: __, ...same } = options;
    expect(await shown(postgresOf({ url, ...options }))).toMatchObject({
      ...same,
      ssl: null,
      connectTimeoutMs: 2_000,
      statementTimeoutMs: 3_000,
      label: "postgres://u@h:5432/d?schema=c&prefix=d_",
    });
  });

  it("may be undefined, also those of others", () => {
    expect(postgresOf({ url: postgres, schema: undefined, synchronous: undefined })).toMatchObject({
      schema: "public",
    });
  });

  it("take a password as a function, and ask it for each connection", async () => {
    let n = 0;
    const { password } = mysqlOf({ url: mysql, password: async () => `token ${++n}` });
    const ask = password as () => Promise<string>;
    expect([await ask(), await ask()]).toEqual(["token 1", "token 2"]);
  });

  it.each([
    [true, { verify: "host" }],
    [false, null],
    [{}, { verify: "host" }],
    [
      { ca: PEM, servername: "db" },
      { verify: "host", ca: PEM, servername: "db" },
    ],
    [{ ca: [PEM, Buffer.from(PEM)] }, { ca: [PEM, Buffer.from(PEM)] }],
    [
      { cert: PEM, key: PEM },
      { cert: PEM, key: PEM },
    ],
    [{ rejectUnauthorized: false }, { verify: "nothing" }],
  ])("take ssl: %j", (ssl, wanted) => {
    for (const found of [postgresOf({ url: postgres, ssl }).ssl, mysqlOf({ url: mysql, ssl }).ssl])
      if (wanted === null) expect(found).toBeNull();
      else expect(found).toMatchObject(wanted);
  });

  it.each([
    [{ ssl: "secret" }, "ssl: give true, false or an object"],
    [{ ssl: null }, "ssl: give true, false or an object"],
    [{ ssl: [] }, "ssl: give true, false or an object"],
    [{ ssl: { ca: "/secret.pem" } }, 'ssl.ca: give PEM text, which begins with "-----BEGIN"'],
    [{ ssl: { ca: [PEM, 5] } }, "ssl.ca: give PEM text"],
    [{ ssl: { cert: PEM } }, "ssl: give both cert and key"],
    [{ ssl: { key: PEM } }, "ssl: give both cert and key"],
    [{ ssl: { cert: PEM, key: [PEM] } }, "ssl.key: give PEM text"],
    [{ ssl: { servername: 5 } }, "ssl.servername: give the name"],
    [{ ssl: { rejectUnauthorized: "secret" } }, "ssl.rejectUnauthorized: give true or false"],
    [{ password: 5 }, "password is neither text nor a function"],
    [{ password: null }, "password is neither text nor a function"],
    [{ prefix: "Q_" }, 'prefix is "Q_"; give small letters'],
    [{ prefix: null }, "prefix is null"],
    [{ prefix: "1a" }, "no digit first"],
    [{ prefix: 'a"' }, "prefix is"],
    [{ connections: "5" }, "connections is"],
    [{ connections: 0 }, "from 1 to 1000"],
    [{ connectTimeout: 0 }, "from 1 ms to 24 days"],
    [{ statementTimeout: "9w" }, "from 1 ms to 24 days"],
  ])("cannot be %j", (options, words) => {
    for (const url of [postgres, mysql]) {
      const { code, message } = refusal(() => checkDatabase({ url, ...options }));
      expect(code).toBe("QUDO_INVALID_OPTION");
      expect(message).toContain(words);
      expect(message).not.toContain("secret");
    }
  });

  it.each([
    [{ schema: "a-b" }, 'schema is "a-b"'],
    [{ schema: null }, "schema is null"],
    [{ prepare: 1 }, "prepare: give true or false"],
    [{ prepare: null }, "prepare: give true or false"],
  ])("of PostgreSQL cannot be %j", (options, words) => {
    const { code, message } = refusal(() => checkDatabase({ url: postgres, ...options }));
    expect({ code, message }).toEqual({
      code: "QUDO_INVALID_OPTION",
      message: expect.stringContaining(words) as string,
    });
  });
});

describe("a pool of the user's", () => {
  it("tells by its methods whose it is", () => {
    expect(postgresOf({ pool: pgPool, schema: "a", listen: false })).toMatchObject({
      pool: pgPool,
      hosts: [],
      schema: "a",
      listen: false,
      label: "postgres: your pool",
    });
    expect(mysqlOf({ pool: mysqlPool, prefix: "a_" })).toMatchObject({
      pool: mysqlPool,
      hosts: [],
      prefix: "a_",
      label: "mysql: your pool",
    });
  });

  it("may have a listener of ours beside it", () => {
    const { listen } = postgresOf({ pool: pgPool, listen: "postgres://u@h/d" });
    expect(listen).toMatchObject({ hosts: [{ host: "h", port: 5_432 }] });
  });

  it.each(["url", "password", "ssl", "connections", "connectTimeout"])(
    "knows better than the option %s",
    (name) => {
      for (const pool of [pgPool, mysqlPool]) {
        const value = name === "url" ? (pool === pgPool ? postgres : mysql) : 1;
        const { code, message } = refusal(() => checkDatabase({ pool, [name]: value }));
        expect(code).toBe("QUDO_INVALID_OPTION");
        expect(message).toContain(`${name} and pool exclude each other`);
      }
    },
  );

  it.each([{}, null, 5, "pool", () => undefined])("is not %j", (pool) => {
    const { code, message } = refusal(() => checkDatabase({ pool }));
    expect({ code, message }).toEqual({
      code: "QUDO_INVALID_OPTION",
      message: "pool is no pool. Give a Pool of pg, or what createPool of mysql2 returns.",
    });
  });
});

describe("an option of another kind of database", () => {
  it.each([
    [{ url: "sqlite:a.db", schema: "a" }, "schema is for PostgreSQL; SQLite knows: url, handle"],
    [{ url: "sqlite:a.db", password: "secret" }, "password is for PostgreSQL, MySQL and MariaDB;"],
    [{ url: postgres, synchronous: "FULL" }, "synchronous is for SQLite; PostgreSQL knows: url"],
    [{ url: postgres, thread: false }, "thread is for SQLite"],
    [{ url: postgres, create: false }, "create is for SQLite"],
    [{ url: postgres, clock: Date.now }, "clock is for SQLite"],
    [{ pool: pgPool, networkFileSystem: "allow" }, "networkFileSystem is for SQLite"],
    [{ url: mysql, schema: "a" }, "schema is for PostgreSQL; MySQL and MariaDB knows: url"],
    [{ url: mysql, listen: false }, "listen is for PostgreSQL"],
    [{ url: mysql, prepare: false }, "prepare is for PostgreSQL"],
    [{ url: mysql, clock: Date.now }, "clock is for SQLite"],
  ])("is refused by its name: %j", (database, words) => {
    const { code, message } = refusal(() => checkDatabase(database));
    expect(code).toBe("QUDO_UNKNOWN_OPTION");
    expect(message).toContain(words);
    expect(message).not.toContain("secret");
  });

  it("and one that nobody knows is refused with those that are known", () => {
    const { code, message } = refusal(() => checkDatabase({ url: mysql, conections: 5 }));
    expect(code).toBe("QUDO_UNKNOWN_OPTION");
    expect(message).toContain('no option "conections". It knows: url, pool');
  });
});

it("files that an address names are read when it is opened, and named when they cannot be", async () => {
  const folder = mkdtempSync(join(tmpdir(), "qudo-tls-"));
  try {
    const ca = join(folder, "ca.pem");
    const url = `postgres://u@h/d?sslmode=verify-full&sslrootcert=${encodeURIComponent(ca)}`;
    const { ssl } = postgresOf(url);
    const { code, message } = refusal(() => readTls(ssl));
    expect(code).toBe("QUDO_INVALID_URL");
    expect(message).toContain(ca);
    writeFileSync(ca, PEM);
    expect(readTls(ssl)).toEqual({ verify: "host", ca: Buffer.from(PEM) });
    rmSync(ca);
    const qudo = new Qudo({ databases: url });
    await expect(qudo.label()).rejects.toMatchObject({ code: "QUDO_INVALID_URL" });
    await qudo.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it.each([postgres, mysql])("%s: enqueueSync says what to do instead", (url) => {
  expect(() => openDirect(url, true)).toThrow(
    expect.objectContaining({
      code: "QUDO_UNSUPPORTED",
      message: expect.stringContaining('Use "await qudo.enqueue(…)"') as string,
    }),
  );
  const qudo = new Qudo({ databases: url });
  expect(() => qudo.enqueueSync(defineJob("a", { run: () => undefined }), null)).toThrow(
    expect.objectContaining({ code: "QUDO_UNSUPPORTED" }),
  );
});

function expectHidden(call: () => unknown, word: string): void {
  try {
    expect(inspect(call(), { depth: 9, showHidden: true })).not.toContain(word);
  } catch (error) {
    expect(error).toMatchObject({ code: expect.stringMatching(/^QUDO_/) as string });
    for (const text of [inspect(error, { depth: 9 }), JSON.stringify(error), String(error)])
      expect(text).not.toContain(word);
  }
}

describe("no password is ever shown", () => {
  /** Of all signs that can tear an address apart, and long enough not to stand in a message by chance. */
  const secret = fc
    .string({
      unit: fc.constantFrom(..."ab1:/?#[]@!$&'()*+,;=%. \"\\<>{}|^`~ü\n\0"),
      maxLength: 12,
    })
    // With such a beginning the rest is taken for a path, a parameter, another host.
    .chain((text) => fc.constantFrom("", "1/", "1?", "1?a=").map((start) => [start, text]))
    .map(([start, text]) => `${start}s3cr${text}ts3c`);
  const scheme = fc.constantFrom("postgres", "postgresql", "mysql", "mariadb", "redis");
  const rest = fc.constantFrom(
    ..."h/d h h:5432/d h:x/d h:0 h1,h2/d h1,,h2/d [::1]/d ::1/d /d h/d/e h/d?a=b".split(" "),
    "h/d?schema=A",
    "h/d?sslmode=prefer",
    "h/d?ssl=maybe",
    "h/d?socketPath=a",
    "h/d?prefix=b&prefix=b",
  );
  const beside = fc.constantFrom<object>(
    {},
    { connections: 0 },
    { schema: "-" },
    { synchronous: "FULL" },
    { nobodys: 1 },
    { ssl: "yes" },
    { pool: pgPool },
  );

  it("as it stands in an address, encoded or not, whatever else is wrong with it", () => {
    fc.assert(
      fc.property(scheme, secret, fc.boolean(), rest, beside, (kind, word, encoded, end, more) => {
        const url = `${kind}://user:${encoded ? encodeURIComponent(word) : word}@${end}`;
        // Of one that was torn apart no piece may be seen.
        for (const piece of ["s3cr", "ts3c"]) {
          expectHidden(() => checkDatabase({ url, ...more }), piece);
          expectHidden(() => checkDatabase([url]), piece);
          expectHidden(() => checkDatabase({ url: postgres, listen: url }), piece);
          expectHidden(() => new Qudo({ databases: url }), piece);
          expectHidden(() => new Qudo(url as never), piece);
          expectHidden(() => new Qudo({ databases: url, migrate: url as never }), piece);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("as an option or a parameter, or in a wrong place", () => {
    fc.assert(
      fc.property(secret, beside, (word, more) => {
        const parameter = `postgres://u@h/d?password=${encodeURIComponent(word)}`;
        expectHidden(() => checkDatabase({ url: postgres, password: word, ...more }), "s3cr");
        expectHidden(() => checkDatabase({ url: postgres, password: [word], ...more }), "s3cr");
        expectHidden(() => checkDatabase({ url: parameter, ...more }), "s3cr");
        expectHidden(() => checkDatabase({ url: "sqlite:a.db", password: word }), "s3cr");
        expectHidden(() => checkDatabase({ url: postgres, connections: parameter }), "s3cr");
        expectHidden(() => checkDatabase({ url: postgres, ssl: { key: word } }), "s3cr");
      }),
    );
  });
});

const accept = (database: Database): Database => database;

describe("types", () => {
  it("take addresses that are known at run time only, and options that belong together", () => {
    const url: string = String(postgres);
    accept(url);
    accept({ url });
    accept({ url, synchronous: "NORMAL", thread: false });
    accept({ url, schema: "jobs", listen: false, password: async () => "" });
    accept({ url, prefix: "a_", connections: 3, ssl: { ca: [PEM] } });
    accept({ pool: pgPool, prepare: false });
    expectTypeOf<{ url: string; schema: string }>().toExtend<DatabaseOptions>();
  });

  it("refuse what belongs to two kinds, and what belongs to none", () => {
    // @ts-expect-error -- of PostgreSQL, and of SQLite
    accept({ url: postgres, schema: "jobs", synchronous: "FULL" });
    // @ts-expect-error -- of servers, and of SQLite
    accept({ url: postgres, connections: 3, thread: true });
    // @ts-expect-error -- misspelt
    accept({ url: postgres, conections: 3 });
    // @ts-expect-error -- for our own tests only
    accept({ url: postgres, schema: "jobs", clock: Date.now });
  });
});
