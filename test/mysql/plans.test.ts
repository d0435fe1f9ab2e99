/**
 * How the moves of the hot path are carried out: along the key, without a sort, whatever the statistics say and however small
 * the table is. Counted is what the server really read, not what it says that it would.
 */
import { beforeAll, describe, expect, test } from "vitest";
import type { Tx } from "../../src/storage/sql/database.js";
import type { WaitingRow } from "../../src/storage/sql/dialect.js";
import { raw } from "../../src/storage/sql/query.js";
import { newId } from "../../src/storage/ids.js";
import { KINDS_HERE, openPlace, type Place } from "./support.js";

const BATCH = 100;
const LANES = [1, 2, 3];
const BEGAN = 1_800_000_000_000;

/** What a session has read since it was told to forget. */
interface Reads {
  /** Rows found by a key. */
  readonly byKey: number;
  /** Rows read because they were the next ones of an index, or of a table. */
  readonly next: number;
  readonly scanned: number;
  readonly sorted: number;
}

async function readsOf<T>(tx: Tx, work: () => Promise<T>): Promise<Reads & { value: T }> {
  await tx.run(raw("flush status"));
  const value = await work();
  const rows = await tx.all(
    raw(
      "show session status where variable_name like 'Handler_read%' or variable_name like 'Sort_%'",
    ),
    { Variable_name: "text", Value: "int" },
  );
  const of = (name: string): number =>
    rows.find((row) => row.Variable_name.toLowerCase() === name)!.Value;
  return {
    value,
    byKey: of("handler_read_key") + of("handler_read_first"),
    next: of("handler_read_next"),
    scanned: of("handler_read_rnd_next"),
    sorted: of("sort_rows") + of("sort_scan") + of("sort_range"),
  };
}

/** Rows of all lanes in turn, so that no lane's rows lie together by chance. */
async function fill({ admin }: Place, table: "ready" | "delayed", n: number): Promise<void> {
  for (let done = 0; done < n; done += 1_000) {
    const rows = Array.from({ length: Math.min(1_000, n - done) }, (_, i) => [
      LANES[(done + i) % LANES.length],
      -((done + i) % 3),
      BEGAN + done + i,
      Buffer.from(newId().replaceAll("-", ""), "hex"),
      1,
      0,
      0,
    ]);
    const columns = "(lane, prio, run_at, id, run, fails, crashes)";
    await admin.query(`insert into qudo_${table} ${columns} values ?`, [rows]);
  }
}

/** Statistics that are taken now, and never again. */
async function freeze({ admin }: Place, table: "ready" | "delayed"): Promise<void> {
  await admin.query(`alter table qudo_${table} stats_persistent = 1, stats_auto_recalc = 0`);
  await admin.query(`analyze table qudo_${table}`);
}

async function analyze({ admin }: Place, table: "ready" | "delayed"): Promise<void> {
  await admin.query(`analyze table qudo_${table}`);
}

/** Claims in a transaction that is rolled back, so that each finds the same table. */
const tried = async (
  { db, dialect }: Place,
  lanes: readonly number[],
  limit = BATCH,
): Promise<Reads & { value: WaitingRow[] }> => {
  let reads!: Reads & { value: WaitingRow[] };
  const takes = lanes.map((lane) => ({ lane, limit }));
  const back = new Error("back");
  await db
    .transaction(async (tx) => {
      reads = await readsOf(tx, () => dialect.takeReady(tx, takes));
      throw back;
    })
    .catch((error: unknown) => {
      if (error !== back) throw error;
    });
  return reads;
};
const follows = ({ value, byKey, next, scanned, sorted }: Reads & { value: unknown[] }) => {
  expect({ scanned, sorted }).toEqual({ scanned: 0, sorted: 0 });
  // Once when it is looked for, once when it is deleted; and what a table's first use reads about it.
  expect(byKey + next).toBeLessThanOrEqual(2 * value.length + 60);
};

describe("read along the key", () => {
  describe.each(KINDS_HERE)("on $name", ({ server: find }) => {
    const sizes = [0, 10, 1_000, 100_000];
    describe.each([
      ["statistics of an empty table", "empty"],
      ["fresh statistics", "fresh"],
      ["statistics of a full table that was emptied", "full"],
    ] as const)("with %s", (_, statistics) => {
      let server: Awaited<ReturnType<typeof find>>;
      beforeAll(async () => (server = await find()));

      test.each(sizes)("a claim out of %i rows", { timeout: 120_000 }, async (size) => {
        await using place = await openPlace(server);
        if (statistics === "full") {
          await fill(place, "ready", 20_000);
          await freeze(place, "ready");
          await place.admin.query("truncate qudo_ready");
        } else await freeze(place, "ready");
        await fill(place, "ready", size);
        if (statistics === "fresh") await analyze(place, "ready");
        for (const lanes of [[1], [4], LANES, [...LANES, 4]]) {
          const reads = await tried(place, lanes);
          const there = lanes.filter((lane) => lane !== 4).length * Math.floor(size / 3);
          expect(reads.value.length).toBeGreaterThanOrEqual(Math.min(there, BATCH));
          follows(reads);
        }
        // All there is, in one claim: where a database would rather read the whole table.
        follows(await tried(place, [1], 1_000));
      });

      test.each(sizes)("a promotion out of %i rows", { timeout: 120_000 }, async (size) => {
        await using place = await openPlace(server);
        if (statistics === "full") {
          await fill(place, "delayed", 20_000);
          await freeze(place, "delayed");
          await place.admin.query("truncate qudo_delayed");
        } else await freeze(place, "delayed");
        await fill(place, "delayed", size);
        if (statistics === "fresh") await analyze(place, "delayed");
        const { db, dialect } = place;
        // All of them are due, or none, or some.
        for (const due of [BEGAN + size, BEGAN - 1, BEGAN + size / 2])
          await db.transaction(async (tx) => {
            const reads = await readsOf(tx, () => dialect.takeDue(tx, due, BATCH));
            follows(reads);
          });
      });
    });
  });
});
