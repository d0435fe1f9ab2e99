/** Roles with the least rights: each can do its work and nothing of the others'. */
import { createConnection, type Connection } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defineJob, Qudo } from "../../src/index.js";
import type { Driver } from "../../src/storage/driver.js";
import { grants } from "../../src/storage/mysql/grants.js";
import { openMysql } from "../../src/storage/mysql/index.js";
import { ROLES, type Role } from "../../src/storage/sql/rights.js";
import { laws, manualClock, runLaw, type Fixture } from "../../src/testing/index.js";
import { newJob } from "../../src/testing/conformance/harness.js";
import { mysqlSettings } from "../conformance/support/mysql.js";
import { LOOKS, OF_PRODUCERS, WRITES } from "../conformance/support/roles.js";
import { has, mariadb } from "../servers/index.js";

/** Names of roles and users belong to the whole server, and tests share one. */
const prefix = `g${process.pid}_`;
const DENIED = { code: "QUDO_DATABASE_DENIED", transient: false };

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "nothing was thrown",
    (error: unknown) => error,
  );
}

describe.skipIf(!(await has("mariadb")))("MariaDB roles", () => {
  let url: URL;
  let admin: Connection;
  const databases: string[] = [];
  const drivers = new Map<Role, Driver>();
  const as = (role: Role): Driver => drivers.get(role)!;

  function urlOf(role: Role, database: string): string {
    const own = new URL(url);
    own.username = `${prefix}${role}_user`;
    own.password = "x";
    own.pathname = `/${database}`;
    return own.href;
  }

  const open = (role: Role, database: string, clock?: () => number): Promise<Driver> =>
    openMysql(mysqlSettings(urlOf(role, database), { prefix, clock }));

  /** A database whose tables belong to who migrates, and the rights as they are printed. */
  async function prepare(name: string): Promise<void> {
    databases.push(name);
    await admin.query(`create database ${name}`);
    // By hand what comes before there are tables: its part of what is printed.
    const first = grants(name, prefix)
      .split("\n")
      .filter((line) => line.startsWith("create role") || line.includes(".* to "));
    await admin.query(first.join("\n"));
    for (const role of ROLES)
      await admin.query(`grant '${prefix}${role}' to '${prefix}${role}_user'@'%';
        set default role '${prefix}${role}' for '${prefix}${role}_user'@'%'`);
    const owner = await open("migrate", name);
    await owner.migrate();
    await owner.close();
    // It may be run again.
    for (let i = 0; i < 2; i++) await admin.query(grants(name, prefix));
  }

  beforeAll(async () => {
    url = new URL((await mariadb({ durable: false })).url);
    admin = await createConnection({ uri: url.href, multipleStatements: true });
    for (const role of ROLES)
      await admin.query(`create user '${prefix}${role}_user'@'%' identified by 'x'`);
    await prepare(`${prefix}jobs`);
    for (const role of ROLES) drivers.set(role, await open(role, `${prefix}jobs`));
  });

  afterAll(async () => {
    for (const driver of drivers.values()) await driver.close();
    for (const name of databases) await admin.query(`drop database if exists ${name}`);
    for (const role of ROLES)
      await admin.query(`drop user '${prefix}${role}_user'@'%'; drop role '${prefix}${role}'`);
    await admin.end();
  });

  test("a producer adds jobs, plain, delayed and unique, and waits for their ends", async () => {
    const driver = as("produce");
    const jobs = [newJob(), newJob({ delayMs: 1_000 }), newJob({ uniqueKey: "k" })];
    for (const status of ["inserted", "duplicate"])
      expect(await driver.insertJobs(jobs)).toEqual(jobs.map(() => ({ status })));
    expect(await driver.insertJobs([newJob({ uniqueKey: "k" })])).toMatchObject([
      { status: "unique" },
    ]);
    expect(await driver.endings([jobs[0]!.id])).toEqual([{ status: "living" }]);
    for (const name of OF_PRODUCERS) await LOOKS[name]!(driver);
  });

  test("and so it does in a transaction of its own", async () => {
    const mail = defineJob("mail.in", { run() {} });
    const database = urlOf("produce", `${prefix}jobs`);
    await using qudo = new Qudo({ databases: { url: database, prefix }, migrate: false });
    const connection = await createConnection(database);
    await connection.query("start transaction");
    const jobs = [
      await qudo.in(connection).enqueue(mail, 1),
      await qudo.in(connection).enqueue(mail, 2, { uniqueKey: "in", delay: "1s" }),
    ];
    await connection.query("commit");
    await connection.end();
    expect(await as("view").endings(jobs.map(({ id }) => id))).toEqual([
      { status: "living" },
      { status: "living" },
    ]);
  });

  test.each(Object.keys(WRITES))("%s is for workers alone", async (name) => {
    await WRITES[name]!(as("work"), as("work"));
    for (const role of ["produce", "view"] as const)
      expect(await errorOf(WRITES[name]!(as(role), as("work"))), role).toMatchObject(DENIED);
  });

  test("a viewer looks at everything, and adds nothing", async () => {
    for (const look of Object.values(LOOKS)) await look(as("view"));
    expect(await errorOf(as("view").insertJobs([newJob()]))).toMatchObject(DENIED);
  });

  test("what a producer does not need it does not see", async () => {
    for (const [name, look] of Object.entries(LOOKS))
      if (!OF_PRODUCERS.includes(name))
        expect(await errorOf(look(as("produce"))), name).toMatchObject(DENIED);
  });

  test("nobody but who migrates changes tables, and nobody the version", async () => {
    for (const role of ["produce", "work", "view"] as const) {
      const user = await createConnection(urlOf(role, `${prefix}jobs`));
      for (const sql of [
        "create table t (n int)",
        `alter table ${prefix}meta add column n int`,
        `update ${prefix}meta set value = '9'`,
        `update ${prefix}job set lane = 1`,
        `truncate table ${prefix}meta`,
      ])
        expect(await errorOf(user.query(sql)), `${role}: ${sql}`).toMatchObject({
          code: expect.stringMatching(/^ER_(TABLE|COLUMN)ACCESS_DENIED_ERROR$/),
        });
      await user.end();
    }
  });

  describe("a worker can do all that the laws ask for:", () => {
    const fixture: Fixture = {
      name: "MariaDB as a worker",
      capabilities: ["clock"],
      async open() {
        const name = `${prefix}law_${databases.length}`;
        await prepare(name);
        const clock = manualClock(1_800_000_000_000);
        const connect = (): Promise<Driver> => open("work", name, clock);
        const driver = await connect();
        const close = async (): Promise<void> => {
          await driver.close();
          await admin.query(`drop database ${name}`);
        };
        return { driver, connect, clock: { now: clock, advance: clock.advance }, close };
      },
    };
    const possible = laws.filter(
      ({ unmigrated, requires = [] }) =>
        unmigrated !== true && requires.every((need) => fixture.capabilities.includes(need)),
    );

    test.each(possible.map((law) => [law.id, law] as const))("%s", async (_, law) => {
      expect(await runLaw(law, fixture)).toEqual({ status: "held" });
    });
  });
});
