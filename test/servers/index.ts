/**
 * Real database servers for tests. Nothing has to run beforehand, nothing is left running afterwards.
 *
 *     describe.skipIf(!(await has("postgres")))("on PostgreSQL", () => {
 *       it("…", async () => {
 *         const server = await postgres({ durable: false });   // one for the whole run, started when first asked for
 *         await using place = await server.newSchema();        // or newDatabase()
 *         open(place.url, { schema: place.schema });
 *       });
 *       it("survives it", async () => {
 *         await using server = await startPostgres();          // of its own, to be killed, paused, started again
 *         await server.kill();
 *         await server.start();
 *       });
 *     });
 *
 * A shared server is asked for from any test file or process of the run; those with the same options are one. A server of a test's
 * own ends with the process that started it, also by SIGKILL. Both listen on 127.0.0.1 and nowhere else, in private folders, not as root.
 * QUDO_TEST_POSTGRES_URL, QUDO_TEST_MARIADB_URL and QUDO_TEST_MYSQL_URL (superusers') take the place of shared servers, where they fit what is asked.
 */
import { askBroker } from "./broker.js";
import { galeraIsInstalled } from "./galera.js";
import { installedMariadb, librariesInstalled, program } from "./installed.js";
import { mysqlAt, mysqlVersion, type MariadbOptions, type MysqlServer } from "./mariadb.js";
import {
  areWanted,
  howToGet,
  mayLeaveOut,
  MissingServer,
  nameOf,
  type Kind,
  type Need,
} from "./missing.js";
import {
  fitting,
  postgresAt,
  postgresVersion,
  type PostgresOptions,
  type PostgresServer,
} from "./postgres.js";

export { startGalera, type Galera } from "./galera.js";
export type { Controls } from "./kept.js";
export { startMariadb, type MariadbOptions, type MysqlServer } from "./mariadb.js";
export { MissingServer, type Kind, type Need } from "./missing.js";
export { startPgbouncer, type Pooler } from "./pgbouncer.js";
export { startProxy, type Cut, type Proxy, type Weather } from "./proxy.js";
export {
  startPostgres,
  type Fresh,
  type PostgresOptions,
  type PostgresServer,
} from "./postgres.js";

/** The run's PostgreSQL with these options. Throws MissingServer: ask `has` first. */
export async function postgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const given = await givenPostgres(options);
  if (given) return given;
  if (!(await fitting(options))) throw new MissingServer("postgres", options);
  const { url, version } = (await askBroker({ start: "postgres", options }))!;
  return postgresAt(url, version);
}

/** The run's MariaDB with these options. Throws MissingServer: ask `has` first. */
export async function mariadb(options: MariadbOptions = {}): Promise<MysqlServer> {
  const given = givenUrl("mariadb");
  if (given && !options.settings) return mysqlAt("mariadb", given, await mysqlVersion(given));
  if (!(await installedMariadb())) throw new MissingServer("mariadb");
  const { url, version } = (await askBroker({ start: "mariadb", options }))!;
  return mysqlAt("mariadb", url, version);
}

/** The MySQL of QUDO_TEST_MYSQL_URL: none is started. Throws MissingServer: ask `has` first. */
export async function mysql(): Promise<MysqlServer> {
  const url = givenUrl("mysql");
  if (!url) throw new MissingServer("mysql");
  return mysqlAt("mysql", url, await mysqlVersion(url));
}

/**
 * Whether tests that need it are to run. Where it is false, the end of the run names what was left out and how to get it. In CI, or with
 * QUDO_TEST_ALL=1, it is true all the same, so that the tests fail (but for MySQL).
 */
export async function has(kind: Kind, need: Need = {}): Promise<boolean> {
  if (!areWanted()) return leaveOut(`${nameOf(kind, need)}: QUDO_TEST_SERVERS=0 says so`);
  if ((await isInstalled(kind, need)) || (!need.own && (await isGiven(kind, need)))) return true;
  if (!mayLeaveOut(kind)) return true;
  return leaveOut(`${nameOf(kind, need)}: ${howToGet(kind)}`);
}

async function leaveOut(what: string): Promise<false> {
  await askBroker({ leftOut: what });
  return false;
}

async function isInstalled(kind: Kind, need: Need): Promise<boolean> {
  switch (kind) {
    case "postgres":
      return (await fitting(need)) !== undefined;
    case "mariadb":
      return (await installedMariadb()) !== undefined;
    case "pgbouncer":
      return program("pgbouncer") !== undefined;
    case "libraries":
      return librariesInstalled();
    case "galera":
      return galeraIsInstalled();
    case "mysql":
      return false;
  }
}

async function isGiven(kind: Kind, need: Need): Promise<boolean> {
  if (kind === "postgres") return (await givenPostgres(need)) !== undefined;
  return (kind === "mariadb" || kind === "mysql") && givenUrl(kind) !== undefined;
}

/** The one of the environment, where it is of the version that is asked for. */
async function givenPostgres({
  version,
  newerThan = 0,
  settings,
}: PostgresOptions): Promise<PostgresServer | undefined> {
  const url = givenUrl("postgres");
  if (!url || settings) return undefined;
  const server = postgresAt(url, await postgresVersion(url));
  return server.major > newerThan && (version ?? server.major) === server.major
    ? server
    : undefined;
}

function givenUrl(kind: "postgres" | "mariadb" | "mysql"): string | undefined {
  return process.env[`QUDO_TEST_${kind.toUpperCase()}_URL`] || undefined;
}
