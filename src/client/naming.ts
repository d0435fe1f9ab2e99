/** What one of several databases is used for, and what it is called: written in the database, for all who use it. */
import { InvalidInputError, QudoError } from "../core/errors.js";
import { checkFlag, checkOptions, show } from "../core/options.js";
import type { DatabaseMode, Driver, Identity } from "../storage/driver.js";
import { choose } from "./databases.js";

/** How a database is renamed. */
export interface RenameOptions {
  /** It was made as a copy of another database, and is to have an identity of its own. Default false. */
  copy?: boolean;
}

const MODES: readonly unknown[] = ["active", "drain", "off"] satisfies DatabaseMode[];

/** A database that is opened alone is known by the name that is written in it. */
export async function setMode(driver: Driver, name: string, mode: DatabaseMode): Promise<void> {
  if (!MODES.includes(mode))
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `mode is ${show(mode)}; give "active", "drain" or "off".`,
    );
  if (driver.parts !== undefined) return choose(driver, name).driver.setMode(mode);
  const { name: stored } = await driver.identify();
  if (stored === name) return driver.setMode(mode);
  const called = stored === null ? "has no name: it is not one of several" : `is called ${stored}`;
  throw new InvalidInputError(
    "QUDO_UNKNOWN_DATABASE",
    `There is no database ${show(name)} here: ${driver.label} ${called}.`,
  );
}

export async function rename(
  driver: Driver,
  name: string,
  options: RenameOptions,
): Promise<Identity> {
  checkOptions(options, ["copy"], "rename");
  const copy = checkFlag(options.copy ?? false, "copy");
  if (driver.parts === undefined) return driver.rename(name, copy);
  throw new QudoError(
    "QUDO_UNSUPPORTED",
    "Of several databases none is renamed while it is used under its old name. Open the one alone, by its address and without a name, and rename it there.",
  );
}
