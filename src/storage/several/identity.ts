/** Whether the databases are those that they are taken for: told by what is written in them, whenever one is opened. */
import { InvalidInputError } from "../../core/errors.js";
import type { DatabaseMode, Identity } from "../driver.js";

const FROM_LENIENT: readonly DatabaseMode[] = ["active", "drain", "off"];

/** Of what the configuration says and what the database says, what allows less. */
export function stricter(one: DatabaseMode, other: DatabaseMode): DatabaseMode {
  return FROM_LENIENT[Math.max(FROM_LENIENT.indexOf(one), FROM_LENIENT.indexOf(other))]!;
}

/** Who was met so far, under which name. One for all parts of a list. */
export class Identities {
  private readonly names = new Map<string, string>();

  /**
   * Called with what `identify(name)` of a database answered, before anything else is done with it.
   * @throws InvalidInputError QUDO_DATABASE_SWAPPED, QUDO_DATABASE_TWICE: the configuration is wrong, and trying again mends nothing.
   */
  check(part: { readonly name: string; readonly label: string }, identity: Identity): void {
    const { name, label } = part;
    const other = this.names.get(identity.id);
    if (other !== undefined && other !== name) throw twice(other, name, label);
    if (identity.name !== null && identity.name !== name) throw swapped(name, label, identity.name);
    this.names.set(identity.id, name);
  }
}

function twice(one: string, other: string, label: string): InvalidInputError {
  return new InvalidInputError(
    "QUDO_DATABASE_TWICE",
    `${one} and ${other} are one database (${label}): each job would be worked on under two names. Leave one of them out, or give it the address of another database.`,
  );
}

function swapped(name: string, label: string, stored: string): InvalidInputError {
  return new InvalidInputError(
    "QUDO_DATABASE_SWAPPED",
    `The database that is configured as ${name} (${label}) says that it is ${stored}. Give each database the name that stands in it; the addresses of ${name} and ${stored} may be swapped.`,
  );
}
