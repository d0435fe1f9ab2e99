/** What addresses and options of servers become. */
import type { MysqlPlan } from "../../../src/storage/mysql-settings.js";
import type { PostgresPlan } from "../../../src/storage/postgres-settings.js";
import { checkDatabase } from "../../../src/storage/check.js";

export function postgresOf(database: unknown): PostgresPlan {
  const checked = checkDatabase(database);
  if (checked.kind !== "postgres") throw new Error(`it was taken for ${checked.kind}`);
  return checked.settings;
}

export function mysqlOf(database: unknown): MysqlPlan {
  const checked = checkDatabase(database);
  if (checked.kind !== "mysql") throw new Error(`it was taken for ${checked.kind}`);
  return checked.settings;
}

/** With the password as the engine gets it at a new connection. */
export async function shown<Plan extends PostgresPlan | MysqlPlan>(
  settings: Plan,
): Promise<Omit<Plan, "password"> & { password: string | null }> {
  const { password } = settings;
  return { ...settings, password: typeof password === "function" ? await password() : password };
}
