/** Who a database is, told and set. Only the owner of the tables may set it. */
import { DatabaseError } from "../../core/errors.js";
import type { DatabaseMode, Identity } from "../driver.js";
import { newId } from "../ids.js";
import { glance, write, type Engine, type Work } from "./engine.js";
import { identityOf, IDENTITY_ROWS, type IdentityRow, type MetaRow } from "./meta.js";
import { columnsOf, type Shape } from "./rows.js";
import { sql } from "./query.js";

const META = { name: "text", value: "text" } as const satisfies Shape;

/** Looks first without a transaction: a name is written once. Whoever may not write it leaves it to those who may. */
export async function identify(engine: Engine, name?: string): Promise<Identity> {
  const found = identityOf(await glance(engine, rowsOf));
  if (found !== undefined && (found.name !== null || name === undefined)) return found;
  try {
    return await write(engine, async (work) => {
      const missing = [{ name: "database_id", value: newId() }];
      if (name !== undefined) missing.push({ name: "name", value: name });
      await work.insertNew(work.t.meta, META, missing);
      return identityOf(await rowsOf(work))!;
    });
  } catch (error) {
    const denied = error instanceof DatabaseError && error.code === "QUDO_DATABASE_DENIED";
    if (denied && found !== undefined) return found;
    throw error;
  }
}

export async function rename(engine: Engine, name: string, copy: boolean): Promise<Identity> {
  return write(engine, async (work) => {
    await set(work, "name", name);
    if (copy) await set(work, "database_id", newId());
    else await work.insertNew(work.t.meta, META, [{ name: "database_id", value: newId() }]);
    return identityOf(await rowsOf(work))!;
  });
}

export async function setMode(engine: Engine, mode: DatabaseMode): Promise<void> {
  await write(engine, (work) => set(work, "mode", mode));
}

/** What another connection commits meanwhile is either there to be changed, or waited for. */
async function set(work: Work, name: IdentityRow, value: string): Promise<void> {
  const { meta } = work.t;
  await work.insertNew(meta, META, [{ name, value }]);
  await work.run(sql`update ${meta} set value = ${value} where name = ${name}`);
}

function rowsOf({ t, dialect, tx }: Work): Promise<MetaRow[]> {
  const which = dialect.among("name", "text", IDENTITY_ROWS);
  return tx.all(sql`select ${columnsOf(META)} from ${t.meta} where ${which}`, META);
}
