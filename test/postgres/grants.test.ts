/** Roles with the least rights: each can do its work and nothing of the others'. */
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Driver } from "../../src/storage/driver.js";
import { defineJob, Qudo } from "../../src/index.js";
import { grants } from "../../src/storage/postgres/grants.js";
import { ROLES, type Role } from "../../src/storage/sql/rights.js";
import { openPostgres } from "../../src/storage/postgres/index.js";
import { laws, manualClock, runLaw, type Fixture } from "../../src/testing/index.js";
import { newJob } from "../../src/testing/conformance/harness.js";
import { postgresSettings } from "../conformance/support/postgres.js";
import { LOOKS, OF_PRODUCERS, OWNS, WRITES } from "../conformance/support/roles.js";
import { has, postgres, type Fresh } from "../servers/index.js";
import { errorOf, superuser } from "./support.js";

/** Role names belong to the whole server, and tests share one. */
const prefix = `g${process.pid}_`;
const DENIED = { code: "QUDO_DATABASE_DENIED", transient: false };

describe.skipIf(!(await has("postgres")))("PostgreSQL roles", () => {
  let place: Fresh;
  let admin: Client & AsyncDisposable;
  const drivers = new Map<Role, Driver>();
  const as = (role: Role): Driver => drivers.get(role)!;

  const open = (role: Role, schema: string, clock?: () => number): Promise<Driver> =>
    openPostgres(
      postgresSettings(place.url, {
        schema,
        prefix,
        clock,
        user: `${prefix}${role}_user`,
        password: "x",
      }),
    );

  beforeAll(async () => {
    place = await (await postgres({ durable: false })).newDatabase();
    admin = await superuser(place.url);
    await admin.query(`create schema "jobs"`);
    for (const role of ROLES)
      await admin.query(`create role "${prefix}${role}_user" login password 'x'`);
    // By hand what comes before there are tables: its part of what is printed.
    await admin.query(`create role "${prefix}migrate" nologin;
      grant usage, create on schema "jobs" to "${prefix}migrate"`);
    for (const role of ROLES) {
      if (role !== "migrate") await admin.query(`create role "${prefix}${role}" nologin`);
      await admin.query(`grant "${prefix}${role}" to "${prefix}${role}_user"`);
    }
    drivers.set("migrate", await open("migrate", "jobs"));
    await as("migrate").migrate();
    await admin.query(grants({ schema: "jobs", prefix }));
    // It may be run again.
    await admin.query(grants({ schema: "jobs", prefix }));
    for (const role of ["produce", "work", "view"] as const)
      drivers.set(role, await open(role, "jobs"));
  });

  afterAll(async () => {
    for (const driver of drivers.values()) await driver.close();
    await admin.query("drop schema jobs cascade");
    for (const role of ROLES)
      await admin.query(`drop owned by "${prefix}${role}", "${prefix}${role}_user";
        drop role "${prefix}${role}_user", "${prefix}${role}"`);
    await admin.end();
    await place.drop();
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
    const url = new URL(place.url);
    url.username = `${prefix}produce_user`;
    url.password = "x";
    const mail = defineJob("mail.in", { run() {} });
    const databases = { url: url.href, schema: "jobs", prefix } as const;
    await using qudo = new Qudo({ databases, migrate: false });
    await using client = await superuser(url.href);
    await client.query("begin");
    const jobs = [
      await qudo.in(client).enqueue(mail, 1),
      await qudo.in(client).enqueue(mail, 2, { uniqueKey: "in", delay: "1s" }),
    ];
    await client.query("commit");
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

  test.each(Object.keys(OWNS))("%s is for the tables' owner alone", async (name) => {
    for (const role of ["produce", "work", "view"] as const)
      expect(await errorOf(OWNS[name]!(as(role))), role).toMatchObject(DENIED);
    await OWNS[name]!(as("migrate"));
  });

  test("whoever may not name the database is told its name", async () => {
    const schema = "unnamed";
    await admin.query(
      `create schema ${schema}; grant usage, create on schema ${schema} to "${prefix}migrate"`,
    );
    const owner = await open("migrate", schema);
    await owner.migrate();
    await admin.query(grants({ schema, prefix }));
    const { id } = await owner.identify();
    for (const role of ["produce", "work", "view"] as const) {
      const driver = await open(role, schema);
      expect(await driver.identify("a"), role).toEqual({ id, name: null, mode: "active" });
      await driver.close();
    }
    expect(await owner.identify("b")).toEqual({ id, name: "b", mode: "active" });
    await owner.close();
    await admin.query(`drop schema ${schema} cascade`);
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
      const [schema, meta] = ['"jobs"', `"jobs"."${prefix}meta"`];
      for (const sql of [
        `create table ${schema}.t (n int)`,
        `alter table ${meta} add column n int`,
        `update ${meta} set value = '9'`,
        `update "jobs"."${prefix}job" set lane = 1`,
        `truncate ${meta}`,
      ]) {
        await using user = await superuser(place.url);
        await user.query(`set role "${prefix}${role}_user"`);
        expect(await errorOf(user.query(sql)), `${role}: ${sql}`).toMatchObject({ code: "42501" });
      }
    }
  });

  describe("a worker can do all that the laws ask for:", () => {
    let schemas = 0;
    const fixture: Fixture = {
      name: "PostgreSQL as a worker",
      capabilities: ["clock"],
      async open() {
        const schema = `law_${++schemas}`;
        await admin.query(
          `create schema ${schema}; grant usage, create on schema ${schema} to "${prefix}migrate"`,
        );
        const clock = manualClock(1_800_000_000_000);
        const owner = await open("migrate", schema);
        await owner.migrate();
        await owner.close();
        await admin.query(grants({ schema, prefix }));
        const connect = (): Promise<Driver> => open("work", schema, clock);
        const driver = await connect();
        const close = async (): Promise<void> => {
          await driver.close();
          await admin.query(`drop schema ${schema} cascade`);
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
