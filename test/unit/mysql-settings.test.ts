import { userInfo } from "node:os";
import { describe, expect, it } from "vitest";
import { mysqlOf, shown } from "./support/settings.js";
import { refusal } from "./support/refusal.js";

const me = userInfo().username;
const SOCKET = "/run/mysqld/mysqld.sock";

describe("an address of MySQL or MariaDB", () => {
  it("alone means all the defaults", async () => {
    expect(await shown(mysqlOf("mysql://app:pw@db.example/jobs"))).toEqual({
      hosts: [{ host: "db.example", port: 3_306 }],
      socketPath: null,
      user: "app",
      password: "pw",
      database: "jobs",
      ssl: null,
      pool: undefined,
      prefix: "qudo_",
      connections: 10,
      connectTimeoutMs: 1_000,
      statementTimeoutMs: 2_000,
      label: "mysql://app@db.example:3306/jobs",
    });
  });

  it.each([
    ["mariadb://u@h/d", { label: "mariadb://u@h:3306/d" }],
    ["mysql://h/d", { user: me }],
    ["mysql:///d", { hosts: [{ host: "localhost", port: 3_306 }] }],
    ["mysql://u@[::1]:3307/d", { hosts: [{ host: "::1", port: 3_307 }] }],
    ["mysql://u%40x@h/a%20b", { user: "u@x", database: "a b" }],
    [
      `mysql://u@localhost/d?socketPath=${SOCKET}`,
      {
        hosts: [],
        socketPath: SOCKET,
        label: "mysql://u@/d?socketPath=%2Frun%2Fmysqld%2Fmysqld.sock",
      },
    ],
    [`mysql://u@/d?socketPath=${encodeURIComponent(SOCKET)}`, { hosts: [], socketPath: SOCKET }],
    [
      "mysql://u@h/d?prefix=q1_&connections=3&connectTimeout=2&statementTimeout=500ms",
      {
        prefix: "q1_",
        connections: 3,
        connectTimeoutMs: 2_000,
        statementTimeoutMs: 500,
        label: "mysql://u@h:3306/d?prefix=q1_",
      },
    ],
  ])("%s", (url, part) => expect(mysqlOf(url)).toMatchObject(part));

  it("keeps the address that it prints for people", () => {
    const { label } = mysqlOf(`mysql://u:p@/d?socketPath=${SOCKET}&prefix=a_`);
    expect(mysqlOf(label)).toMatchObject({ label, socketPath: SOCKET, prefix: "a_" });
  });

  it("without a password leaves it to MYSQL_PWD", async () => {
    const before = process.env.MYSQL_PWD;
    try {
      delete process.env.MYSQL_PWD;
      expect(mysqlOf("mysql://u@h/d").password).toBeNull();
      process.env.MYSQL_PWD = "of the environment";
      expect((await shown(mysqlOf("mysql://u@h/d"))).password).toBe("of the environment");
    } finally {
      if (before === undefined) delete process.env.MYSQL_PWD;
      else process.env.MYSQL_PWD = before;
    }
  });

  it.each([
    ["", null, {}],
    ["?ssl=false", null, {}],
    ["?ssl=true", "host", {}],
    ["?ssl=true&ssl-ca=/ca.pem", "host", { ca: "/ca.pem" }],
    ["?ssl-mode=DISABLED", null, {}],
    ["?ssl-mode=REQUIRED", "nothing", {}],
    ["?ssl-mode=required", "nothing", {}],
    ["?ssl-mode=VERIFY_CA&ssl-ca=/ca.pem", "authority", { ca: "/ca.pem" }],
    ["?ssl-mode=VERIFY_IDENTITY", "host", {}],
    ["?ssl-ca=/ca.pem", "authority", { ca: "/ca.pem" }],
    ["?ssl=true&ssl-cert=/c.pem&ssl-key=/k.pem", "host", { cert: "/c.pem", key: "/k.pem" }],
  ])("with %j checks of the certificate: %j", (query, verify, files) => {
    const { ssl } = mysqlOf(`mysql://u@h/d${query}`);
    expect(ssl?.verify ?? null).toBe(verify);
    expect(ssl?.files ?? {}).toEqual(files);
  });

  it.each([
    ["mysql:h/d", "has no // after the name"],
    ["mysql://u@h", "names no database"],
    ["mysql://u@h/", "names no database"],
    ["mysql://u@h1,h2/d", "several hosts"],
    ["mysql://u:secret/1@h/d", 'has an "@" after its hosts'],
    ["mysql://u@h:secret/d", "A port of the database address"],
    [`mysql://u@h/d?socketPath=${SOCKET}`, "both a host and a socketPath"],
    ["mysql://u@/d?socketPath=mysqld.sock", "no path of a socket"],
    ["mysql://u@/d?socketPath=", "no path of a socket"],
    ["mysql://u@h/d?charset=utf8", 'no parameter "charset". It knows: ssl, ssl-mode'],
    ["mysql://u@h/d?sslmode=require", 'no parameter "sslmode"'],
    ["mysql://u@h/d?schema=a", 'no parameter "schema"'],
    ["mysql://u@h/d?listen=false", 'no parameter "listen"'],
    ["mysql://u@h/d?password=secret", 'no parameter "password"'],
    ["mysql://u@h/d?ssl=yes", "can be true or false"],
    ['mysql://u@h/d?ssl={"secret":1}', "can be true or false"],
    ["mysql://u@h/d?ssl=true&ssl-mode=REQUIRED", "both ssl and ssl-mode"],
    ["mysql://u@h/d?ssl-mode=PREFERRED", "goes on without encryption, and nobody is told"],
    ["mysql://u@h/d?ssl-mode=secret", "an ssl-mode that is not known"],
    ["mysql://u@h/d?ssl=false&ssl-ca=/ca.pem", "parameter ssl-ca, but asks for no encryption"],
    ["mysql://u@h/d?ssl-cert=/c&ssl-key=/k", "parameter ssl-cert, but asks for no encryption"],
    ["mysql://u@h/d?ssl=true&ssl-key=/k", "ssl-cert and ssl-key"],
  ])("%s is refused", (url, words) => {
    const { code, message } = refusal(() => mysqlOf(url));
    expect(code).toBe("QUDO_INVALID_URL");
    expect(message).toContain(words);
    expect(message).not.toContain("secret");
  });
});
