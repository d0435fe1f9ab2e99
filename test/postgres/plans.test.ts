/** The claim reads what it takes and next to nothing else, however much waits and whatever the statistics say. */
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openPostgres } from "../../src/storage/postgres/index.js";
import { postgresSettings } from "../conformance/support/postgres.js";
import { has, postgres, type Fresh } from "../servers/index.js";
import { openExplained, type Explained } from "./explained.js";
import { superuser } from "./support.js";

const BATCH = 500;
/** Pages asked for per row: to find and lock it; then by its place, to delete it and to return it. */
const [TO_FIND, TO_DELETE] = [1, 3];
/** Pages of the index above its leaves, and its leaves. */
const CONSTANT = 120;

/** What a table's statistics were taken of, and what is in it now have nothing to do with each other. */
const STATISTICS = {
  fresh: "analyze qudo_ready",
  "those of the empty table": `update pg_class set reltuples = 0, relpages = 0 where oid = 'qudo_ready'::regclass;
    delete from pg_statistic where starelid = 'qudo_ready'::regclass`,
  absent: `update pg_class set reltuples = -1, relpages = 0 where oid = 'qudo_ready'::regclass;
    delete from pg_statistic where starelid = 'qudo_ready'::regclass`,
} as const;

describe.skipIf(!(await has("postgres")))("PostgreSQL: a claim", () => {
  describe.each([0, 1_000, 1_000_000])("out of %i rows", (size) => {
    let place: Fresh;
    let admin: Client & AsyncDisposable;

    beforeAll(async () => {
      place = await (await postgres({ durable: false })).newDatabase();
      const driver = await openPostgres(postgresSettings(place.url));
      await driver.migrate();
      await driver.close();
      admin = await superuser(place.url);
      await admin.query(`alter table qudo_ready set (autovacuum_enabled = false)`);
      // Two lanes in turn: neither's rows lie together.
      await admin.query(`insert into qudo_ready (lane, prio, run_at, id, run, fails, crashes)
        select 1 + g % 2, -(g / 2 % 3), g, gen_random_uuid(), 1, 0, 0 from generate_series(1, ${size}) g`);
    }, 300_000);

    afterAll(async () => {
      await admin.end();
      await place.drop();
    });

    const explain = async (lanes: readonly number[], generic: boolean): Promise<Explained> => {
      await using explained = await openExplained(place.url, {}, { generic });
      const { db, dialect } = explained.engine;
      const takes = lanes.map((lane) => ({ lane, limit: BATCH }));
      const back = new Error("so that each claim finds the same table");
      const [one] = await explained.of(async () => {
        const claim = db.transaction(async (tx) => {
          await dialect.takeReady(tx, takes);
          throw back;
        });
        await claim.catch((error: unknown) => {
          if (error !== back) throw error;
        });
      });
      return one!;
    };

    test.each(Object.entries(STATISTICS))("with statistics that are %s", async (_, sql) => {
      await admin.query(sql);
      for (const lanes of [[1], [1, 2], [1, 2, 3]])
        for (const generic of [false, true]) {
          const { found, buffers, nodes } = await explain(lanes, generic);
          const taken = Math.min(
            lanes.length === 1 ? size / 2 : size,
            Math.min(lanes.length, 2) * BATCH,
          );
          expect(found, nodes.join(", ")).toBeLessThanOrEqual(TO_FIND * taken + CONSTANT);
          expect(found).toBeGreaterThanOrEqual(taken);
          expect(buffers - found, nodes.join(", ")).toBeLessThanOrEqual(TO_DELETE * taken);
          expect(nodes.filter((node) => /Seq Scan|Sort|Bitmap/.test(node))).toEqual([]);
        }
    });
  });
});
