/** Who a database is, told and set. */
import type { DatabaseMode, Identity } from "../driver.js";
import { newId } from "../ids.js";
import { identityOf, type MetaRow } from "../sql/meta.js";
import type { Connection } from "./connection.js";
import { read, write, type Engine } from "./engine.js";
import { SQL } from "./statements.js";

/** Looks first without the write lock: a name is written once. A file that an older release made gets its id here. */
export async function identify(engine: Engine, name?: string): Promise<Identity> {
  const { db } = engine;
  const found = await read(engine, () => identityOf(rowsOf(db)));
  if (found !== undefined && (found.name !== null || name === undefined)) return found;
  return write(engine, () => {
    db.run(SQL.addMeta, "database_id", newId());
    if (name !== undefined) db.run(SQL.addMeta, "name", name);
    return identityOf(rowsOf(db))!;
  });
}

export function rename(engine: Engine, name: string, copy: boolean): Promise<Identity> {
  const { db } = engine;
  return write(engine, () => {
    db.run(SQL.setMeta, "name", name);
    db.run(copy ? SQL.setMeta : SQL.addMeta, "database_id", newId());
    return identityOf(rowsOf(db))!;
  });
}

export async function setMode(engine: Engine, mode: DatabaseMode): Promise<void> {
  await write(engine, () => engine.db.run(SQL.setMeta, "mode", mode));
}

function rowsOf(db: Connection): MetaRow[] {
  return db.all<MetaRow>(SQL.identity);
}
