/** Drizzle: the `tx` of `db.transaction`, which holds its library's own connection. */
import { has, part, wrongTransaction, type Recognise } from "./client.js";

/** `recognise`: what the connection inside is. */
export function recogniseDrizzle(recognise: Recognise): Recognise {
  return (given) => {
    const session = part(given, "session");
    if (session === null || !has(given, "execute", "transaction", "select")) return null;
    const connection = part(session, "client");
    if (!has(given, "rollback"))
      throw wrongTransaction(
        "That is Drizzle's db, whose statements stand in no transaction. Give the tx inside yours: db.transaction(async (tx) => …).",
      );
    const found = connection === null ? null : recognise(connection);
    if (found === null)
      throw wrongTransaction(
        "That is a transaction of Drizzle on a client that qudo does not know. It knows drizzle-orm/node-postgres, drizzle-orm/postgres-js and drizzle-orm/mysql2.",
      );
    return found;
  };
}
