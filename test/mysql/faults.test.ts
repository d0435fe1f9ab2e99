/** Servers that go away, stand still, take no writes, or were set up by somebody with other ideas. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defineJob, Qudo } from "../../src/index.js";
import { openMysql } from "../../src/storage/mysql/index.js";
import { laws, runLaw } from "../../src/testing/index.js";
import { newJob } from "../../src/testing/conformance/harness.js";
import { mysql as fixture, mysqlSettings } from "../conformance/support/mysql.js";
import { has, startMariadb } from "../servers/index.js";
import { administrator, errorOf, openPlace, until } from "./support.js";

describe.skipIf(!(await has("mariadb")))("MariaDB", () => {
  test("killed and started again: nothing acknowledged is lost", { timeout: 90_000 }, async () => {
    await using server = await startMariadb();
    await using place = await openPlace(server);
    const { driver } = place;
    const jobs = Array.from({ length: 20 }, () => newJob());
    for (let round = 0; round < 3; round++) {
      await driver.insertJobs(jobs.slice(0, 10 * round));
      await server.kill();
      expect(await errorOf(driver.insertJobs([newJob()]))).toMatchObject({
        code: "QUDO_DATABASE_UNREACHABLE",
        transient: true,
      });
      await server.start();
      expect((await driver.getJobs(jobs.map(({ id }) => id))).filter(Boolean)).toHaveLength(
        10 * round,
      );
    }
    expect(await driver.audit()).toEqual([]);
  });

  test(
    "killed under a worker: the process lives, and work goes on",
    { timeout: 120_000 },
    async () => {
      await using server = await startMariadb();
      await using place = await server.newDatabase();
      const ran = new Map<number, number>();
      const job = defineJob("count", {
        run: async ({ n }: { n: number }) => {
          ran.set(n, (ran.get(n) ?? 0) + 1);
          await sleep(5);
        },
      });
      const said: string[] = [];
      const logger = {
        debug: () => undefined,
        info: () => undefined,
        warn: (text: string) => void said.push(text),
        error: (text: string) => void said.push(text),
      };
      const qudo = new Qudo({ databases: place.url, jobs: [job] });
      const worker = await qudo.work({ logger, concurrency: 5, signals: false });
      const all = Array.from({ length: 300 }, (_, n) => n);
      await qudo.enqueueMany(all.map((n) => [job, { n }] as const));
      await until("some have run", () => ran.size > 30);
      for (let round = 0; round < 2; round++) {
        await server.kill();
        await sleep(300);
        await server.start();
        const before = ran.size;
        await until("it goes on", () => ran.size > before + 20 || ran.size === all.length);
      }
      const counts = async () => (await qudo.monitor.counts())[0]!.done;
      await until("all are done", async () => (await counts()) === all.length);
      expect(ran.size).toBe(all.length);
      // Its handlers never stopped, and the session lives on: nothing had to run again.
      expect([...ran.values()].filter((n) => n > 1)).toEqual([]);
      // One line in half a minute for each kind of trouble.
      expect(said.length).toBeLessThan(10);
      await worker.stop();
      await qudo.close();
    },
  );

  test("that stops to answer is given up, and found again", { timeout: 60_000 }, async () => {
    await using server = await startMariadb({ durable: false });
    await using place = await openPlace(server, { statementTimeoutMs: 500 });
    await place.driver.ping();
    await server.pause();
    const began = performance.now();
    expect(await errorOf(place.driver.insertJobs([newJob()]))).toMatchObject({
      code: "QUDO_DATABASE_UNREACHABLE",
      transient: true,
    });
    expect(performance.now() - began).toBeLessThan(10_000);
    await server.resume();
    expect(await place.driver.insertJobs([newJob()])).toEqual([{ status: "inserted" }]);
  });

  test("that was set read-only says so, and is asked anew", { timeout: 60_000 }, async () => {
    await using server = await startMariadb({ durable: false });
    await using place = await openPlace(server);
    await using admin = await administrator(server.url);
    await admin.query("create user app@'127.0.0.1' identified by 'secret'");
    const database = new URL(place.url).pathname.slice(1);
    await admin.query(`grant all on ${database}.* to app@'127.0.0.1'`);
    const app = { user: "app", password: "secret" };
    const driver = await openMysql(mysqlSettings(place.url, app));
    await driver.insertJobs([newJob()]);
    await admin.query("set global read_only = 1");
    const refused = { code: "QUDO_DATABASE_READ_ONLY", transient: true };
    expect(await errorOf(driver.insertJobs([newJob()]))).toMatchObject(refused);
    expect(await errorOf(driver.ping())).toMatchObject(refused);
    expect(await driver.listJobs({ limit: 10 })).toMatchObject({ rows: [{ state: "pending" }] });
    await admin.query("set global read_only = 0");
    expect(await driver.insertJobs([newJob()])).toEqual([{ status: "inserted" }]);
    await driver.close();
  });

  describe("whose defaults are all others", () => {
    const settings = {
      "default-time-zone": "+05:30",
      "sql-mode": "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE",
      "transaction-isolation": "SERIALIZABLE",
      "completion-type": "RELEASE",
      autocommit: 0,
      "character-set-server": "latin1",
      "collation-server": "latin1_german1_ci",
      "skip-character-set-client-handshake": 1,
      "lower-case-table-names": 1,
      "innodb-snapshot-isolation": 1,
      "in-predicate-conversion-threshold": 2,
    };
    let server: ReturnType<typeof startMariadb>;
    beforeAll(() => void (server = startMariadb({ durable: false, settings })));
    afterAll(async () => (await server).close());
    const odd = fixture("odd", () => server);
    const some = laws
      .filter(({ id }) => /^(life|enqueue|unique|claim|settle|log)\./.test(id))
      .filter(({ requires = [] }) => !requires.includes("wakeups"));

    test.each(some)("$id: $law", async (law) => {
      const result = await runLaw(law, odd);
      expect(result).toEqual({ status: "held" });
    });
  });
});
