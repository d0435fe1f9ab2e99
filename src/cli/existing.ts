/** Opens what is there: a mistyped address must not make a new, empty database. On a server there is none to be made. */
import type { Usable } from "../core/plugins.js";
import { Qudo } from "../qudo.js";
import type { Logger } from "../worker/options.js";
import type { Databases, ListedDatabase } from "../storage/database.js";

export function openExisting(databases: Databases, use: readonly Usable[] = []): Qudo {
  return new Qudo({ databases: existing(databases), migrate: false, logger: silent, use });
}

function existing(databases: Databases): Databases {
  if (typeof databases === "string")
    return isFile(databases) ? { url: databases, create: false } : databases;
  return (databases as readonly ListedDatabase[]).map((one): ListedDatabase => {
    const { name, url } = one;
    return isFile(url) ? { name, url: url!, create: false } : one;
  });
}

function isFile(url: string | undefined): boolean {
  return url?.startsWith("sqlite:") === true;
}

const nothing = (): void => undefined;

/** For commands that tell with their answer which databases are out. */
export const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
