/** Whether a database is the one that its name says. */
import { DatabaseError } from "../../core/errors.js";
import type { Identity } from "../driver.js";

/** One of several, as far as it is known who it is. */
export interface Named {
  readonly name: string;
  readonly identity: Promise<Identity> | null;
}

/**
 * Two names that lead to one database would claim and count everything twice; swapped addresses would look for jobs where they are not.
 * @throws DatabaseError QUDO_DATABASE_TWICE or QUDO_DATABASE_SWAPPED, which no waiting puts right.
 */
export async function checkIdentity(
  one: Named,
  { id, name }: Identity,
  all: readonly Named[],
): Promise<void> {
  if (name === null || name === one.name) return;
  for (const other of all) {
    if (other === one || other.identity === null) continue;
    const known = await other.identity.catch(() => null);
    if (known?.id !== id) continue;
    throw new DatabaseError(
      "QUDO_DATABASE_TWICE",
      `The names "${other.name}" and "${one.name}" lead to one database, or to a copy of it. Give each database of the list one name and one address.`,
      false,
    );
  }
  throw new DatabaseError(
    "QUDO_DATABASE_SWAPPED",
    `The address given for "${one.name}" leads to the database that is called "${name}". Correct the addresses, or give each database the name that it has.`,
    false,
  );
}
