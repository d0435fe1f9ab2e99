/** Opens what is there: a mistyped address must not make a new, empty database. On a server there is none to be made. */
import { Qudo } from "../qudo.js";

export function openExisting(database: string): Qudo {
  const file = database.startsWith("sqlite:");
  const databases = file ? { url: database, create: false } : database;
  return new Qudo({ databases, migrate: false });
}
