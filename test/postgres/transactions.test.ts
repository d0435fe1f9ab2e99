/** Transactions on a real server: what is repeated, what is refused, and what a connection is left in. */
import { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Tx } from "../../src/storage/sql/database.js";
import { Query, raw } from "../../src/storage/sql/query.js";
import { has, postgres, type Fresh } from "../servers/index.js";
import { errorOf, gate, number, openDatabase, superuser, until, type Opened } from "./support.js";

/** How many statements a connection has prepared after the same one came twice. */
async function prepared(url: string, prepare: boolean): Promise<number> {
  await using one = await openDatabase(url, { prepare, connections: 1 });
  for (const n of [1, 2])
    await one.db.look((tx) => tx.all(new Query(["select ", "::int + 1 as n"], [n]), { n: "int" }));
  return one.db.look((tx) => number(tx, "select count(*) from pg_prepared_statements"));
}

describe.skipIf(!(await has("postgres")))("PostgreSQL transactions", () => {
  let place: Fresh;
  let opened: Opened;

  beforeAll(async () => {
    place = await (await postgres({ durable: false })).newDatabase();
    opened = await openDatabase(place.url);
    await opened.db.look(async (tx) => {
      await tx.run(raw("create table t (id int primary key, n int not null default 0)"));
      await tx.run(raw("insert into t select generate_series(1, 10)"));
      await tx.run(raw("create table child (t int not null references t (id))"));
    });
  });

  afterAll(async () => {
    await opened.db.close();
    await place.drop();
  });

  test("commit and roll back whole, and say the database's time", async () => {
    const { db } = opened;
    const failed = await errorOf(
      db.transaction(async (tx) => {
        await tx.run(raw("update t set n = 99 where id = 1"));
        throw new RangeError("changed my mind");
      }),
    );
    expect(failed).toBeInstanceOf(RangeError);
    expect(await db.look((tx) => number(tx, "select n from t where id = 1"))).toBe(0);
    const [now, theirs] = await db.transaction(async (tx, now) => [
      now,
      await number(tx, "select extract(epoch from clock_timestamp()) * 1000"),
    ]);
    expect(theirs - now).toBeGreaterThanOrEqual(0);
    expect(theirs - now).toBeLessThan(2_000);
  });

  test("begin again after a deadlock, which nobody is told of", async () => {
    const { db } = opened;
    await db.look((tx) => tx.run(raw("update t set n = 0")));
    let arrived = 0;
    let runs = 0;
    // Both hold one row before either asks for the other's.
    const both = async (tx: Tx, first: number, second: number): Promise<void> => {
      runs++;
      await tx.run(raw(`update t set n = n + 1 where id = ${first}`));
      arrived++;
      await until("the other one", () => arrived >= 2);
      await tx.run(raw(`update t set n = n + 1 where id = ${second}`));
    };
    await Promise.all([
      db.transaction((tx) => both(tx, 1, 2)),
      db.transaction((tx) => both(tx, 2, 1)),
    ]);
    expect(runs).toBeGreaterThan(2);
    expect(await db.look((tx) => number(tx, "select sum(n) from t where id <= 2"))).toBe(4);
  });

  test("begin again after a key that somebody else had first", async () => {
    const { db } = opened;
    let runs = 0;
    const seen = await db.transaction(async (tx) => {
      if (++runs === 1) {
        await db.look((other) => other.run(raw("insert into t values (100)")));
        await tx.run(raw("insert into t values (100)"));
      }
      return number(tx, "select count(*) from t where id = 100");
    });
    expect([runs, seen]).toEqual([2, 1]);
  });

  test("begin again after a reference to a row that was just deleted, or is not there", async () => {
    await using one = await openDatabase(place.url, { statementTimeoutMs: 100 });
    let runs = 0;
    const refer = (tx: Tx) => tx.run(raw(`insert into child values (${++runs < 3 ? 4711 : 1})`));
    expect(await one.db.transaction(refer)).toBe(1);
    expect(runs).toBe(3);
    const never = one.db.transaction((tx) => tx.run(raw("insert into child values (4711)")));
    expect(await errorOf(never)).toMatchObject({ code: "QUDO_DATABASE_BUSY" });
  });

  test("of statements sent together the first failure is told, and no other is left over", async () => {
    const { db } = opened;
    const unhandled: unknown[] = [];
    const listen = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", listen);
    try {
      const failed = await errorOf(
        db.transaction(async (tx) => {
          // Not waited for at all: a failure of it must not end the process.
          void tx.run(raw("select 1 / 0"));
          await Promise.all([1, 2, 3].map((n) => tx.run(raw(`select ${n} / 0`))));
        }),
      );
      expect(failed).toMatchObject({ code: "QUDO_DATABASE_FAILED", cause: { code: "22012" } });
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(unhandled).toEqual([]);
    } finally {
      process.off("unhandledRejection", listen);
    }
  });

  test("a statement that comes after the end is not sent to whoever has the connection now", async () => {
    await using one = await openDatabase(place.url, { connections: 1 });
    const left = gate();
    let late: Promise<Error> | undefined;
    await errorOf(
      one.db.transaction(async (tx) => {
        const slow = left.opened.then(() => tx.run(raw("insert into t values (200)")));
        late = errorOf(slow);
        await tx.run(raw("select 1 / 0"));
      }),
    );
    await one.db.transaction(async (tx) => {
      left.open();
      expect((await late)?.message).toContain("over");
      return number(tx, "select 1");
    });
    expect(await one.db.look((tx) => number(tx, "select count(*) from t where id = 200"))).toBe(0);
  });

  test("a failure that the body swallowed is found at the commit", async () => {
    const failed = await errorOf(
      opened.db.transaction(async (tx) => {
        await tx.run(raw("insert into t values (300)"));
        await tx.run(raw("select 1 / 0")).catch(() => undefined);
      }),
    );
    expect(failed).toMatchObject({ code: "QUDO_DATABASE_FAILED" });
    expect(await opened.db.look((tx) => number(tx, "select count(*) from t where id = 300"))).toBe(
      0,
    );
  });

  test(
    "a lock that stays is waited for in vain, and said to be busy",
    { timeout: 30_000 },
    async () => {
      await using one = await openDatabase(place.url, { statementTimeoutMs: 100 });
      await using other = await superuser(place.url);
      await other.query("begin; update t set n = 1 where id = 5");
      const failed = await errorOf(
        one.db.transaction((tx) => tx.run(raw("update t set n = 2 where id = 5"))),
      );
      expect(failed).toMatchObject({ code: "QUDO_DATABASE_BUSY", transient: true });
      await other.query("rollback");
      await one.db.transaction((tx) => tx.run(raw("update t set n = 2 where id = 5")));
    },
  );

  test("a statement that takes too long is ended by the server, unless it was told to be patient", async () => {
    await using one = await openDatabase(place.url, { statementTimeoutMs: 100 });
    const failed = await errorOf(one.db.transaction((tx) => tx.run(raw("select pg_sleep(5)"))));
    expect(failed).toMatchObject({ code: "QUDO_DATABASE_BUSY", cause: { code: "57014" } });
    await one.db.snapshot((tx) => tx.run(raw("select pg_sleep(0.3)")), { patient: true });
    // Patience is for one transaction.
    const again = await errorOf(one.db.snapshot((tx) => tx.run(raw("select pg_sleep(5)"))));
    expect(again).toMatchObject({ cause: { code: "57014" } });
  });

  test("a snapshot sees nothing of what others commit meanwhile, and writes nothing", async () => {
    const { db } = opened;
    const counts = await db.snapshot(async (tx) => {
      const before = await number(tx, "select count(*) from t");
      await db.look((other) => other.run(raw("insert into t values (400)")));
      return [before, await number(tx, "select count(*) from t")];
    });
    expect(counts[1]).toBe(counts[0]);
    const failed = await errorOf(db.snapshot((tx) => tx.run(raw("delete from t"))));
    expect(failed).toMatchObject({ code: "QUDO_DATABASE_READ_ONLY" });
  });

  describe("when its connection is killed", () => {
    const KILL = `select count(pg_terminate_backend(pid)) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`;

    test("before the commit was sent: it begins again on another", async () => {
      await using one = await openDatabase(place.url, { connections: 2 });
      await using killer = await superuser(place.url);
      let runs = 0;
      await one.db.transaction(async (tx) => {
        await tx.run(raw("insert into t values (500)"));
        if (++runs === 1) await killer.query(KILL);
        await tx.run(raw("insert into t values (501)"));
      });
      expect(runs).toBe(2);
      expect(await one.db.look((tx) => number(tx, "select count(*) from t where id >= 500"))).toBe(
        2,
      );
    });

    test("while nobody uses it: the next one is made", async () => {
      await using one = await openDatabase(place.url);
      await using killer = await superuser(place.url);
      const many = Array.from({ length: 10 }, () => one.db.look((tx) => number(tx, "select 1")));
      await Promise.all(many);
      await killer.query(KILL);
      for (let n = 0; n < 10; n++)
        expect(await one.db.transaction((tx) => number(tx, "select 7"))).toBe(7);
    });

    test("at the commit: nobody knows, and that is said", async () => {
      await using one = await openDatabase(place.url);
      await using killer = await superuser(place.url);
      await killer.query(`create function slow() returns trigger language plpgsql as
        $$begin perform pg_sleep(60); return null; end$$;
        create table slow (n int);
        create constraint trigger at_commit after insert on slow deferrable initially deferred
        for each row execute function slow()`);
      let runs = 0;
      const failing = errorOf(
        one.db.transaction((tx) => {
          runs++;
          return tx.run(raw("insert into slow values (1)"));
        }),
      );
      const committing = `select count(*) from pg_stat_activity where query = 'commit' and state = 'active'
        and datname = current_database()`;
      await until("the commit", async () => {
        const { rows } = await killer.query<{ count: string }>(committing);
        return rows[0]!.count === "1";
      });
      await killer.query(KILL);
      expect(await failing).toMatchObject({ code: "QUDO_DATABASE_UNREACHABLE", transient: true });
      expect(runs).toBe(1);
    });
  });

  describe("on a pool of the user's", () => {
    test("time-outs hold for the transaction only, statements wait for one another, and it stays open", async () => {
      const warnings: Error[] = [];
      const listen = (warning: Error): void => void warnings.push(warning);
      process.on("warning", listen);
      const pool = new Pool({ connectionString: place.url, max: 1 });
      const theirs = await openDatabase(place.url, { pool, statementTimeoutMs: 100 });
      const failed = await errorOf(
        theirs.db.transaction((tx) => tx.run(raw("select pg_sleep(5)"))),
      );
      expect(failed).toMatchObject({ cause: { code: "57014" } });
      await theirs.db.transaction((tx) =>
        Promise.all([1, 2, 3].map((n) => number(tx, `select ${n}`))),
      );
      const { rows } = await pool.query<{ t: string }>(
        "select current_setting('statement_timeout') as t",
      );
      expect(rows).toEqual([{ t: "0" }]);
      await theirs.db.close();
      await pool.query("select 1");
      expect(await errorOf(theirs.db.look((tx) => number(tx, "select 1")))).toMatchObject({
        code: "QUDO_CLOSED",
      });
      await pool.end();
      process.off("warning", listen);
      expect(warnings).toEqual([]);
    });

    test("a connection of it that breaks ends nothing", async () => {
      const pool = new Pool({ connectionString: place.url, max: 2 });
      const theirs = await openDatabase(place.url, { pool });
      await using killer = await superuser(place.url);
      let runs = 0;
      await theirs.db.transaction(async (tx) => {
        await number(tx, "select 1");
        if (++runs === 1)
          await killer.query(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
          );
        await number(tx, "select 1");
      });
      expect(runs).toBe(2);
      // Now while it is idle.
      const gone = new Promise<void>((resolve) => pool.once("remove", () => resolve()));
      await killer.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
      );
      await gone;
      expect(await theirs.db.look((tx) => number(tx, "select 1"))).toBe(1);
      await theirs.db.close();
      await pool.end();
    });

    test("something else than a pool is refused by name", async () => {
      expect(await errorOf(openDatabase(place.url, { pool: { query: 1 } }))).toMatchObject({
        code: "QUDO_INVALID_OPTION",
        message: expect.stringContaining("Pool of the package pg") as string,
      });
    });
  });

  test("statements are prepared by name, once in each connection, and not at all without prepare", async () => {
    expect(await prepared(place.url, true)).toBe(1);
    expect(await prepared(place.url, false)).toBe(0);
  });

  test("what was announced is told after the commit, once, and not after a rollback", async () => {
    await using one = await openDatabase(place.url);
    await one.db.transaction(async (tx) => {
      tx.announce();
      tx.announce();
      expect(one.announced).toBe(0);
      return number(tx, "select 1");
    });
    expect(one.announced).toBe(1);
    await errorOf(
      one.db.transaction(async (tx) => {
        tx.announce();
        return number(tx, "select 1 / 0");
      }),
    );
    await one.db.transaction((tx) => number(tx, "select 1"));
    expect(one.announced).toBe(1);
  });
});
