/** The PostgreSQL engine: one database, many machines. */
import { newId } from "../ids.js";
import type { PostgresSettings } from "../server.js";
import { serverDriver, type ServerDriver } from "../sql/driver.js";
import { newEngine } from "../sql/engine.js";
import { ping } from "../sql/ping.js";
import { migrate, migrationSql, refuseNewer, schemaVersion, type Schema } from "../sql/migrate.js";
import { PostgresDatabase } from "./database.js";
import { postgresDialect } from "./dialect.js";
import { grants } from "./grants.js";
import { Listener } from "./listen.js";
import { channelOf, Notifier } from "./notify.js";
import { lockForMigration, migrations, tablesExist } from "./schema.js";

/**
 * Connects; does not create the tables: that is `migrate()`.
 * @throws DatabaseError QUDO_DATABASE_TOO_OLD, QUDO_SCHEMA_TOO_NEW, QUDO_DATABASE_UNREACHABLE.
 */
export async function openPostgres(settings: PostgresSettings): Promise<ServerDriver> {
  const { label } = settings;
  const dialect = postgresDialect(settings, settings.clock);
  const db = await PostgresDatabase.open(settings, {
    now: () => dialect.now,
    announcement: () => notifier.ring(),
  });
  const engine = newEngine(db, dialect, newId());
  const { self } = engine;
  const channel = channelOf(settings);
  const notifier = new Notifier(db, channel, self);
  const listener = db.direct && new Listener({ channel, self, connect: db.direct });
  const schema: Schema = {
    label,
    dialect,
    before: [`create schema if not exists "${settings.schema}"`],
    steps: migrations(settings),
    exists: (tx) => tablesExist(tx, settings),
    look: (body) => db.look(body),
    locked: (body) =>
      db.transaction(
        async (tx) => {
          await lockForMigration(tx, settings);
          return body(tx);
        },
        { patient: true },
      ),
  };
  try {
    refuseNewer(schema, await schemaVersion(schema));
  } catch (error) {
    await db.close();
    throw error;
  }
  return serverDriver(engine, {
    label,
    capabilities: { wakeups: listener !== null },
    migrate: () => migrate(schema),
    schemaVersion: () => schemaVersion(schema),
    migrationSql: () => migrationSql(schema),
    ping: () => ping(engine),
    grants: async () => grants(settings),
    close: async () => {
      listener?.close();
      await notifier.close();
      await db.close();
    },
    ...(listener && {
      subscribe: (onChange) => listener.subscribe(onChange),
      listens: () => listener.listening,
    }),
  });
}
