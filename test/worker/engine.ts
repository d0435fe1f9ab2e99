/**
 * The database that this run of the worker tests is on. The same files run once for each engine: in the project `worker` on SQLite, in
 * `worker-postgres` and `worker-mariadb` those of them on a server that say something about the database.
 */
import { afterAll, beforeAll, beforeEach } from "vitest";
import { has, mariadb, postgres, type Fresh } from "../servers/index.js";

type Server = "postgres" | "mariadb";

const server = process.env["QUDO_TEST_WORKERS_ON"] as Server | undefined;

export const onServer = server !== undefined;

let place: Fresh | undefined;
let tables = 0;

if (server !== undefined) {
  const isHere = await has(server);

  beforeAll(async () => {
    if (!isHere) return;
    const running = await (server === "postgres" ? postgres({ durable: false }) : mariadb());
    place = await running.newDatabase();
  });

  beforeEach((context) => {
    if (!isHere) context.skip(`no ${server} here`);
  });

  afterAll(async () => {
    await place?.drop();
    place = undefined;
  });
}

/** The address of a queue in this file's database that no test had before. */
export function newAddress(): string {
  const url = new URL(place!.url);
  url.searchParams.set("prefix", `q${++tables}_`);
  return url.href;
}
