/** Opens what is there: a mistyped address must not make a new, empty database. */
import { Qudo } from "../qudo.js";

export function openExisting(database: string): Qudo {
  return new Qudo({ databases: { url: database, create: false }, migrate: false });
}
