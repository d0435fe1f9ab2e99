/** What servers and other people's transactions do to workers: the process lives, nothing is lost, work goes on. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defineJob, Qudo } from "../../src/index.js";
import { newId } from "../../src/storage/ids.js";
import { openPostgres } from "../../src/storage/postgres/index.js";
import { newJob, times } from "../../src/testing/conformance/harness.js";
import { TestWorker } from "../../src/testing/conformance/worker.js";
import { postgresSettings } from "../conformance/support/postgres.js";
import { has, postgres, startPostgres, type Fresh } from "../servers/index.js";
import { errorOf, superuser, until } from "./support.js";

const JOBS = 300;
const quiet = { info() {}, warn() {}, error() {}, debug() {} };

/** Everybody's but our own. */
const KILL = `select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid()`;

const counted = defineJob("count", { run: async (n: number) => n });

/** Enqueues until it is acknowledged: to send again is safe, because the id is the same. */
async function acknowledged(qudo: Qudo, id: string, n: number): Promise<unknown> {
  for (;;)
    try {
      return await qudo.enqueue(counted, n, { id });
    } catch (error) {
      if ((error as { transient?: boolean }).transient !== true) throw error;
    }
}

describe.skipIf(!(await has("postgres", { own: true })))("PostgreSQL at its worst", () => {
  let place: Fresh;

  beforeAll(async () => {
    place = await (await postgres({ durable: false })).newDatabase();
  });

  afterAll(() => place.drop());

  test(
    "all connections are killed again and again while workers work",
    { timeout: 120_000 },
    async () => {
      await using killer = await superuser(place.url);
      const ran = new Set<number>();
      const job = defineJob("count", { run: (n: number) => void ran.add(n) });
      await using qudo = new Qudo({ databases: place.url, jobs: [job] });
      await qudo.migrate();
      const workers = await Promise.all([1, 2].map(() => qudo.work({ logger: quiet })));
      let kills = 0;
      const enqueued = Promise.all(times(JOBS, (n) => acknowledged(qudo, newId(), n)));
      while (ran.size < JOBS) {
        kills += (await killer.query(KILL)).rowCount ?? 0;
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      await enqueued;
      await Promise.all(workers.map((worker) => worker.stop()));
      expect(kills).toBeGreaterThan(10);
      const { violations } = await qudo.doctor();
      expect(violations).toEqual([]);
      const { rows } = await killer.query<{ n: string }>(
        "select count(*) as n from qudo_outcome where state in (1, 3)",
      );
      expect(Number(rows[0]!.n)).toBe(JOBS);
    },
  );

  test("the server is killed and started again: work goes on", { timeout: 120_000 }, async () => {
    await using server = await startPostgres();
    const ran = new Set<number>();
    const job = defineJob("count", { run: (n: number) => void ran.add(n) });
    await using qudo = new Qudo({ databases: server.url, jobs: [job] });
    await qudo.migrate();
    const worker = await qudo.work({ logger: quiet });
    for (let round = 1; round <= 3; round++) {
      const half = Promise.all(times(50, (n) => acknowledged(qudo, newId(), 100 * round + n)));
      await (round === 2 ? server.stop() : server.kill());
      await server.start();
      await half;
      await until("all of this round", () => ran.size === 50 * round);
    }
    await worker.stop();
    expect((await qudo.doctor()).violations).toEqual([]);
  });

  test("a claim passes by rows that an open transaction holds, and waits for nobody", async () => {
    await using schema = await (await postgres({ durable: false })).newSchema();
    const driver = await openPostgres(postgresSettings(schema.url, { schema: schema.name }));
    await driver.migrate();
    await driver.insertJobs(times(20, () => newJob()));
    await using other = await superuser(schema.url);
    await other.query(`set search_path = ${schema.name}; begin`);
    await other.query(
      `select 1 from qudo_ready order by lane, prio, run_at, id limit 10 for update`,
    );
    const worker = await TestWorker.open(driver);
    const started = performance.now();
    expect((await worker.claim({ limit: 20 })).length).toBe(10);
    // Far below the second for which a lock would be waited for.
    expect(performance.now() - started).toBeLessThan(900);
    await other.query("rollback");
    expect((await worker.claim({ limit: 20 })).length).toBe(10);
    await driver.close();
  });

  test("a server that takes no writes is told, and is well again as soon as it takes them", async () => {
    await using fresh = await (await postgres({ durable: false })).newDatabase();
    await using admin = await superuser(fresh.url);
    const driver = await openPostgres(postgresSettings(fresh.url));
    await driver.migrate();
    await admin.query(`alter database ${fresh.name} set default_transaction_read_only = on`);
    // Those who are connected keep what they were told.
    await admin.query(KILL);
    const error = await errorOf(driver.insertJobs([newJob()]));
    expect(error).toMatchObject({ code: "QUDO_DATABASE_READ_ONLY", transient: true });
    expect(await errorOf(driver.ping())).toMatchObject({ code: "QUDO_DATABASE_READ_ONLY" });
    await driver.listJobs({ limit: 10 });
    await admin.query(`set default_transaction_read_only = off`);
    await admin.query(`alter database ${fresh.name} reset default_transaction_read_only`);
    await errorOf(driver.insertJobs([newJob()]));
    expect(await driver.insertJobs([newJob()])).toEqual([{ status: "inserted" }]);
    await driver.close();
  });

  test("the time is the server's, whatever this process takes it to be", async () => {
    await using schema = await (await postgres({ durable: false })).newSchema();
    await using admin = await superuser(schema.url);
    const driver = await openPostgres(postgresSettings(schema.url, { schema: schema.name }));
    await driver.migrate();
    const { now } = Date;
    Date.now = () => now() + 86_400_000;
    try {
      const job = newJob({ delayMs: 0 });
      await driver.insertJobs([job]);
      const { rows } = await admin.query<{ ms: string }>(
        "select extract(epoch from clock_timestamp()) * 1000 as ms",
      );
      const [row] = await driver.getJobs([job.id]);
      expect(Math.abs(row!.createdAt - Number(rows[0]!.ms))).toBeLessThan(60_000);
    } finally {
      Date.now = now;
    }
    await driver.close();
  });
});
