/** MySQL or MariaDB: which of the two answers, whether it is new enough, and where the two differ. */
import { DatabaseError } from "../../core/errors.js";

export interface Flavour {
  readonly name: "MySQL" | "MariaDB";
  /** Compares bytes, and does not take a space at the end for nothing. */
  readonly collation: string;
}

const MYSQL: Flavour = { name: "MySQL", collation: "utf8mb4_0900_bin" };
const MARIADB: Flavour = { name: "MariaDB", collation: "utf8mb4_nopad_bin" };

/** The oldest ones that can do what is asked of them: SKIP LOCKED, and such a collation. */
const OLDEST = { MySQL: [8, 0, 17], MariaDB: [10, 6, 0] } as const;

/**
 * From what `select version()` says: "10.11.6-MariaDB-log", "8.4.3", "5.5.5-10.6.1-MariaDB".
 * @throws DatabaseError QUDO_DATABASE_TOO_OLD.
 */
export function flavourOf(version: string, label: string): Flavour {
  const flavour = /mariadb/i.test(version) ? MARIADB : MYSQL;
  // MariaDB once put a version that old clients understand before its own.
  const numbers = /(\d+)\.(\d+)\.(\d+)/.exec(version.replace(/^5\.5\.5-(?=\d)/, ""));
  const given = (numbers ?? []).slice(1, 4).map(Number);
  const oldest = OLDEST[flavour.name];
  const differs = oldest.findIndex((least, i) => given[i] !== least);
  if (given.length === 3 && (differs < 0 || given[differs]! > oldest[differs]!)) return flavour;
  throw new DatabaseError(
    "QUDO_DATABASE_TOO_OLD",
    `${label} is ${flavour.name} ${given.join(".") || "of an unknown version"}; qudo needs ${flavour.name} ${oldest.join(".")} or newer. Upgrade the server, or give another database.`,
    false,
  );
}
