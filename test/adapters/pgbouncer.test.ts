/** Users' transactions through PgBouncer in transaction mode: each runs on whatever connection the pooler has. */
import postgresJs from "postgres";
import { expect, test } from "vitest";
import { defineJob, Qudo } from "../../src/index.js";
import { has, postgres, startPgbouncer } from "../servers/index.js";
import type { Library } from "./support/library.js";
import { onPostgres } from "./support/postgres.js";

const note = defineJob("note", { run: (_payload: unknown) => undefined });
const here = (await has("pgbouncer")) && (await has("postgres"));

/** Statements that are prepared by name need PgBouncer 1.21: this one prepares none. */
const unprepared: Library = {
  name: "postgres with prepare: false",
  server: "postgres",
  async open(url) {
    const sql = postgresJs(url, { prepare: false });
    return {
      transaction: async (body) => void (await sql.begin((tx) => body(tx))),
      nested: () => Promise.reject(new Error("is not asked for here")),
      run: (tx, text) => (tx as postgresJs.TransactionSql).unsafe(text),
      wrong: {},
      close: () => sql.end(),
    };
  },
};
const libraries = [...onPostgres.filter(({ name }) => !name.endsWith("postgres")), unprepared];

test.skipIf(!here).each(libraries)("$name", async (library) => {
  const place = await (await postgres({ durable: false })).newDatabase();
  await using pooler = await startPgbouncer({
    behind: place.url,
    settings: { default_pool_size: 2 },
  });
  const qudo = new Qudo({ databases: { url: place.url, listen: false } });
  await qudo.migrate();
  await qudo.enqueue(note, 0);
  const opened = await library.open(pooler.url);
  // One at a time where there is one connection only.
  const together = library.name.endsWith("a Client") ? 1 : 4;
  for (let round = 0; round < 4; round++) {
    const ends = await Promise.allSettled(
      Array.from({ length: together }, (_, n) =>
        opened.transaction(async (tx) => {
          const job = await qudo.in(tx).enqueue(note, n, { uniqueKey: `${round}/${n}` });
          expect(job.status).toBe("inserted");
          if (n % 2 === 1) throw new Error("back");
        }),
      ),
    );
    const committed = ends.filter(({ status }) => status === "fulfilled").length;
    expect(committed).toBe(Math.ceil(together / 2));
  }
  const pending = 1 + 4 * Math.ceil(together / 2);
  expect(await qudo.monitor.counts()).toMatchObject([{ pending }]);
  await opened.close();
  await qudo.close();
  await place.drop();
});
