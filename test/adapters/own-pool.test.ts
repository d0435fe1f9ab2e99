/** A pool of the user's that is also the queue's: its last connection may be the one that the transaction is on. */
import { createPool } from "mysql2/promise";
import { Pool } from "pg";
import { expect, test } from "vitest";
import { defineJob, Qudo } from "../../src/index.js";
import { serverOf } from "./support/servers.js";

const note = defineJob("note", { run: (_payload: unknown) => undefined });

const pools = {
  postgres(connectionString: string) {
    const pool = new Pool({ connectionString, max: 1 });
    const take = async () => {
      const client = await pool.connect();
      return {
        tx: client,
        run: (text: string) => client.query(text),
        back: () => client.release(),
      };
    };
    return { pool, take };
  },
  mysql(uri: string) {
    const pool = createPool({ uri, connectionLimit: 1 });
    const take = async () => {
      const connection = await pool.getConnection();
      const run = (text: string) => connection.query(text);
      return { tx: connection, run, back: () => connection.release() };
    };
    return { pool, take };
  },
};

test.each(["postgres", "mysql"] as const)("%s", async (kind) => {
  const place = await serverOf(kind);
  const { pool, take } = pools[kind](place.url);
  const qudo = new Qudo({ databases: { pool } });
  await qudo.migrate();
  const { tx, run, back } = await take();
  await run("begin");
  const job = await qudo.in(tx).enqueue(note, 1, { uniqueKey: "k" });
  await run("commit");
  back();
  expect(await qudo.jobs.get(job.id)).toMatchObject({ state: "pending" });
  await qudo.close();
  await pool.end();
  await place.close();
});
