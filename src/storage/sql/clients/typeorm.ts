/** TypeORM: the EntityManager inside `dataSource.transaction`, or a QueryRunner. */
import {
  has,
  part,
  wrongTransaction,
  type Recognise,
  type Recognised,
  type Server,
} from "./client.js";
import { later } from "./later.js";

interface QueryRunner {
  readonly isTransactionActive: boolean;
  readonly connection?: { readonly options: { readonly type: string } };
  readonly dataSource?: { readonly options: { readonly type: string } };
  /** The driver's own connection. */
  connect(): Promise<object>;
}

const SERVER_OF: Readonly<Record<string, Server>> = {
  postgres: "postgres",
  mysql: "mysql",
  mariadb: "mysql",
};

/** `recognise`: what the connection inside is. */
export function recogniseTypeorm(recognise: Recognise): Recognise {
  return (given) => {
    const isRunner = has(given, "startTransaction", "connect", "release");
    if (!isRunner && !has(given, "getRepository", "transaction", "query")) return null;
    const runner = (isRunner ? given : part(given, "queryRunner")) as QueryRunner | null;
    if (runner === null || !runner.isTransactionActive)
      throw wrongTransaction(
        "That is a thing of TypeORM without a transaction. Give the manager inside yours, dataSource.transaction(async (manager) => …), or a query runner that has started one.",
      );
    return { server: serverOf(runner), client: later(() => connectionOf(runner, recognise)) };
  };
}

function serverOf(runner: QueryRunner): Server {
  const { type } = (runner.dataSource ?? runner.connection)!.options;
  const server = SERVER_OF[type];
  if (server === undefined) throw wrongTransaction(`That is a transaction of TypeORM on ${type}.`);
  return server;
}

async function connectionOf(runner: QueryRunner, recognise: Recognise): Promise<Recognised | null> {
  if (!runner.isTransactionActive)
    throw wrongTransaction(
      "That transaction of TypeORM has ended. Await what you ask of qudo before it does.",
    );
  return recognise(await runner.connect());
}
