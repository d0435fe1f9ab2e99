/** PgBouncer in transaction mode, by the address that the page of PostgreSQL gives for it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defineJob, Qudo, type Database } from "../../src/index.js";
import {
  has,
  startPgbouncer,
  startPostgres,
  type Controls,
  type Pooler,
  type PostgresServer,
} from "./index.js";

const double = defineJob("double", { run: (n: number) => 2 * n });

/** Many jobs, by many connections at once: each transaction has the pooler's next connection, which others have used. */
async function doubled(database: Database): Promise<number> {
  await using qudo = new Qudo({ databases: database, jobs: [double] });
  const workers = await Promise.all([qudo.work(), qudo.work()]);
  const jobs = await Promise.all(Array.from({ length: 300 }, (_, n) => qudo.enqueue(double, n)));
  const results = await Promise.all(jobs.map((job) => job.result({ timeout: "40s" })));
  await Promise.all(workers.map((worker) => worker.stop()));
  const { violations } = await qudo.doctor();
  expect(violations).toEqual([]);
  return results.reduce((sum, n) => sum + n, 0);
}

const SUM = 2 * ((299 * 300) / 2);

const here = (await has("postgres", { own: true })) && (await has("pgbouncer"));

describe.skipIf(!here)("behind PgBouncer in transaction mode", () => {
  let server: PostgresServer & Controls;
  let pooler: Pooler & Controls;

  beforeAll(async () => {
    server = await startPostgres({ durable: false });
    pooler = await startPgbouncer({ behind: server.url, settings: { default_pool_size: 4 } });
  }, 120_000);

  afterAll(async () => {
    await pooler?.close();
    await server?.close();
  });

  test("prepare=false and listen=false do all the work", async () => {
    await using place = await server.newSchema();
    const url = `${pooler.url}?prepare=false&listen=false&schema=${place.name}`;
    expect(await doubled(url)).toBe(SUM);
  });

  test("so does prepare=false beside a listener on the server's own address", async () => {
    await using place = await server.newSchema();
    const pooled = { url: pooler.url, prepare: false, schema: place.name };
    expect(await doubled({ ...pooled, listen: server.url })).toBe(SUM);
  });

  test("whoever leaves prepare as it is, is told what to do", async () => {
    await using qudo = new Qudo({ databases: pooler.url });
    await expect(qudo.migrate()).rejects.toMatchObject({
      code: "QUDO_DATABASE_UNREACHABLE",
      message: expect.stringContaining("give prepare: false") as string,
    });
  });

  test("in session mode prepare=false is enough", async () => {
    const settings = { pool_mode: "session", default_pool_size: 40 };
    await using sessions = await startPgbouncer({ behind: server.url, settings });
    await using place = await server.newSchema();
    expect(await doubled({ url: sessions.url, prepare: false, schema: place.name })).toBe(SUM);
  });
});
