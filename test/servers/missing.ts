/** What this machine lacks: how it is called, how to get it, and whether tests may be left out for it. */

export type Kind = "postgres" | "mariadb" | "mysql" | "pgbouncer" | "galera" | "libraries";

/** What tests need of a server, beside its kind. */
export interface Need {
  /** A major version. PostgreSQL only. */
  readonly version?: number;
  /** Any later major version. PostgreSQL only. */
  readonly newerThan?: number;
  /** One that they start themselves, to stop, kill or pause it: an address in the environment will not do. */
  readonly own?: boolean;
}

const HOW_TO_GET: Readonly<Record<Kind, { readonly called: string; readonly how: string }>> = {
  postgres: {
    called: "PostgreSQL",
    how: "`npm run get:postgres` fetches one from npm into dist/ (no root, 60 MB); or apt-get install postgresql; or QUDO_TEST_POSTGRES_URL",
  },
  mariadb: {
    called: "MariaDB",
    how: "apt-get install mariadb-server; or QUDO_TEST_MARIADB_URL",
  },
  mysql: {
    called: "MySQL",
    how: "QUDO_TEST_MYSQL_URL of one that you started: no test starts it",
  },
  pgbouncer: { called: "PgBouncer", how: "apt-get install pgbouncer" },
  libraries: {
    called: "Drizzle, Kysely, Knex, TypeORM and postgres",
    how: "`npm run get:libraries` installs them in test/adapters",
  },
  galera: { called: "Galera", how: "apt-get install mariadb-server galera-4 rsync lsof" },
};

/** "PostgreSQL newer than 15". */
export function nameOf(kind: Kind, { version, newerThan, own }: Need = {}): string {
  const which = version === undefined ? "" : ` ${version}`;
  const newer = newerThan === undefined ? "" : ` newer than ${newerThan}`;
  return HOW_TO_GET[kind].called + which + newer + (own ? " that tests start and kill" : "");
}

export function howToGet(kind: Kind): string {
  return HOW_TO_GET[kind].how;
}

/** Asked for, and not to be had here. */
export class MissingServer extends Error {
  override readonly name = "MissingServer";

  constructor(kind: Kind, need?: Need) {
    super(`This machine has no ${nameOf(kind, need)}. To get it: ${howToGet(kind)}.`);
  }
}

/**
 * Whether what is missing fails its tests instead of leaving them out: in CI, and where QUDO_TEST_ALL is set. MySQL never does: it
 * is not to be had everywhere, and its figures are taken by hand.
 */
export function mayLeaveOut(kind: Kind, env: NodeJS.ProcessEnv = process.env): boolean {
  if (kind === "mysql") return true;
  return !isSet(env["QUDO_TEST_ALL"] ?? env["CI"]);
}

/** Whether tests on servers are to run at all: not with QUDO_TEST_SERVERS=0, for runs whose subject is something else. */
export function areWanted(env: NodeJS.ProcessEnv = process.env): boolean {
  const wanted = env["QUDO_TEST_SERVERS"];
  return wanted === undefined || isSet(wanted);
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && !["", "0", "false"].includes(value);
}
