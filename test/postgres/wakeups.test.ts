/** LISTEN and NOTIFY: who is woken, when, and what becomes of it when the connection that listens dies. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Client, Pool } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Driver } from "../../src/storage/driver.js";
import { openPostgres } from "../../src/storage/postgres/index.js";
import { channelOf, Notifier } from "../../src/storage/postgres/notify.js";
import type { PostgresSettings } from "../../src/storage/server.js";
import { newJob, within } from "../../src/testing/conformance/harness.js";
import { postgresSettings } from "../conformance/support/postgres.js";
import { has, postgres, startPgbouncer, type Fresh } from "../servers/index.js";
import { openDatabase, superuser, until } from "./support.js";

const hasPooler = await has("pgbouncer");
const LISTENERS = `select pid from pg_stat_activity where datname = current_database() and query like 'select count(*)%pg_listening%'`;

async function listeners(client: Client): Promise<number> {
  return (await client.query(LISTENERS)).rowCount ?? 0;
}

/** Counts wake-ups; resolves once it listens, which wakes by itself. */
async function listening(driver: Driver): Promise<{ heard(n: number): Promise<void> }> {
  let wakes = 0;
  driver.subscribe!(() => wakes++);
  const heard = (n: number): Promise<void> => until(`wake-up ${n}`, () => wakes >= n);
  await heard(1);
  return { heard };
}

describe.skipIf(!(await has("postgres")))("PostgreSQL wake-ups", () => {
  let place: Fresh;
  let admin: Client;
  let clock = 1_800_000_000_000;
  const open: Driver[] = [];

  beforeAll(async () => {
    place = await (await postgres({ durable: false })).newDatabase();
    admin = await superuser(place.url);
  });

  beforeEach(async () => {
    await (await connect()).migrate();
  });

  afterEach(async () => {
    await Promise.all(open.splice(0).map((driver) => driver.close()));
  });

  afterAll(async () => {
    await admin.end();
    await place.drop();
  });

  const connect = async (
    settings: Partial<PostgresSettings> = {},
    url = place.url,
  ): Promise<Driver> => {
    const driver = await openPostgres(postgresSettings(url, { clock: () => clock, ...settings }));
    open.push(driver);
    return driver;
  };

  /** Hears every word, whoever says it. */
  const wiretap = async (): Promise<{ words: string[] } & AsyncDisposable> => {
    const client = await superuser(place.url);
    const words: string[] = [];
    client.on("notification", ({ payload }) => void words.push(payload ?? ""));
    await client.query(`listen "${channelOf({ schema: "public", prefix: "qudo_" })}"`);
    return { words, [Symbol.asyncDispose]: () => client.end() };
  };

  test("an insert wakes others, and not those who inserted", async () => {
    const [one, two] = [await connect(), await connect()];
    let own = 0;
    const { heard } = await listening(two);
    const self = await listening(one);
    one.subscribe!(() => own++);
    await one.insertJobs([newJob()]);
    await heard(2);
    await two.insertJobs([newJob()]);
    await self.heard(2);
    expect(own).toBe(1);
  });

  test("what is not ready says nothing until it is promoted, or retried", async () => {
    const driver = await connect();
    await using tap = await wiretap();
    const job = newJob({ delayMs: 60_000 });
    await driver.insertJobs([job]);
    // Words come in order: one that is said now comes after whatever came before.
    await admin.query("select pg_notify($1, 'end')", [channelOf(postgresSettings(place.url))]);
    await until("the word", () => tap.words.includes("end"));
    expect(tap.words).toEqual(["end"]);
    clock += 60_000;
    await driver.promote(10);
    await until("a word", () => tap.words.length === 2);
    await driver.cancel([job.id]);
    await driver.retry([job.id]);
    await until("another word", () => tap.words.length === 3);
  });

  test("many commits at once are two words: the first at once, the last never lost", async () => {
    await using opened = await openDatabase(place.url);
    await using tap = await wiretap();
    const channel = channelOf(postgresSettings(place.url));
    const notifier = new Notifier(opened.db, channel, "me");
    const rings = Array.from({ length: 300 }, () => notifier.ring());
    // To be sent by whoever commits …
    expect(rings.filter((word) => word !== null)).toEqual([rings[0]]);
    await opened.db.look((tx) => tx.run(rings[0]!));
    // … and for the others, by itself.
    await until("both words", () => tap.words.length === 2);
    // Whoever closes has said it all.
    notifier.ring();
    notifier.ring();
    await notifier.close();
    await admin.query("select pg_notify($1, 'end')", [channel]);
    await until("the end", () => tap.words.includes("end"));
    expect(tap.words).toEqual(["me", "me", "me", "end"]);
  });

  test("a connection that listens and is killed is made again, and whoever waits is woken", async () => {
    const [one, two] = [await connect(), await connect()];
    const { heard } = await listening(two);
    for (let n = 1; n <= 3; n++) {
      expect(two.listens!()).toBe(true);
      const { rowCount } = await admin.query(
        `select pg_terminate_backend(pid) from (${LISTENERS}) l`,
      );
      expect(rowCount).toBe(1);
      await until("it knows", () => !two.listens!());
      await heard(2 * n);
      await one.insertJobs([newJob()]);
      await heard(2 * n + 1);
    }
  });

  test("nobody listens before somebody subscribes, nor after the last has left", async () => {
    const driver = await connect();
    expect([driver.listens!(), await listeners(admin)]).toEqual([false, 0]);
    const stop = driver.subscribe!(() => undefined);
    await until("one that listens", async () => (await listeners(admin)) === 1);
    stop();
    expect(driver.listens!()).toBe(false);
    await until("nobody that listens", async () => (await listeners(admin)) === 0);
  });

  test("beside a pool of the user's one connection like its own listens", async () => {
    const pool = new Pool({ connectionString: place.url, max: 1 });
    const [theirs, one] = [await connect({ pool }), await connect()];
    const { heard } = await listening(theirs);
    await one.insertJobs([newJob()]);
    await heard(2);
    expect(pool.totalCount).toBe(1);
    await theirs.close();
    await pool.end();
  });

  test("listen: false wakes nobody, and says so", async () => {
    const driver = await connect({ listen: false });
    expect([driver.capabilities.wakeups, driver.subscribe, driver.listens]).toEqual([
      false,
      undefined,
      undefined,
    ]);
  });

  test.skipIf(!hasPooler)(
    "behind a pooler the server's own address is listened on; on the pooler's nobody is woken, and nothing breaks",
    async () => {
      await using pooler = await startPgbouncer({ behind: place.url });
      const address = postgresSettings(place.url);
      const pooled = { prepare: false } as const;
      const one = await connect({ ...pooled, listen: address }, pooler.url);
      const two = await connect({ ...pooled, listen: true }, pooler.url);
      const { heard } = await listening(one);
      two.subscribe!(() => undefined);
      for (let n = 2; n <= 4; n++) {
        await two.insertJobs([newJob()]);
        await heard(n);
      }
    },
  );

  test.each([
    ["nobody closes keeps no process alive", ""],
    [
      "is closed holds the process until then",
      "setTimeout(async () => { await qudo.close(); process.exitCode = 7; }, 100);",
    ],
  ])("an open queue that %s", async (_, end) => {
    const program = `import { Qudo, defineJob } from "qudo";
      const qudo = new Qudo({ databases: process.env.URL });
      await qudo.enqueue(defineJob("tick", { run() {} }), 1);
      ${end}`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      env: { ...process.env, URL: place.url },
      stdio: "inherit",
    });
    const [code] = (await within(20_000, "its end", once(child, "exit"))) as [number];
    expect(code).toBe(end === "" ? 0 : 7);
  });

  test("a channel is named after its tables, and never longer than a name may be", () => {
    const long = "a".repeat(41);
    expect(channelOf({ schema: "public", prefix: "qudo_" })).toBe("qudo:public.qudo_");
    const names = [
      channelOf({ schema: long, prefix: "b" }),
      channelOf({ schema: long, prefix: long }),
      channelOf({ schema: long, prefix: `${long.slice(1)}b` }),
    ];
    for (const name of names) expect(name.length).toBeLessThanOrEqual(63);
    expect(new Set(names).size).toBe(3);
  });
});
