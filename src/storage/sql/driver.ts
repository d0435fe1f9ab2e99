/** A server's driver: the operations that all of them share, and the few things that an engine does by itself. */
import type { Driver } from "../driver.js";
import type { Dialect } from "./dialect.js";
import type { Engine } from "./engine.js";
import type { Queue } from "./inside/inside.js";
import { queueOf } from "./inside/queue.js";
import { looking } from "./looking.js";
import { working } from "./working.js";

/** What each engine brings. */
export type OwnParts = Pick<
  Driver,
  | "label"
  | "capabilities"
  | "migrate"
  | "schemaVersion"
  | "migrationSql"
  | "ping"
  | "close"
  | "subscribe"
  | "listens"
  | "grants"
>;

/** A server's driver, and what users' transactions in the same process need of it. */
export interface ServerDriver extends Driver {
  /** @throws DatabaseError QUDO_SCHEMA_MISSING before the tables are made. */
  queue(): Promise<Queue>;
}

/** `foreign`: the dialect on connections of users, where it has to say more. */
export function serverDriver(
  engine: Engine,
  own: OwnParts,
  foreign?: () => Promise<Dialect>,
): ServerDriver {
  const queue = queueOf(engine, own.label, foreign);
  return {
    ...own,
    ...working(engine),
    ...looking(engine),
    // Looked up now: within users' transactions all connections of a pool that is theirs may be taken.
    async migrate() {
      const report = await own.migrate();
      await queue();
      return report;
    },
    async schemaVersion() {
      const version = await own.schemaVersion();
      if (version !== null) await queue();
      return version;
    },
    queue,
  };
}
