/** Inside the user's transaction: where statements go, and whether it is on the queue's database at all. */
import { InvalidInputError } from "../../../core/errors.js";
import { idFromName } from "../../../core/ids.js";
import type { Tx } from "../database.js";
import type { Dialect } from "../dialect.js";
import type { Client, Server } from "../clients/client.js";
import { Work } from "../engine.js";
import type { Lanes } from "../lanes.js";
import { sql, type Query } from "../query.js";
import { decode, type RowOf, type Shape } from "../rows.js";

/** The queue that the transaction is to hold jobs of. */
export interface Queue {
  readonly dialect: Dialect;
  readonly lanes: Pick<Lanes, "seen">;
  /** Who counts what no worker's session does. */
  readonly self: string;
  readonly label: string;
  /** Its table meta as it is called on connections of its own, which are in its database. */
  readonly meta: Query;
  /** `database_id` of that table. */
  readonly databaseId: string;
}

/** A table, and the column by which its rows are told apart. */
export interface Into<S extends Shape> {
  readonly table: Query;
  readonly shape: S;
  readonly key: keyof S & string;
}

/** How an engine speaks on connections that are not ours, through libraries that are not ours. */
export interface Speech {
  readonly server: Server;
  /** A statement such that every library sends it unharmed. */
  write(query: Query): { readonly text: string; readonly values: readonly unknown[] };
  /**
   * Begins a call, and takes back what it wrote, for a server on which a transaction goes on after a statement has failed. Null:
   * it does not.
   */
  readonly savepoint: { readonly begin: string; readonly undo: string } | null;
  /** The connection's number, as SQL. No two connections have one at the same time. */
  readonly backend: Query;
  /** Ends a select of rows that must be seen although the user's transaction may look at an older state. */
  readonly current: Query;
  /** Inserts rows with different keys, and says which were not there. A key that is there does the transaction no harm. */
  insertNew<S extends Shape>(
    work: Work,
    into: Into<S>,
    rows: readonly RowOf<S>[],
  ): Promise<boolean[]>;
  /** There is no such table where the connection looks. */
  isMissing(error: unknown): boolean;
}

export interface Inside {
  readonly speech: Speech;
  readonly queue: Queue;
  /** Counts in rows that no other connection writes: whoever commits late holds up nobody. */
  readonly work: Work;
}

const ARRIVAL = { at_ms: "int", backend: "text", database_id: "text?" } as const satisfies Shape;

/** @throws InvalidInputError QUDO_WRONG_DATABASE, or QUDO_NO_TRANSACTION where that can be told. */
export async function enter(client: Client, speech: Speech, queue: Queue): Promise<Inside> {
  const { dialect, self } = queue;
  const tx = txOf(client, speech);
  if (speech.savepoint !== null) await client.query(speech.savepoint.begin, []);
  const { at_ms: now, backend, database_id: databaseId } = await arrive(tx, speech, queue);
  if (databaseId !== queue.databaseId) throw elsewhere(queue);
  if (client.inTransaction() === false) throw noTransaction();
  const work = new Work({ dialect, self: idFromName(self, backend) }, tx, now);
  return { speech, queue, work };
}

async function arrive(
  tx: Tx,
  { backend, isMissing }: Speech,
  queue: Queue,
): Promise<RowOf<typeof ARRIVAL>> {
  const { now, tables } = queue.dialect;
  try {
    const rows = await tx.all(
      sql`select ${now} as at_ms, ${backend} as backend,
        (select value from ${tables.meta} where name = 'database_id') as database_id`,
      ARRIVAL,
    );
    return rows[0]!;
  } catch (error) {
    if (isMissing(error)) throw elsewhere(queue, error);
    throw error;
  }
}

const ID = { value: "text" } as const satisfies Shape;

/** Whether the connection is in the queue's database: elsewhere on its server some find the tables, too. */
export async function isHome(client: Client, speech: Speech, queue: Queue): Promise<boolean> {
  const asked = sql`select value from ${queue.meta} where name = 'database_id'`;
  try {
    const [row] = await txOf(client, speech).all(asked, ID);
    return row?.value === queue.databaseId;
  } catch (error) {
    if (speech.isMissing(error)) return false;
    throw error;
  }
}

/** Whatever the call wrote goes. Where this cannot be done all of the transaction is gone. */
export async function undo(client: Client, { savepoint }: Speech): Promise<void> {
  if (savepoint !== null) await client.query(savepoint.undo, []).catch(() => undefined);
}

/** One statement after the other: not every library lets two be under way. */
function txOf(client: Client, speech: Speech): Tx {
  let last: Promise<unknown> = Promise.resolve();
  const send = (query: Query): ReturnType<Client["query"]> => {
    const { text, values } = speech.write(query);
    const next = last.then(() => client.query(text, values));
    last = next.catch(() => undefined);
    return next;
  };
  return {
    all: async (query, shape) => (await send(query)).rows.map((row) => decode(shape, row)),
    run: async (query) => (await send(query)).changes,
    // Of the user's commit nobody here learns.
    announce: () => undefined,
  };
}

function elsewhere({ label }: Queue, cause?: unknown): InvalidInputError {
  return new InvalidInputError(
    "QUDO_WRONG_DATABASE",
    `That transaction is on another database than the queue, which is on ${label}: its connection does not find the queue's tables there. A transaction can hold both only in one database.`,
    { cause },
  );
}

export function noTransaction(cause?: unknown): InvalidInputError {
  return new InvalidInputError(
    "QUDO_NO_TRANSACTION",
    "No transaction is open on that connection. Send BEGIN before, and await what you ask of qudo before COMMIT; without a transaction use qudo.enqueue.",
    { cause },
  );
}
