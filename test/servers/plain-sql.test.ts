/** The page about plain SQL, run as it stands: a worker finds the job that each block adds, with its payload. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { Client } from "pg";
import { defineJob, Qudo } from "qudo";
import { describe, expect, test } from "vitest";
import { openHandle } from "../conformance/support/handle.js";
import { has, mariadb, postgres } from "./index.js";

/** The SQL below each heading. */
const BLOCKS = new Map(
  [...readFileSync("docs/plain-sql.md", "utf8").matchAll(/^## (.+)\n+```sql\n([^`]+)```/gm)].map(
    ([, heading, sql]) => [heading!, sql!] as const,
  ),
);

interface Place {
  readonly url: string;
  run(sql: string): Promise<unknown>;
  close(): Promise<unknown>;
}

async function onSqlite(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), "qudo-plain-sql-"));
  const path = join(folder, "jobs.db");
  return {
    url: `sqlite:${path}`,
    run: async (sql) => {
      const handle = await openHandle(path);
      handle.exec(sql);
      handle.close();
    },
    close: () => rm(folder, { recursive: true }),
  };
}

async function onPostgres(): Promise<Place> {
  const { url, drop } = await (await postgres({ durable: false })).newDatabase();
  const run = async (sql: string): Promise<void> => {
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query(sql).finally(() => client.end());
  };
  return { url, run, close: drop };
}

async function onMariadb(): Promise<Place> {
  const { url, drop } = await (await mariadb({ durable: false })).newDatabase();
  const run = async (sql: string): Promise<void> => {
    const connection = await createConnection({ uri: url, multipleStatements: true });
    await connection.query(sql).finally(() => connection.end());
  };
  return { url, run, close: drop };
}

const ENGINES = [
  { heading: "SQLite", here: true, open: onSqlite },
  { heading: "PostgreSQL", here: await has("postgres"), open: onPostgres },
  { heading: "MySQL and MariaDB", here: await has("mariadb"), open: onMariadb },
];

test("every block of the page is run here", () => {
  expect([...BLOCKS.keys()]).toEqual(ENGINES.map(({ heading }) => heading));
});

describe.each(ENGINES)("$heading", ({ heading, here, open }) => {
  test.skipIf(!here)(
    "a worker runs the jobs that the block adds, the second without a new lane",
    async () => {
      const place = await open();
      try {
        let resolve: (all: unknown[]) => void;
        const both = new Promise<unknown[]>((done) => (resolve = done));
        const payloads: unknown[] = [];
        const send = defineJob("mail.send", {
          run: (payload: unknown) => {
            if (payloads.push(payload) === 2) resolve(payloads);
          },
        });
        await using qudo = new Qudo({ databases: place.url, jobs: [send] });
        await qudo.migrate();
        for (let i = 0; i < 2; i++) await place.run(BLOCKS.get(heading)!);
        expect((await qudo.doctor()).violations).toEqual([]);
        const worker = await qudo.work({ signals: false });
        expect(await both).toEqual([{ to: "ann" }, { to: "ann" }]);
        await worker.stop();
        expect(worker.stats).toMatchObject({ done: 2, failed: 0 });
        expect((await qudo.doctor()).violations).toEqual([]);
      } finally {
        await place.close();
      }
    },
  );
});
