/** What this machine lacks: how it is called, how to get it, and whether tests may be left out for it. */

export type Kind = "postgres" | "mariadb" | "mysql" | "pgbouncer" | "galera" | "libraries";

export interface WhichVersion {
  readonly version?: number;
  readonly newerThan?: number;
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
  galera: { called: "Galera", how: "apt-get install mariadb-server galera-4 rsync" },
};

/** "PostgreSQL newer than 15". */
export function nameOf(kind: Kind, { version, newerThan }: WhichVersion = {}): string {
  const { called } = HOW_TO_GET[kind];
  if (newerThan !== undefined) return `${called} newer than ${newerThan}`;
  return version === undefined ? called : `${called} ${version}`;
}

export function howToGet(kind: Kind): string {
  return HOW_TO_GET[kind].how;
}

/** Asked for, and not to be had here. */
export class MissingServer extends Error {
  override readonly name = "MissingServer";

  constructor(kind: Kind, which?: WhichVersion) {
    super(`This machine has no ${nameOf(kind, which)}. To get it: ${howToGet(kind)}.`);
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

function isSet(value: string | undefined): boolean {
  return value !== undefined && !["", "0", "false"].includes(value);
}
