/** The MySQL and MariaDB engine: one database, many machines. */
import { createHash } from "node:crypto";
import { newId } from "../ids.js";
import { DatabaseError } from "../../core/errors.js";
import type { MysqlSettings } from "../server.js";
import type { Tx } from "../sql/database.js";
import type { Dialect } from "../sql/dialect.js";
import { serverDriver, type ServerDriver } from "../sql/driver.js";
import { newEngine } from "../sql/engine.js";
import { ping } from "../sql/ping.js";
import { migrate, migrationSql, refuseNewer, schemaVersion, type Schema } from "../sql/migrate.js";
import { sql } from "../sql/query.js";
import { MysqlDatabase } from "./database.js";
import { mysqlDialect } from "./dialect.js";
import { grants } from "./grants.js";
import { migrations, tablesExist } from "./schema.js";

/** How long a migration waits for another process that migrates. */
const LOCK_WAIT_S = 60;

/** Connects; does not create the tables: that is `migrate()`. */
export async function openMysql(settings: MysqlSettings): Promise<ServerDriver> {
  const { prefix, clock } = settings;
  const { now } = mysqlDialect(prefix);
  const db = await MysqlDatabase.open(settings, () => (clock ? sql`${clock()}` : now));
  try {
    const dialect = mysqlDialect(prefix, clock, undefined, await certifies(db));
    return await driverOf(db, dialect, settings);
  } catch (error) {
    await db.close();
    throw error;
  }
}

async function driverOf(
  db: MysqlDatabase,
  dialect: Dialect,
  settings: MysqlSettings,
): Promise<ServerDriver> {
  const { label, prefix } = settings;
  const schema: Schema = {
    label,
    dialect,
    before: [],
    steps: migrations(prefix, db.flavour),
    exists: (tx) => tablesExist(tx, prefix),
    look: (body) => db.look(body),
    locked: (body) => locked(db, settings, body),
  };
  refuseNewer(schema, await schemaVersion(schema));
  const engine = newEngine(db, dialect, newId());
  const own = {
    label,
    capabilities: { wakeups: false },
    migrate: () => migrate(schema),
    schemaVersion: () => schemaVersion(schema),
    migrationSql: () => migrationSql(schema),
    ping: () => ping(engine),
    grants: async () => grants(await nameOf(db), prefix),
    close: () => db.close(),
  };
  return serverDriver(engine, own, async () => {
    return mysqlDialect(prefix, settings.clock, await nameOf(db));
  });
}

/** A pool of the user's says nowhere else which database it leads to. */
async function nameOf(db: MysqlDatabase): Promise<string> {
  const [row] = await db.look((tx) => tx.all(sql`select database() as name`, { name: "text" }));
  return row!.name;
}

/** Whether it is a node of a Galera cluster, which certifies at commit what others have locked at the same time. */
async function certifies(db: MysqlDatabase): Promise<boolean> {
  const asked = sql`show global variables like 'wsrep_on'`;
  const rows = await db.look((tx) => tx.all(asked, { Value: "text" }));
  return rows[0]?.Value === "ON";
}

/** The lock is the connection's, and ends with it. Its name belongs to the whole server. */
function locked<T>(
  db: MysqlDatabase,
  { label, database, prefix }: MysqlSettings,
  body: (tx: Tx) => Promise<T>,
): Promise<T> {
  const name = `qudo_${createHash("sha1").update(`${database}.${prefix}`).digest("hex")}`;
  return db.alone(async (tx) => {
    const got = sql`select get_lock(${name}, ${LOCK_WAIT_S}) as got`;
    if ((await tx.all(got, { got: "int?" }))[0]!.got !== 1)
      throw new DatabaseError(
        "QUDO_DATABASE_BUSY",
        `${label} is being migrated by another process for more than ${LOCK_WAIT_S} s. Wait for it, or look what keeps it.`,
        true,
      );
    return body(tx);
  });
}
