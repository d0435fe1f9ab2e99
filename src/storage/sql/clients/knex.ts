/** Knex: the `trx` of `knex.transaction`, which holds its driver's own connection. */
import {
  has,
  part,
  wrongTransaction,
  type Recognise,
  type Recognised,
  type Server,
} from "./client.js";
import { later } from "./later.js";

interface Transaction {
  readonly isTransaction?: boolean;
  isCompleted(): boolean;
  readonly client: { readonly dialect: string; acquireConnection(): Promise<object> };
}

const SERVER_OF: Readonly<Record<string, Server>> = { postgresql: "postgres", mysql: "mysql" };

/** `recognise`: what the connection inside is. */
export function recogniseKnex(recognise: Recognise): Recognise {
  return (given) => {
    if (typeof given !== "function" || !has(given, "raw", "batchInsert", "transaction"))
      return null;
    const trx = given as unknown as Transaction;
    if (trx.isTransaction !== true)
      throw wrongTransaction(
        "That is knex itself, whose statements stand in no transaction. Give the trx inside yours: knex.transaction(async (trx) => …).",
      );
    return { server: serverOf(trx), client: later(() => connectionOf(trx, recognise)) };
  };
}

function serverOf(trx: Transaction): Server {
  const client = part(trx, "client") as Transaction["client"] | null;
  const server = client === null ? undefined : SERVER_OF[client.dialect];
  if (server === undefined)
    throw wrongTransaction("That is a transaction of Knex on neither pg nor mysql2.");
  return server;
}

async function connectionOf(trx: Transaction, recognise: Recognise): Promise<Recognised | null> {
  if (trx.isCompleted())
    throw wrongTransaction(
      "That transaction of Knex has ended. Await what you ask of qudo before it does.",
    );
  return recognise(await trx.client.acquireConnection());
}
