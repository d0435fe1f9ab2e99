/** MySQL or MariaDB: which of the two answers, whether it is new enough, and where the two differ. */
import { DatabaseError } from "../../core/errors.js";

export interface Flavour {
  readonly name: "MySQL" | "MariaDB";
  /** Compares bytes, and does not take a space at the end for nothing. */
  readonly collation: string;
  /** The variable that holds the isolation of a session. */
  readonly isolation: string;
}

const MYSQL: Flavour = {
  name: "MySQL",
  collation: "utf8mb4_0900_bin",
  isolation: "transaction_isolation",
};

const MARIADB: Flavour = {
  name: "MariaDB",
  collation: "utf8mb4_nopad_bin",
  isolation: "tx_isolation",
};

/** The oldest ones that can do what is asked of them: SKIP LOCKED, and such a collation. */
const OLDEST = { MySQL: [8, 0, 17], MariaDB: [10, 6, 0] } as const;

/**
 * From what `select version()` says: "10.11.6-MariaDB-log", "8.4.3", "5.5.5-10.6.1-MariaDB".
 * @throws DatabaseError QUDO_UNSUPPORTED for one that is too old.
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
    "QUDO_UNSUPPORTED",
    `${label} is ${flavour.name} ${given.join(".") || "of an unknown version"}. qudo needs ${flavour.name} ${oldest.join(".")} or newer: update the server, or take another database.`,
    false,
  );
}
