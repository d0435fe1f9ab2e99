/** From what --database or QUDO_DATABASE say to one database, or to a list of several. */
import { InvalidInputError } from "../core/errors.js";
import type { Databases, ListedDatabase } from "../storage/database.js";

/** "name=scheme:…": an address begins with its scheme, so that no address looks like this. */
const NAMED = /^([^=:/\s]*)=(?=[a-z][a-z0-9+.-]*:)/i;

/** Where an address ends and the next name begins; within a path white space stands for itself. */
const NEXT = /\s+(?=[^=:/\s]+=[a-z][a-z0-9+.-]*:)/i;

/** Text is what the environment, or the default, says: there several stand in one line. */
export function databasesOf(given: string | readonly string[]): Databases {
  const texts = typeof given === "string" ? given.trim().split(NEXT) : given;
  const [first] = texts;
  if (texts.length === 1 && !NAMED.test(first!)) return first!;
  return texts.map(listed);
}

function listed(text: string, i: number): ListedDatabase {
  const name = NAMED.exec(text);
  if (name !== null) return { name: name[1]!, url: text.slice(name[0].length) };
  // It is not shown: it may hold a password.
  throw new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `--database: of several databases each has a name, but number ${i + 1} has none. Give --database a=sqlite:a.db --database b=postgres://…`,
  );
}
