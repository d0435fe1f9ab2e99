/** The PostgreSQL engine: one database, many machines. */
import { DatabaseError } from "../../core/errors.js";
import { newId } from "../ids.js";
import type { PostgresSettings } from "../server.js";
import { serverDriver, type ServerDriver } from "../sql/driver.js";
import { newEngine, type Engine } from "../sql/engine.js";
import { migrate, refuseNewer, schemaVersion, type Schema } from "../sql/migrate.js";
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
    ping: () => ping(engine),
    grants: async () => grants(settings),
    close: async () => {
      listener?.close();
      await notifier.close();
      await db.close();
    },
    ...(listener && { subscribe: (onChange) => listener.subscribe(onChange) }),
  });
}

class Rehearsed extends Error {
  constructor(readonly now: number) {
    super("rolled back on purpose");
  }
}

/** One row more in the counts, and rolled back: all that work or add jobs may write there. Who may only look is told the time. */
async function ping({ db, dialect, self }: Engine): Promise<{ now: number }> {
  const nothing = { minute: 0, lane: 0, event: 0, session: self, n: 0 };
  let time = 0;
  try {
    return await db.transaction(async (tx, now) => {
      time = now;
      await tx.run(dialect.addToTally([nothing]));
      throw new Rehearsed(now);
    });
  } catch (error) {
    if (error instanceof Rehearsed) return { now: error.now };
    if (error instanceof DatabaseError && error.code === "QUDO_DATABASE_DENIED")
      return { now: time };
    throw error;
  }
}
