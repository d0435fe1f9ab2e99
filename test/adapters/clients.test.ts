/** The connection inside each library's transaction, by itself: what it sends, what comes back, and what is refused. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InvalidInputError } from "../../src/core/errors.js";
import { mysqlSpeech } from "../../src/storage/mysql/transaction.js";
import { postgresSpeech } from "../../src/storage/postgres/transaction.js";
import { clientOf } from "../../src/storage/sql/clients/index.js";
import type { Client } from "../../src/storage/sql/clients/client.js";
import { id, List, sql, type Query } from "../../src/storage/sql/query.js";
import { columnsOf, decode, type Shape } from "../../src/storage/sql/rows.js";
import { newId } from "../../src/storage/ids.js";
import type { Opened } from "./support/library.js";
import { onMysql } from "./support/mysql.js";
import { onPostgres } from "./support/postgres.js";
import { serverOf } from "./support/servers.js";

const ROW = {
  row_id: "id",
  big_number: "int",
  small_number: "int",
  some_words: "text",
  no_words: "text?",
  raw_bytes: "bytes",
  no_bytes: "bytes?",
} as const satisfies Shape;

const TYPES = {
  postgres: { id: "uuid", bytes: "bytea", text: "text" },
  mysql: { id: "binary(16)", bytes: "blob", text: "mediumtext character set utf8mb4" },
};

/** All that a row can hold. */
const row = () => ({
  row_id: newId(),
  big_number: 2 ** 53 - 1,
  small_number: -32_767,
  some_words: `"' \\ $1 ? :x {a,b} \n 名 👋 ${"x".repeat(100_000)}`,
  no_words: null,
  raw_bytes: Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
  no_bytes: null,
});

const insert = ({ row_id, ...rest }: ReturnType<typeof row>) =>
  sql`insert into client_rows (${columnsOf(ROW)}) values (${id(row_id)}, ${rest.big_number}, ${rest.small_number},
    ${rest.some_words}, ${rest.no_words}, ${rest.raw_bytes}, ${rest.no_bytes})`;

describe.each([...onPostgres, ...onMysql])("$name", (library) => {
  const { server: kind } = library;
  const speech = kind === "postgres" ? postgresSpeech : mysqlSpeech;
  const other = kind === "postgres" ? "mysql" : "postgres";
  let opened: Opened;
  let close: () => Promise<void>;
  let look: (text: string) => Promise<Record<string, unknown>[]>;

  beforeAll(async () => {
    const server = await serverOf(kind);
    look = server.query;
    const { id, bytes, text } = TYPES[kind];
    await look(`create table client_rows (row_id ${id} primary key, big_number bigint not null,
      small_number smallint not null, some_words ${text} not null, no_words ${text}, raw_bytes ${bytes} not null,
      no_bytes ${bytes})`);
    opened = await library.open(server.url);
    close = async () => {
      await opened.close();
      await server.close();
    };
  });
  afterAll(() => close());

  const send = (client: Client, query: Query) => {
    const { text, values } = speech.write(query);
    return client.query(text, values);
  };

  const count = async () => Number((await look("select count(*) as n from client_rows"))[0]!["n"]);

  test("what goes in comes out, whatever the library is set to; changes are counted", async () => {
    const [one, two] = [row(), row()];
    await opened.transaction(async (tx) => {
      const client = clientOf(tx, kind);
      expect(await send(client, insert(one))).toMatchObject({ changes: 1 });
      await send(client, insert(two));
      const found = await send(
        client,
        sql`select ${columnsOf(ROW)} from client_rows where row_id = ${id(one.row_id)}`,
      );
      expect(found.rows.map((columns) => decode(ROW, columns))).toEqual([one]);
      const update = sql`update client_rows set small_number = ${7} where some_words = ${one.some_words}`;
      expect((await send(client, update)).changes).toBe(2);
      const none = await send(client, sql`select row_id from client_rows where big_number = ${1}`);
      expect(none.rows).toEqual([]);
      expect((await send(client, sql`delete from client_rows`)).changes).toBe(2);
    });
  });

  test("it commits and rolls back with the user's own statements", async () => {
    const mine = `insert into client_rows (row_id, big_number, small_number, some_words, raw_bytes)
      values ('${"0123456789abcdef".repeat(2).slice(0, kind === "mysql" ? 16 : 32)}', 1, 1, '', '')`;
    const body = async (tx: object): Promise<void> => {
      await opened.run(tx, mine);
      await send(clientOf(tx, kind), insert(row()));
      expect(await count()).toBe(0);
    };
    await expect(
      opened.transaction(async (tx) => {
        await body(tx);
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(await count()).toBe(0);
    await opened.transaction(body);
    expect(await count()).toBe(2);
    await look("delete from client_rows");
  });

  test("a savepoint of the user's takes back what came after it, and nothing else", async () => {
    const [kept, gone, later] = [row(), row(), row()];
    await opened.transaction(async (tx) => {
      await send(clientOf(tx, kind), insert(kept));
      const nested = opened.nested(tx, async (inner) => {
        await send(clientOf(inner, kind), insert(gone));
        throw new Error("back");
      });
      await expect(nested).rejects.toThrow("back");
      await opened.nested(
        tx,
        async (inner) => void (await send(clientOf(inner, kind), insert(later))),
      );
    });
    const rows = await look("select row_id from client_rows");
    const ids = rows.map((columns) => decode({ row_id: "id" }, columns).row_id);
    expect(ids.toSorted()).toEqual([kept.row_id, later.row_id].toSorted());
    await look("delete from client_rows");
  });

  test("it says that a transaction is open, or that this cannot be told", async () => {
    await opened.transaction(async (tx) => {
      const client = clientOf(tx, kind);
      await client.query("savepoint mine", []);
      expect(client.inTransaction()).toBe(true);
    });
  });

  test("what the server refuses is thrown as the library throws it", async () => {
    const one = row();
    const codes = { postgres: { code: "23505" }, mysql: { errno: 1062 } };
    await opened
      .transaction(async (tx) => {
        const client = clientOf(tx, kind);
        await send(client, insert(one));
        await expect(send(client, insert(one))).rejects.toMatchObject(codes[kind]);
        throw new Error("enough");
      })
      .catch(() => undefined);
    expect(await count()).toBe(0);
  });

  const onlyPostgres = kind === "postgres" ? test : () => undefined;

  onlyPostgres("lists go as the text of an array", async () => {
    const texts = [`a"b\\c,{}`, null, "NULL", ""];
    const bytes = [Buffer.from([0, 255]), null];
    const ids = [newId(), newId()];
    await opened.transaction(async (tx) => {
      const { rows } = await send(
        clientOf(tx, kind),
        sql`select t as some_words, b as raw_bytes, i as row_id, n as big_number
          from unnest(${new List("text", texts)}, ${new List("bytea", bytes)}, ${new List("uuid", ids)},
            ${new List("bigint", [1, 2 ** 40])}) as x(t, b, i, n)`,
      );
      const shape = {
        some_words: "text?",
        raw_bytes: "bytes?",
        row_id: "id?",
        big_number: "int?",
      } as const;
      expect(rows.map((columns) => decode(shape, columns))).toEqual(
        texts.map((some_words, i) => ({
          some_words,
          raw_bytes: bytes[i] ?? null,
          row_id: ids[i] ?? null,
          big_number: [1, 2 ** 40][i] ?? null,
        })),
      );
    });
  });

  test("on the other kind of server it is refused, with what to give", async () => {
    await opened.transaction(async (tx) => {
      expect(() => clientOf(tx, other)).toThrow(InvalidInputError);
      expect(() => clientOf(tx, other)).toThrow(/is on .+, the queue on .+Give /);
    });
  });

  test("what is no transaction is refused, or says that none is open", async () => {
    for (const [what, make] of Object.entries(opened.wrong)) {
      const thing = await make();
      const answer = async (): Promise<unknown> => {
        const client = clientOf(thing, kind);
        await client.query(kind === "mysql" ? "savepoint mine" : "select 1", []);
        return { open: client.inTransaction() };
      };
      const outcome = await answer().catch((error: unknown) => error);
      if (outcome instanceof Error)
        expect(outcome.message, what).toMatch(/Give |has ended|already/);
      else expect(outcome, what).toEqual({ open: false });
    }
  });
});

test("a client of pg that does not tell whether a transaction is open is believed", () => {
  const older = { query() {}, connect() {}, escapeLiteral() {} };
  expect(clientOf(older, "postgres").inTransaction()).toBe(null);
});

describe("none at all", () => {
  test.each([null, undefined, 7, "postgres://x", {}, { query() {} }, () => undefined])(
    "%j",
    (thing) => {
      for (const kind of ["postgres", "mysql"] as const)
        expect(() => clientOf(thing, kind)).toThrow(/That is no transaction on .+\. Give a /);
    },
  );
});
