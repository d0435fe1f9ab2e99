/** Which library a user's transaction is of: told by its structure, for none of them is imported. */
import { SERVERS, wrongTransaction, type Client, type Recognise, type Server } from "./client.js";
import { recogniseDrizzle } from "./drizzle.js";
import { recogniseKnex } from "./knex.js";
import { recogniseKysely } from "./kysely.js";
import { recogniseMysql2 } from "./mysql2.js";
import { recognisePg } from "./pg.js";
import { recognisePostgres } from "./postgres.js";
import { recogniseTypeorm } from "./typeorm.js";

const DRIVERS: readonly Recognise[] = [recognisePg, recognisePostgres, recogniseMysql2];

/** A library of its own, no builder of queries on top of one. */
const driver: Recognise = (given) => firstOf(DRIVERS, given);

const LIBRARIES: readonly Recognise[] = [
  recogniseDrizzle(driver),
  recogniseKnex(driver),
  recogniseKysely,
  recogniseTypeorm(driver),
  driver,
];

const GIVE: Readonly<Record<Server, string>> = {
  postgres:
    "a Client of pg, the sql inside sql.begin of postgres, or the transaction of Drizzle, Kysely, Knex or TypeORM on one of them",
  mysql: "a connection of mysql2, or the transaction of Drizzle, Kysely, Knex or TypeORM on one",
};

/**
 * The connection of a user's transaction.
 * @throws InvalidInputError QUDO_WRONG_DATABASE for what is none, or is on another kind of database than the queue.
 */
export function clientOf(given: unknown, server: Server): Client {
  const isThing = (typeof given === "object" && given !== null) || typeof given === "function";
  const found = isThing ? firstOf(LIBRARIES, given) : null;
  if (found === null)
    throw wrongTransaction(`That is no transaction on ${SERVERS[server]}. Give ${GIVE[server]}.`);
  if (found.server !== server)
    throw wrongTransaction(
      `That transaction is on ${SERVERS[found.server]}, the queue on ${SERVERS[server]}. A transaction can hold both only in one database. Give ${GIVE[server]}.`,
    );
  return found.client;
}

function firstOf(libraries: readonly Recognise[], given: object) {
  for (const recognise of libraries) {
    const found = recognise(given);
    if (found !== null) return found;
  }
  return null;
}
