import { userInfo } from "node:os";
import { describe, expect, it } from "vitest";
import { postgresOf, shown } from "./support/settings.js";
import { refusal } from "./support/refusal.js";

const me = userInfo().username;
const at = (host: string, port = 5_432) => ({ host, port });

describe("an address of PostgreSQL", () => {
  it("alone means all the defaults", async () => {
    expect(await shown(postgresOf("postgres://app:pw@db.example/jobs"))).toEqual({
      hosts: [at("db.example")],
      user: "app",
      password: "pw",
      database: "jobs",
      ssl: null,
      applicationName: "qudo",
      pool: undefined,
      schema: "public",
      prefix: "qudo_",
      connections: 10,
      connectTimeoutMs: 1_000,
      statementTimeoutMs: 2_000,
      listen: true,
      prepare: true,
      label: "postgres://app@db.example:5432/jobs",
    });
  });

  it.each([
    ["postgres://u@h", { hosts: [at("h")], user: "u", database: "u" }],
    ["postgres://u@h/", { database: "u" }],
    ["postgres://h", { hosts: [at("h")], user: me, database: me }],
    ["postgres:///d", { hosts: [at("localhost")], user: me, database: "d" }],
    ["postgresql://u@h/d", { label: "postgres://u@h:5432/d" }],
    ["POSTGRES://u@H/d", { hosts: [at("H")] }],
    ["postgres://u@h:/d", { hosts: [at("h")] }],
    ["postgres://u@h:65535/d", { hosts: [at("h", 65_535)] }],
    ["postgres://u@10.0.0.1:5433/d", { hosts: [at("10.0.0.1", 5_433)] }],
    ["postgres://u@[::1]/d", { hosts: [at("::1")], label: "postgres://u@[::1]:5432/d" }],
    ["postgres://u@[2001:db8::7]:5433/d", { hosts: [at("2001:db8::7", 5_433)] }],
    ["postgres://u@[fe80::1%25eth0]/d", { label: "postgres://u@[fe80::1%25eth0]:5432/d" }],
    [
      "postgres://u@h1,h2:5433,[::1]:5434/d",
      {
        hosts: [at("h1"), at("h2", 5_433), at("::1", 5_434)],
        label: "postgres://u@h1:5432,h2:5433,[::1]:5434/d",
      },
    ],
    ["postgres://%C3%BC%40x@h/a%2Fb%20c", { user: "ü@x", database: "a/b c" }],
    ["postgres://%C3%BC%40x@h/a%2Fb", { label: "postgres://%C3%BC%40x@h:5432/a%2Fb" }],
    ["postgres://u+v@h/a+b", { user: "u+v", database: "a+b" }],
    ["postgres://u@h/d#1", { database: "d#1" }],
    ["postgres://u@h?schema=jobs", { database: "u", schema: "jobs" }],
    ["postgres://u@h/d?", { database: "d" }],
    ["postgres://u@h/d?&schema=jobs&", { schema: "jobs" }],
    // Sockets.
    ["postgres://u@/d?host=/var/run/postgresql", { hosts: [at("/var/run/postgresql")] }],
    ["postgres://u@localhost/d?host=/cloudsql/a:b:c", { hosts: [at("/cloudsql/a:b:c")] }],
    [
      "postgres://u@%2Fvar%2Frun%2Fpostgresql:5433/d",
      {
        hosts: [at("/var/run/postgresql", 5_433)],
        label: "postgres://u@%2Fvar%2Frun%2Fpostgresql:5433/d",
      },
    ],
    // Parameters outrank what stands before them.
    ["postgres:///?host=h&port=5433&user=u&dbname=d", { label: "postgres://u@h:5433/d" }],
    ["postgres://x@x/x?host=h&user=u&dbname=d", { label: "postgres://u@h:5432/d" }],
    ["postgres://u@h1,h2/d?port=5433", { hosts: [at("h1", 5_433), at("h2", 5_433)] }],
    ["postgres://u@h:1/d?port=5433", { hosts: [at("h", 5_433)] }],
    ["postgres:///d?host=h1,h2&port=1,2", { hosts: [at("h1", 1), at("h2", 2)] }],
    ["postgres:///d?host=h1,h2&port=,2", { hosts: [at("h1"), at("h2", 2)] }],
    ["postgres://h/d?application_name=my%20app", { applicationName: "my app" }],
    ["postgres://h/d?connect_timeout=3", { connectTimeoutMs: 3_000 }],
    ["postgres://h/d?connect_timeout=3&connectTimeout=4s", { connectTimeoutMs: 4_000 }],
    ["postgres://h1,h2/d?target_session_attrs=read-write", { database: "d" }],
    ["postgres://h1,h2/d?target_session_attrs=primary", { database: "d" }],
    // Ours.
    [
      "postgres://h/d?schema=jobs&prefix=q1_&connections=3&connectTimeout=2&statementTimeout=500ms",
      {
        schema: "jobs",
        prefix: "q1_",
        connections: 3,
        connectTimeoutMs: 2_000,
        statementTimeoutMs: 500,
      },
    ],
    ["postgres://u@h/d?prefix=a_&schema=b", { label: "postgres://u@h:5432/d?schema=b&prefix=a_" }],
    ["postgres://u@h/d?prefix=qudo_&schema=public", { label: "postgres://u@h:5432/d" }],
    ["postgres://h/d?listen=false&prepare=false", { listen: false, prepare: false }],
    ["postgres://h/d?listen=true&prepare=true", { listen: true, prepare: true }],
  ])("%s", (url, part) => expect(postgresOf(url)).toMatchObject(part));

  it.each([
    ["postgres://u:p%40%3A%2F%3F%25@h/d", "p@:/?%"],
    ["postgres://u:a:b@h/d", "a:b"],
    ["postgres://u:a#b@h/d", "a#b"],
    ["postgres://u:a@b@h/d", "a@b"],
    ["postgres://u:a,b@h/d", "a,b"],
    ["postgres://u:@h/d", ""],
    ["postgres://:p@h/d", "p"],
    ["postgres://u:p+q@h/d", "p+q"],
    ["postgres://u:x@h/d?password=p", "p"],
    ["postgres://h/d?password=p%26q", "p&q"],
  ])("%s holds the password %j", async (url, password) => {
    const { password: found, label } = await shown(postgresOf(url));
    expect(found).toBe(password);
    expect(label).toMatch(/^postgres:\/\/\w+@h:5432\/d$/);
  });

  it("without a password leaves it to PGPASSWORD", async () => {
    const before = process.env.PGPASSWORD;
    try {
      delete process.env.PGPASSWORD;
      expect(postgresOf("postgres://u@h/d").password).toBeNull();
      process.env.PGPASSWORD = "of the environment";
      expect((await shown(postgresOf("postgres://u@h/d"))).password).toBe("of the environment");
      expect((await shown(postgresOf("postgres://u:p@h/d"))).password).toBe("p");
    } finally {
      if (before === undefined) delete process.env.PGPASSWORD;
      else process.env.PGPASSWORD = before;
    }
  });

  it.each([
    ["", null],
    ["?sslmode=disable", null],
    ["?sslmode=require", { verify: "nothing" }],
    ["?sslmode=require&sslrootcert=/ca.pem", { verify: "authority", files: { ca: "/ca.pem" } }],
    ["?sslmode=verify-ca", { verify: "authority" }],
    ["?sslmode=verify-full", { verify: "host" }],
    ["?sslmode=verify-full&sslrootcert=system", { verify: "host" }],
    ["?sslmode=verify-full&sslrootcert=/ca.pem", { verify: "host", files: { ca: "/ca.pem" } }],
    [
      "?sslmode=verify-full&sslcert=/c.pem&sslkey=/k.pem",
      { verify: "host", files: { cert: "/c.pem", key: "/k.pem" } },
    ],
  ])("with %j is encrypted as libpq does: %j", (query, ssl) => {
    const found = postgresOf(`postgres://u@h/d${query}`).ssl;
    expect(found && { verify: found.verify, ...definedFiles(found.files) }).toEqual(ssl);
  });

  it.each([
    ["postgres:h/d", "has no // after the name"],
    ["postgres://u:secret/1@h/d", 'has an "@" after its hosts'],
    ["postgres://u:12/secret@h/d", 'has an "@" after its hosts'],
    ["postgres://u:12?secret=1@h/d", 'has an "@" after its hosts'],
    ["postgres://u:secret", "A port of the database address"],
    ["postgres://h/d/secret", 'a second "/"'],
    ["postgres://u@h:0/d", "A port of the database address"],
    ["postgres://u@h:65536/d", "A port of the database address"],
    ["postgres://u@h:5432x/d", "A port of the database address"],
    ["postgres://u@::1/d", "An IPv6 address stands in brackets"],
    ["postgres://u@h1,,h2/d", "A host of the database address is empty"],
    ["postgres://u@h1,/d", "A host of the database address is empty"],
    ["postgres://u@:5432/d", "A host of the database address is empty"],
    ["postgres://u@[h]/d", "no IPv6 address"],
    ["postgres://u@[]/d", "no IPv6 address"],
    ["postgres://u@[::1/d", "A port of the database address"],
    ["postgres://u@h h/d", "A host of the database address"],
    ["postgres://u@h%0a/d", "The host in the database address holds a control character"],
    ["postgres://u%00@h/d", "The user in the database address holds a control character"],
    ["postgres://u:%00@h/d", "The password in the database address holds a control character"],
    ["postgres://u:100%@h/d", 'holds a "%" that begins no character'],
    ["postgres://u@h/%ff", 'The database in the database address holds a "%"'],
    ["postgres://u@h/d?sslmod=require", 'no parameter "sslmod". It knows: host, port'],
    ["postgres://u@h/d?channel_binding=secret", 'no parameter "channel_binding"'],
    ["postgres://u@h/d?%73chema=a", "no such parameter"],
    ["postgres://u@h/d?Schema=a", 'no parameter "Schema"'],
    ["postgres://u@h/d?ssl=true", 'no parameter "ssl"'],
    ["postgres://u@h/d?socketPath=/a", 'no parameter "socketPath"'],
    ["postgres://u@h/d?schema", 'A parameter of the database address has no "="'],
    ["postgres://u@h/d?schema=a&schema=b", '"schema" stands twice'],
    ["postgres://u@h/d?host=h1,h2,h3&port=1,2", "not as many ports as there are hosts"],
    ["postgres://u@h/d?port=secret", "A port of the database address"],
    ["postgres://u@h/d?host=a,,b", "A host of the database address is empty"],
    ["postgres://u@h/d?target_session_attrs=standby", '"read-write" or "primary" only'],
    ["postgres://u@h/d?sslmode=prefer", "goes on without encryption, and nobody is told"],
    ["postgres://u@h/d?sslmode=allow", "goes on without encryption, and nobody is told"],
    ["postgres://u@h/d?sslmode=no-verify", "Give disable, require, verify-ca or verify-full"],
    ["postgres://u@h/d?sslmode=", "Give disable, require, verify-ca or verify-full"],
    ["postgres://u@h/d?sslrootcert=/ca.pem", "Add sslmode=verify-full"],
    ["postgres://u@h/d?sslmode=disable&sslkey=/k", "parameter sslkey, but asks for no encryption"],
    ["postgres://u@h/d?sslmode=require&sslrootcert=system", "sslmode=verify-full only"],
    ["postgres://u@h/d?sslmode=require&sslcert=/c", "sslcert and sslkey"],
    ["postgres://u@h/d?sslmode=require&sslkey=/k", "sslcert and sslkey"],
  ])("%s is refused", (url, words) => {
    const { code, message } = refusal(() => postgresOf(url));
    expect(code).toBe("QUDO_INVALID_URL");
    expect(message).toContain(words);
    expect(message).not.toContain("secret");
  });

  it.each([
    ["postgres://h/d?schema=Jobs", "QUDO_INVALID_OPTION", 'schema is "Jobs"; give small letters'],
    ["postgres://h/d?schema=", "QUDO_INVALID_OPTION", "schema is"],
    ["postgres://h/d?prefix=q;--", "QUDO_INVALID_OPTION", "prefix is"],
    [`postgres://h/d?prefix=${"q".repeat(42)}`, "QUDO_INVALID_OPTION", "at most 41"],
    ["postgres://h/d?connections=0", "QUDO_INVALID_OPTION", "from 1 to 1000"],
    ["postgres://h/d?connections=many", "QUDO_INVALID_OPTION", "connections is"],
    ["postgres://h/d?connectTimeout=0", "QUDO_INVALID_OPTION", "from 1 ms to 24 days"],
    ["postgres://h/d?connect_timeout=0", "QUDO_INVALID_OPTION", "from 1 ms to 24 days"],
    ["postgres://h/d?connect_timeout=1.5", "QUDO_INVALID_DURATION", "connect_timeout"],
    ["postgres://h/d?statementTimeout=30d", "QUDO_INVALID_OPTION", "statementTimeout is"],
    ["postgres://h/d?statementTimeout=soon", "QUDO_INVALID_DURATION", "statementTimeout"],
    ["postgres://h/d?prepare=no", "QUDO_INVALID_OPTION", "prepare: give true or false"],
    ["postgres://h/d?listen=no", "QUDO_INVALID_OPTION", "listen is no address"],
  ])("%s is refused for what its option can be", (url, code, words) => {
    expect(refusal(() => postgresOf(url))).toEqual({
      code,
      message: expect.stringContaining(words) as string,
    });
  });
});

function definedFiles(files: object | undefined): object {
  const named = Object.entries(files ?? {}).filter(([, path]) => path !== undefined);
  return named.length > 0 ? { files: Object.fromEntries(named) } : {};
}

const password = (): string => "of the option";

describe("listen", () => {
  const url = "postgres://app:pw@pooler:6432/d";

  it("may be the address of the server itself, with its own user and password", async () => {
    const { listen } = postgresOf({
      url,
      listen: "postgres://l:direct@db:5432/d?sslmode=verify-ca",
    });
    expect(listen).toMatchObject({
      hosts: [at("db")],
      user: "l",
      database: "d",
      ssl: { verify: "authority" },
      applicationName: "qudo",
    });
    expect(await (listen as { password: () => string }).password()).toBe("direct");
  });

  it("shares the options password and ssl", async () => {
    const { listen } = postgresOf({ url, password, ssl: true, listen: "postgres://l@db/d" });
    expect(listen).toMatchObject({ password, ssl: { verify: "host" } });
    const own = postgresOf({ url, password, listen: "postgres://l:own@db/d" }).listen;
    expect((own as { password: () => string }).password()).toBe("own");
  });

  it.each([
    ["postgres://l@db/d?schema=a", "QUDO_INVALID_URL", 'no parameter "schema"'],
    ["postgres://l:secret@db:x/d", "QUDO_INVALID_URL", "A port of the database address"],
    ["mysql://l:secret@db/d", "QUDO_INVALID_OPTION", "listen is no address of a PostgreSQL"],
    ["secret", "QUDO_INVALID_OPTION", "listen is no address of a PostgreSQL"],
    [5, "QUDO_INVALID_OPTION", "listen: give true, false, or the address"],
    [null, "QUDO_INVALID_OPTION", "listen: give true, false, or the address"],
  ])("cannot be %j", (listen, code, words) => {
    const found = refusal(() => postgresOf({ url, listen }));
    expect(found.code).toBe(code);
    expect(found.message).toContain(words);
    expect(found.message).not.toContain("secret");
  });
});
