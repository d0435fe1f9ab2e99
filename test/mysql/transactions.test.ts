/** What a transaction of ours is, on a real server: whole, alone when it met others, and never half of anything. */
import { createPool, type Pool, type RowDataPacket } from "mysql2";
import type { Connection } from "mysql2/promise";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { raw, sql } from "../../src/storage/sql/query.js";
import type { Fresh, MysqlServer } from "../servers/index.js";
import {
  administrator,
  errorOf,
  gate,
  KINDS_HERE,
  number,
  openDatabase,
  until,
} from "./support.js";

const KILLS = 300;

const count = (where: string): string => `select count(*) from t where ${where}`;

describe.each(KINDS_HERE)("on $name, transactions", ({ server: find }) => {
  let server: MysqlServer;
  let place: Fresh;
  /** A superuser, connected to no database. */
  let admin: Connection;

  beforeAll(async () => {
    server = await find();
    admin = await administrator(server.url);
    return () => admin.end();
  });

  beforeEach(async () => {
    place = await server.newDatabase();
    await using maker = await administrator(place.url);
    await maker.query("create table t (id int primary key, n int not null default 0)");
    await maker.query("insert into t (id) values (1), (2)");
    return () => place.drop();
  });

  /** Of the connections to this database those that are chosen. */
  const kill = async (choose: (all: readonly number[]) => readonly number[]): Promise<void> => {
    const [rows] = await admin.query<RowDataPacket[]>(
      "select id from information_schema.processlist where db = ?",
      [place.name],
    );
    const all = rows.map((row) => Number(row["id"]));
    // Some have gone by the time that their turn comes.
    if (all.length > 0)
      for (const id of choose(all)) await admin.query(`kill ${id}`).catch(() => undefined);
  };
  const killAll = (): Promise<void> => kill((all) => all);

  test("commit and roll back whole, and say the database's time", async () => {
    await using db = await openDatabase(place.url);
    const before = Date.now();
    const told = await db.transaction(async (tx, now) => {
      expect(await tx.run(raw("insert into t (id) values (10), (11)"))).toBe(2);
      return now;
    });
    expect(told).toBeGreaterThanOrEqual(before - 1_000);
    expect(told).toBeLessThanOrEqual(Date.now() + 1_000);
    const failed = await errorOf(
      db.transaction(async (tx) => {
        await tx.run(raw("insert into t (id) values (12)"));
        throw new Error("mine");
      }),
    );
    expect(failed.message).toBe("mine");
    expect(await db.look((tx) => number(tx, count("id >= 10")))).toBe(2);
  });

  test("count what they change, not what they find", async () => {
    await using db = await openDatabase(place.url);
    const changed = await db.transaction((tx) => tx.run(raw("update t set n = 0 where id = 1")));
    expect(changed).toBe(0);
  });

  test("begin again after a deadlock, of which nobody is told", async () => {
    await using db = await openDatabase(place.url);
    const [first, second] = [gate(), gate()];
    const runs = { a: 0, b: 0 };
    const both = async (who: "a" | "b", mine: number, theirs: number) =>
      db.transaction(async (tx) => {
        const again = ++runs[who] > 1;
        await tx.run(sql`update t set n = n + 1 where id = ${mine}`);
        (who === "a" ? first : second).open();
        if (!again) await (who === "a" ? second : first).opened;
        await tx.run(sql`update t set n = n + 1 where id = ${theirs}`);
      });
    await Promise.all([both("a", 1, 2), both("b", 2, 1)]);
    expect(runs.a + runs.b).toBe(3);
    expect(await db.look((tx) => number(tx, "select sum(n) from t"))).toBe(4);
  });

  test("nothing that was to follow a deadlock is written by itself", async () => {
    await using db = await openDatabase(place.url);
    await using other = await administrator(place.url);
    await other.query("start transaction");
    await other.query("update t set n = n + 10 where id = 2");
    // The one that has written more is not the one to give way.
    const rows = Array.from({ length: 50 }, (_, i) => `(${i + 100})`).join();
    await other.query(`insert into t (id) values ${rows}`);
    let runs = 0;
    const back = new Error("enough");
    const failed = errorOf(
      db.transaction(async (tx) => {
        if (++runs > 1) throw back;
        await tx.run(raw("update t set n = n + 1 where id = 1"));
        const waiting = tx.run(raw("update t set n = n + 1 where id = 2"));
        // All three go together: when the second one fails, the transaction is over at the server.
        const following = tx.run(raw("insert into t (id) values (50)"));
        const closing = other.query("update t set n = n + 10 where id = 1");
        await Promise.all([waiting, following, closing]);
      }),
    );
    expect(await failed).toBe(back);
    await other.query("commit");
    expect(await db.look((tx) => number(tx, count("id = 50")))).toBe(0);
    expect(await db.look((tx) => number(tx, "select n from t where id = 1"))).toBe(10);
  });

  test("begin again after a key that somebody else had first", async () => {
    await using db = await openDatabase(place.url);
    await using other = await administrator(place.url);
    await other.query("start transaction");
    await other.query("insert into t (id) values (20)");
    const looked = gate();
    let runs = 0;
    const adding = db.transaction(async (tx) => {
      runs++;
      if ((await number(tx, count("id = 20"))) === 1) return "there";
      looked.open();
      await tx.run(raw("insert into t (id) values (20)"));
      return "added";
    });
    await looked.opened;
    await other.query("commit");
    expect(await adding).toBe("there");
    expect(runs).toBe(2);
  });

  test("begin again after a reference to a row that was just deleted", async () => {
    await using db = await openDatabase(place.url);
    await using maker = await administrator(place.url);
    await maker.query(
      "create table child (id int primary key, t int not null, foreign key (t) references t (id))",
    );
    let runs = 0;
    await db.transaction(async (tx) => {
      if (++runs === 1) await maker.query("delete from t where id = 1");
      const there = await number(tx, runs === 1 ? "select 1" : count("id = 1"));
      if (there === 1) await tx.run(raw("insert into child values (1, 1)"));
    });
    expect(runs).toBe(2);
  });

  test("wait for a lock no longer than a second at a time, and ten in all", async () => {
    await using db = await openDatabase(place.url);
    await using other = await administrator(place.url);
    await other.query("start transaction");
    await other.query("update t set n = 1 where id = 1");
    let runs = 0;
    const began = performance.now();
    const failed = await errorOf(
      db.transaction((tx) => {
        runs++;
        return tx.run(raw("update t set n = 2 where id = 1"));
      }),
    );
    expect(failed).toMatchObject({ code: "QUDO_DATABASE_BUSY", transient: true });
    expect(runs).toBeGreaterThanOrEqual(7);
    expect(performance.now() - began).toBeLessThan(15_000);
  });

  test("of statements sent together the first failure is told, and none of the rest is sent", async () => {
    await using db = await openDatabase(place.url);
    const failed = await errorOf(
      db.transaction((tx) =>
        Promise.all([
          tx.run(raw("insert into t (id) values (30)")),
          tx.run(raw("insert into t (nothing) values (1)")),
          tx.run(raw("insert into nowhere values (1)")),
        ]),
      ),
    );
    expect(failed).toMatchObject({ cause: { errno: 1054 } });
    expect(await db.look((tx) => number(tx, count("id = 30")))).toBe(0);
  });

  test("a statement that comes after the end is not sent to whoever has the connection now", async () => {
    await using db = await openDatabase(place.url, { connections: 1 });
    const left = gate();
    let late: Promise<Error> | undefined;
    await errorOf(
      db.transaction(async (tx) => {
        late = errorOf(left.opened.then(() => tx.run(raw("insert into t (id) values (40)"))));
        throw new Error("over");
      }),
    );
    await db.transaction(async (tx) => {
      left.open();
      expect((await late)?.message).toContain("over");
      return number(tx, "select 1");
    });
    expect(await db.look((tx) => number(tx, count("id = 40")))).toBe(0);
  });

  test("a failure that the body swallowed is found at the commit", async () => {
    await using db = await openDatabase(place.url);
    const failed = await errorOf(
      db.transaction(async (tx) => {
        await tx.run(raw("insert into t (id) values (60)"));
        await tx.run(raw("insert into nowhere values (1)")).catch(() => undefined);
      }),
    );
    expect(failed).toMatchObject({ code: "QUDO_SCHEMA_MISSING" });
    expect(await db.look((tx) => number(tx, count("id = 60")))).toBe(0);
  });

  test("a statement that takes too long is ended by the server, unless it was told to be patient", async () => {
    await using db = await openDatabase(place.url, { statementTimeoutMs: 200 });
    // MySQL interrupts sleep without an error; both end what reads.
    const slow = "select count(*) from information_schema.columns a, information_schema.columns b";
    const failed = await errorOf(db.look((tx) => number(tx, slow)));
    expect(failed).toMatchObject({ code: "QUDO_DATABASE_BUSY", transient: true });
    const slept = db.snapshot((tx) => number(tx, "select sleep(0.6)"), { patient: true });
    expect(await slept).toBe(0);
    expect(await errorOf(db.look((tx) => number(tx, slow)))).toMatchObject({
      code: "QUDO_DATABASE_BUSY",
    });
  });

  test("a snapshot sees nothing of what others commit meanwhile, and writes nothing", async () => {
    await using db = await openDatabase(place.url);
    await using other = await administrator(place.url);
    await db.snapshot(async (tx) => {
      await other.query("insert into t (id) values (70)");
      expect(await number(tx, count("id = 70"))).toBe(0);
    });
    expect(await db.look((tx) => number(tx, count("id = 70")))).toBe(1);
    const failed = await errorOf(
      db.snapshot((tx) => tx.run(raw("insert into t (id) values (71)"))),
    );
    expect(failed).toMatchObject({ code: "QUDO_DATABASE_READ_ONLY" });
    // The next transaction on that connection is an ordinary one again.
    await db.transaction(async (tx) => {
      await other.query("insert into t (id) values (72)");
      expect(await number(tx, count("id = 72"))).toBe(1);
      await tx.run(raw("insert into t (id) values (73)"));
    });
  });

  test("each statement of a look sees what is committed when it begins", async () => {
    await using db = await openDatabase(place.url);
    await using other = await administrator(place.url);
    await db.look(async (tx) => {
      expect(await number(tx, count("id = 80"))).toBe(0);
      await other.query("insert into t (id) values (80)");
      expect(await number(tx, count("id = 80"))).toBe(1);
    });
  });

  describe("whose connection is lost", () => {
    test("before the commit was sent, begin again on another", async () => {
      await using db = await openDatabase(place.url, { connections: 2 });
      let runs = 0;
      await db.transaction(async (tx) => {
        await tx.run(raw("insert into t (id) values (500)"));
        if (++runs === 1) await killAll();
        await tx.run(raw("insert into t (id) values (501)"));
      });
      expect(runs).toBe(2);
      expect(await db.look((tx) => number(tx, count("id >= 500")))).toBe(2);
    });

    test("while nobody uses it, begin on the next one", async () => {
      await using db = await openDatabase(place.url);
      await Promise.all(
        Array.from({ length: 10 }, () => db.look((tx) => number(tx, "select sleep(0.05)"))),
      );
      await killAll();
      for (let n = 0; n < 10; n++)
        expect(await db.transaction((tx) => number(tx, "select 7"))).toBe(7);
    });

    test("at the commit, say that nobody knows", async () => {
      await using db = await openDatabase(place.url);
      let runs = 0;
      const [written, blocked] = [gate(), gate()];
      const failing = errorOf(
        db.transaction(async (tx) => {
          runs++;
          await tx.run(raw("insert into t (id) values (600)"));
          written.open();
          await blocked.opened;
        }),
      );
      await written.opened;
      // Commits wait for it.
      await admin.query("flush tables with read lock");
      blocked.open();
      await until("the commit", async () => {
        const [rows] = await admin.query<RowDataPacket[]>(
          "select count(*) as n from information_schema.processlist where db = ? and info = 'commit'",
          [place.name],
        );
        return rows[0]!["n"] === 1;
      });
      await killAll();
      expect(await failing).toMatchObject({ code: "QUDO_DATABASE_UNREACHABLE", transient: true });
      expect(runs).toBe(1);
      await admin.query("unlock tables");
    });

    test(
      "hundreds of times, one after the other, are whole, and end nothing else",
      { timeout: 120_000 },
      async () => {
        await using db = await openDatabase(place.url, { connections: 5 });
        await db.transaction((tx) =>
          tx.run(raw("create table log (id int auto_increment primary key, who int not null)")),
        );
        const killed = { times: 0 };
        const answered: number[] = [];
        const unknown: unknown[] = [];
        const worker = async (who: number): Promise<void> => {
          while (killed.times < KILLS)
            try {
              await db.transaction((tx) => tx.run(sql`insert into log (who) values (${who})`));
              answered.push(who);
            } catch (error) {
              unknown.push(error);
            }
        };
        const killer = async (): Promise<void> => {
          for (; killed.times < KILLS; killed.times++)
            await kill((all) => [all[killed.times % all.length]!]);
        };
        await Promise.all([...Array.from({ length: 5 }, (_, i) => worker(i)), killer()]);
        const rows = await db.look((tx) => number(tx, "select count(*) from log"));
        console.log(
          `${KILLS} connections killed, ${answered.length} answered, ${unknown.length} of unknown outcome, ${rows} rows`,
        );
        // Whatever was answered is there; what is there beyond that is of unknown outcome, and nothing else.
        expect(rows).toBeGreaterThanOrEqual(answered.length);
        expect(rows).toBeLessThanOrEqual(answered.length + unknown.length);
        for (const error of unknown)
          expect(error).toMatchObject({ code: "QUDO_DATABASE_UNREACHABLE", transient: true });
      },
    );
  });

  describe("on a pool of the user's", () => {
    const VARIABLES = `select @@autocommit, @@sql_mode, @@time_zone, @@foreign_key_checks, @@sql_safe_updates,
      @@innodb_lock_wait_timeout`;
    const settingsOf = (pool: Pool): Promise<unknown> =>
      new Promise((resolve, reject) =>
        pool.query(VARIABLES, (error, rows) => (error ? reject(error) : resolve(rows))),
      );

    test.each(["callbacks", "promises"])(
      "of %s the session is given back as it was, and it stays open",
      async (style) => {
        const pool = createPool({ uri: place.url, connectionLimit: 1, rowsAsArray: true });
        pool.on("connection", (connection) => {
          connection.query(
            "set sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', time_zone = '+05:30'",
          );
        });
        const before = await settingsOf(pool);
        const given = style === "promises" ? pool.promise() : pool;
        const db = await openDatabase("mysql://nobody@127.0.0.1:1/none", { pool: given });
        await db.transaction(async (tx) => {
          // What a text without escapes would let out of its quotes.
          const text = "it's \\' or \"1\"; -- ";
          const [row] = await tx.all(sql`select ${text} as text`, { text: "text" });
          expect(row).toEqual({ text });
          await tx.run(raw("insert into t (id) values (90)"));
        });
        await errorOf(db.transaction((tx) => tx.run(raw("insert into nowhere values (1)"))));
        await db.snapshot((tx) => number(tx, "select 1"));
        await db.close();
        expect(await settingsOf(pool)).toEqual(before);
        const closed = { code: "QUDO_CLOSED" };
        expect(await errorOf(db.look((tx) => number(tx, "select 1")))).toMatchObject(closed);
        await new Promise<void>((resolve) => pool.end(() => resolve()));
      },
    );

    test("a connection of it that breaks ends nothing", async () => {
      const pool = createPool({ uri: place.url, connectionLimit: 2 });
      const db = await openDatabase(place.url, { pool });
      let runs = 0;
      await db.transaction(async (tx) => {
        await number(tx, "select 1");
        if (++runs === 1) await killAll();
        await number(tx, "select 1");
      });
      expect(runs).toBe(2);
      await killAll();
      expect(await db.look((tx) => number(tx, "select 1"))).toBe(1);
      await db.close();
      await new Promise<void>((resolve) => pool.end(() => resolve()));
    });

    test("something else than a pool is refused by name", async () => {
      expect(await errorOf(openDatabase(place.url, { pool: { query: 1 } }))).toMatchObject({
        code: "QUDO_INVALID_OPTION",
      });
    });
  });
});
