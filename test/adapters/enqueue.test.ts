/** `qudo.in(tx).enqueue` through every library: jobs commit and roll back with the user's rows. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { defineJob, idFromName, Qudo } from "../../src/index.js";
import type { Opened } from "./support/library.js";
import { onMysql } from "./support/mysql.js";
import { onPostgres } from "./support/postgres.js";
import { serverOf, type Place } from "./support/servers.js";

const note = defineJob("note", { run: (_payload: unknown) => undefined });
const odd = defineJob("odd 名 ' \" \\ 👋", {
  queue: "Q?:x $1",
  run: (_payload: unknown) => undefined,
});

const thrown = (call: Promise<unknown>): Promise<Error & { code?: string }> =>
  call.then(
    () => {
      throw new Error("it was accepted");
    },
    (error: Error) => error,
  );

const ORDER = "insert into orders (n) values (1)";
const back = new Error("back");

describe.each([...onPostgres, ...onMysql])("$name", (library) => {
  const { server: kind } = library;
  let place: Place;
  let opened: Opened;
  let qudo: Qudo;

  beforeAll(async () => {
    place = await serverOf(kind);
    qudo = new Qudo({ databases: place.url });
    await qudo.migrate();
    await place.query("create table orders (n int not null)");
    opened = await library.open(place.url);
  });
  afterAll(async () => {
    await opened.close();
    await qudo.close();
    await place.close();
  });
  beforeEach(async () => {
    for (const table of ["orders", "qudo_job", "qudo_ready", "qudo_delayed", "qudo_lane"])
      await place.query(`delete from ${table}`);
    for (const table of ["qudo_unique_key", "qudo_tally"])
      await place.query(`delete from ${table}`);
  });

  const count = async (table: string) =>
    Number((await place.query(`select count(*) as n from ${table}`))[0]!["n"]);
  const counts = async () => [
    await count("orders"),
    await count("qudo_job"),
    await count("qudo_ready"),
    await count("qudo_delayed"),
  ];
  const payloads = async () =>
    (await place.query("select payload_text from qudo_job order by id")).map((row) =>
      JSON.parse(String(row["payload_text"])),
    );

  test("jobs are there with the user's rows, or neither is; and all of it can be tried again", async () => {
    const id = idFromName("once");
    const body = async (tx: object): Promise<void> => {
      await opened.run(tx, ORDER);
      const inside = qudo.in(tx);
      const one = await inside.enqueue(note, { n: 1 }, { id, priority: 3 });
      const many = await inside.enqueueMany([
        [note, 2],
        [odd, "' \\ \n 名 👋 ?", { delay: "1h" }],
      ]);
      expect([one, ...many].map(({ status }) => status)).toEqual(Array(3).fill("inserted"));
      expect(await counts()).toEqual([0, 0, 0, 0]);
    };
    await expect(
      opened.transaction(async (tx) => {
        await body(tx);
        throw back;
      }),
    ).rejects.toThrow("back");
    expect(await counts()).toEqual([0, 0, 0, 0]);
    expect(await count("qudo_lane")).toBe(0);
    await opened.transaction(body);
    expect(await counts()).toEqual([1, 3, 2, 1]);
    expect(await payloads()).toEqual(expect.arrayContaining([{ n: 1 }, 2, "' \\ \n 名 👋 ?"]));
    const [row] = await place.query("select sum(n) as n from qudo_tally");
    expect(Number(row!["n"])).toBe(3);
    // The lanes that were committed are those that everybody uses.
    expect((await qudo.enqueue(odd, 4)).status).toBe("inserted");
    expect((await qudo.enqueue(note, 5, { id })).status).toBe("duplicate");
    expect(await count("qudo_lane")).toBe(2);
  });

  test("they go with a savepoint of the user's, and that transaction goes on", async () => {
    await opened.transaction(async (tx) => {
      await qudo.in(tx).enqueue(note, "kept");
      const nested = opened.nested(tx, async (inner) => {
        await qudo.in(inner).enqueue(note, "gone");
        throw back;
      });
      await expect(nested).rejects.toThrow("back");
      await opened.nested(tx, async (inner) => void (await qudo.in(inner).enqueue(note, "later")));
      await opened.run(tx, ORDER);
    });
    expect(await counts()).toEqual([1, 2, 2, 0]);
    expect((await payloads()).toSorted()).toEqual(["kept", "later"]);
  });

  test("a key that is taken and an id that is known are told, and do the transaction no harm", async () => {
    const holder = await qudo.enqueue(note, 0, { id: idFromName("holder") });
    await opened.transaction(async (tx) => {
      const inside = qudo.in(tx);
      const first = await inside.enqueue(note, 1, { uniqueKey: "k" });
      const second = await inside.enqueue(note, 2, { uniqueKey: "k" });
      expect(second).toMatchObject({ status: "unique", holder: first.id });
      const fresh = idFromName("fresh");
      const many = await inside.enqueueMany([
        [note, 3, { uniqueKey: "k" }],
        [note, 4, { id: holder.id }],
        [note, 5, { id: holder.id, uniqueKey: "l" }],
        [note, 6, { id: fresh, uniqueKey: "m" }],
        [note, 7, { id: fresh, uniqueKey: "n" }],
        [note, 8, { uniqueKey: "m" }],
        [note, 9, { id: first.id, uniqueKey: "k" }],
        [odd, 10, { uniqueKey: "k" }],
      ]);
      expect(many.map(({ status, holder }) => [status, holder])).toEqual([
        ["unique", first.id],
        ["duplicate", null],
        ["duplicate", null],
        ["inserted", null],
        ["duplicate", null],
        ["unique", fresh],
        ["duplicate", null],
        ["inserted", null],
      ]);
      await opened.run(tx, ORDER);
    });
    expect(await counts()).toEqual([1, 4, 4, 0]);
    // Nobody has a key for a job that is not there.
    expect(await count("qudo_unique_key")).toBe(3);
    await expect(
      opened.transaction(async (tx) => {
        expect((await qudo.in(tx).enqueue(note, 0, { uniqueKey: "k" })).status).toBe("unique");
        expect((await qudo.in(tx).enqueue(note, 0, { uniqueKey: "z" })).status).toBe("inserted");
        throw back;
      }),
    ).rejects.toThrow("back");
    expect(await count("qudo_unique_key")).toBe(3);
  });

  test("more jobs than one statement takes, and calls that are not awaited one by one", async () => {
    await opened.transaction(async (tx) => {
      const inside = qudo.in(tx);
      const calls = Array.from({ length: 20 }, (_, n) =>
        inside.enqueue(note, n, { uniqueKey: `${n % 10}` }),
      );
      const many = inside.enqueueMany(Array.from({ length: 1_500 }, (_, n) => [note, n] as const));
      const statuses = (await Promise.all(calls)).map(({ status }) => status);
      expect(statuses.filter((status) => status === "inserted")).toHaveLength(10);
      expect(await many).toHaveLength(1_500);
    });
    expect(await counts()).toEqual([0, 1_510, 1_510, 0]);
  });

  test("what is refused writes nothing, and their transaction goes on", async () => {
    await opened.transaction(async (tx) => {
      await opened.run(tx, ORDER);
      expect(await thrown(qudo.in(tx).enqueue(note, () => 1))).toMatchObject({
        code: "QUDO_INVALID_PAYLOAD",
      });
      await opened.run(tx, ORDER);
    });
    expect(await counts()).toEqual([2, 0, 0, 0]);
  });

  test("what is no transaction is refused before anything is written", async () => {
    for (const [what, make] of Object.entries(opened.wrong)) {
      const thing = await make();
      const error = await thrown((async () => qudo.in(thing).enqueue(note, what))());
      if (!/already/.test(error.message))
        expect(error.code, `${what}: ${error.message}`).toMatch(
          /^(QUDO_WRONG_DATABASE|QUDO_NO_TRANSACTION)$/,
        );
    }
    expect(await counts()).toEqual([0, 0, 0, 0]);
  });

  const refusedAsElsewhere = async (theirs: Opened): Promise<void> => {
    const attempt = theirs.transaction(async (tx) => {
      const error = await thrown(qudo.in(tx).enqueue(note, 1));
      expect(error).toMatchObject({ code: "QUDO_WRONG_DATABASE", name: "InvalidInputError" });
      throw back;
    });
    await expect(attempt).rejects.toThrow("back");
    expect(await counts()).toEqual([0, 0, 0, 0]);
  };

  describe("a transaction on another database", () => {
    let elsewhere: Place;
    let theirs: Opened;
    beforeEach(async () => {
      elsewhere = await serverOf(kind);
      theirs = await library.open(elsewhere.url);
      return async () => {
        await theirs.close();
        await elsewhere.close();
      };
    });

    if (kind === "postgres") {
      test("is refused, where that has no tables of qudo", () => refusedAsElsewhere(theirs));

      test("is refused, where that has tables of its own", async () => {
        await using other = new Qudo({ databases: elsewhere.url });
        await other.migrate();
        await refusedAsElsewhere(theirs);
      });
    } else {
      test("of the same server holds both: user's rows there, jobs here", async () => {
        await elsewhere.query("create table orders (n int not null)");
        await theirs.transaction(async (tx) => {
          await theirs.run(tx, ORDER);
          await qudo.in(tx).enqueue(odd, 1);
        });
        expect(await elsewhere.query("select n from orders")).toHaveLength(1);
        expect(await counts()).toEqual([0, 1, 1, 0]);
      });

      test("of the same name on another server is refused", async () => {
        await using queue = new Qudo({ databases: elsewhere.url });
        await queue.migrate();
        await theirs.transaction(async (tx) => void (await queue.in(tx).enqueue(note, 1)));
        await elsewhere.query("update qudo_meta set value = 'x' where name = 'database_id'");
        const attempt = theirs.transaction(
          async (tx) => void (await queue.in(tx).enqueue(note, 1)),
        );
        await expect(attempt).rejects.toMatchObject({ code: "QUDO_WRONG_DATABASE" });
        await elsewhere.query("drop table qudo_meta");
        const again = theirs.transaction(async (tx) => void (await queue.in(tx).enqueue(note, 1)));
        await expect(again).rejects.toMatchObject({ code: "QUDO_WRONG_DATABASE" });
      });
    }
  });
});
