/** What MySQL, MariaDB and the way to them say, in the words of the product. Told apart by number. */
import { DatabaseError, QudoError, type ErrorCode } from "../../core/errors.js";
import { ConflictError, ConnectionLost, LostError } from "../sql/errors.js";

const CONFLICTS: ReadonlySet<number> = new Set([
  1020, // ER_CHECKREAD: MariaDB, under innodb_snapshot_isolation
  1062, // ER_DUP_ENTRY: somebody else had the key first; a second look sees it
  1205, // ER_LOCK_WAIT_TIMEOUT, and NOWAIT on MariaDB
  1213, // ER_LOCK_DEADLOCK, and a Galera node that came second
  1451, // ER_ROW_IS_REFERENCED_2: a lease of this session was made at this moment; a second look sees it
  1452, // ER_NO_REFERENCED_ROW_2: this lease's session was ended at this moment
  3572, // ER_LOCK_NOWAIT
]);

/** ER_UNKNOWN_COM_ERROR: a node of a Galera cluster that has lost the others. It looks at no statement before it has them again. */
const NOT_READY_NUMBER = 1047;

interface Meaning {
  readonly code: ErrorCode;
  readonly transient: boolean;
  /** What it is, and what to do next. */
  readonly says: string;
}

const CONFLICT: Meaning = {
  code: "QUDO_DATABASE_BUSY",
  transient: true,
  says: "was held by other transactions for too long. Look for one that stays open (information_schema.innodb_trx).",
};
const NOT_READY: Meaning = {
  code: "QUDO_DATABASE_UNREACHABLE",
  transient: true,
  says: "is a node of a cluster (Galera) that is not connected to most of the others. It takes work again when it is; its wsrep_cluster_status tells.",
};
const LOST: Meaning = {
  code: "QUDO_DATABASE_UNREACHABLE",
  transient: true,
  says: "was lost while it was being used. What was on its way may have happened; to send it again is safe.",
};
const UNREACHED: Meaning = {
  code: "QUDO_DATABASE_UNREACHABLE",
  transient: true,
  says: "cannot be reached. Is the server up, and is the address right?",
};
const CERTIFICATE: Meaning = {
  code: "QUDO_DATABASE_UNREACHABLE",
  transient: false,
  says: "cannot be opened: its certificate was not accepted. Give the authority that signed it as ssl: { ca }.",
};
const NO_TLS: Meaning = {
  code: "QUDO_DATABASE_UNREACHABLE",
  transient: false,
  says: "cannot be opened: the server speaks no TLS. Set it up there, or leave out ssl.",
};
const REFUSED: Meaning = {
  code: "QUDO_DATABASE_UNREACHABLE",
  transient: false,
  says: "cannot be opened: the server refused the login. Check user, password, and the hosts that the account is for.",
};
const DENIED: Meaning = {
  code: "QUDO_DATABASE_DENIED",
  transient: false,
  says: 'lacks a right for its user. "qudo migrate --print-grants" prints what each role needs; docs/mysql.md, "Permissions", tells more.',
};
const READ_ONLY: Meaning = {
  code: "QUDO_DATABASE_READ_ONLY",
  transient: true,
  says: "cannot be written: it is a replica, or was set read-only. Give the primary's address.",
};
const FULL: Meaning = {
  code: "QUDO_DATABASE_FULL",
  transient: true,
  says: "has no room to grow. Nothing was written; make space on the server's disk and try again.",
};
const SLOW: Meaning = {
  code: "QUDO_DATABASE_BUSY",
  transient: true,
  says: "did not finish a statement in time. Look for what slows the server; `statementTimeout` says how long is waited.",
};
const TOO_MANY: Meaning = {
  code: "QUDO_DATABASE_BUSY",
  transient: true,
  says: "takes no more connections. Raise max_connections, or give fewer `connections` to each process.",
};
const NO_TABLES: Meaning = {
  code: "QUDO_SCHEMA_MISSING",
  transient: false,
  says: "holds no qudo tables under this prefix. Run: qudo migrate",
};
const NO_DATABASE: Meaning = {
  code: "QUDO_DATABASE_UNREACHABLE",
  transient: false,
  says: "cannot be opened: the server has no such database. Create it, or correct the address.",
};
const TOO_LARGE: Meaning = {
  code: "QUDO_DATABASE_FAILED",
  transient: false,
  says: "takes no statement of this size. Raise the server's max_allowed_packet to 16 MiB or more.",
};
const INTERRUPTED: Meaning = {
  code: "QUDO_DATABASE_FAILED",
  transient: true,
  says: "ended a statement because somebody asked it to (KILL QUERY).",
};
const FAILED: Meaning = {
  code: "QUDO_DATABASE_FAILED",
  transient: false,
  says: "refused a statement.",
};

/** By the server's number. */
const MEANINGS: ReadonlyMap<number, Meaning> = new Map([
  ...all(CONFLICT, [...CONFLICTS]),
  [NOT_READY_NUMBER, NOT_READY],
  // Shut down, or ended by somebody: KILL, or an idle time that the server allows.
  ...all(LOST, [1053, 1077, 1152, 1184, 1927, 3169, 4031]),
  ...all(REFUSED, [1045, 1130, 1251, 1698, 1820, 1862, 3118, 3159, 3955]),
  ...all(DENIED, [1044, 1142, 1143, 1227, 1370]),
  ...all(READ_ONLY, [1290, 1792, 1836, 1874]),
  ...all(FULL, [1021, 1114, 3675]),
  ...all(SLOW, [1969, 3024]),
  ...all(TOO_MANY, [1040, 1203, 1226]),
  [1049, NO_DATABASE],
  [1146, NO_TABLES],
  [1153, TOO_LARGE],
  [1317, INTERRUPTED],
]);

/** By the client library's name, where it was not the server that spoke. */
const BY_NAME: ReadonlyMap<string, Meaning> = new Map([
  ["HANDSHAKE_SSL_ERROR", CERTIFICATE],
  ["HANDSHAKE_NO_SSL_SUPPORT", NO_TLS],
  ["AUTH_SWITCH_PLUGIN_ERROR", REFUSED],
]);

function all(meaning: Meaning, numbers: readonly number[]): (readonly [number, Meaning])[] {
  return numbers.map((number) => [number, meaning]);
}

/**
 * What a client, its socket or its server said. `when`: a failure while connecting is that of the address, and nothing was sent.
 * The cause is a copy: the library hangs the whole statement with all its values on its errors, and those are people's payloads.
 */
export function asDatabaseError(
  error: unknown,
  label: string,
  when: "connecting" | "connected" = "connected",
): Error {
  if (error instanceof QudoError) return error;
  if (error instanceof TypeError || error instanceof RangeError) return error;
  const said = wordsOf(error);
  const meaning = meaningOf(error, when);
  const { code, transient, says } = meaning;
  const message = `${label} ${says} (${said})`;
  const options = { cause: copyOf(error, said) };
  return new (classOf(meaning, when))(code, message, transient, options);
}

function classOf(meaning: Meaning, when: "connecting" | "connected"): typeof DatabaseError {
  if (when === "connecting") return DatabaseError;
  if (meaning === CONFLICT || meaning === NOT_READY) return ConflictError;
  return meaning === LOST ? LostError : DatabaseError;
}

function meaningOf(error: unknown, when: "connecting" | "connected"): Meaning {
  const number = numberOf(error);
  const meaning = MEANINGS.get(number ?? 0) ?? BY_NAME.get(nameOf(error));
  if (meaning === LOST && when === "connecting") return UNREACHED;
  if (meaning !== undefined) return meaning;
  if (number !== null) return FAILED;
  return when === "connecting" ? UNREACHED : LOST;
}

/** The server's number; null where it was not the server that spoke. Those of the operating system are negative. */
function numberOf(error: unknown): number | null {
  const { errno } = error as { errno?: unknown };
  return typeof errno === "number" && errno > 0 ? errno : null;
}

function nameOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : "";
}

/** Errors in whose texts a server never repeats what stood in a statement; of all others it is told by name. */
const MAY_BE_REPEATED: ReadonlySet<number> = new Set([
  ...MEANINGS.keys(),
  1030,
  1054,
  1175,
  1180,
  1235,
]);

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Where a name has several addresses, each of which was tried.
  const several = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  if (several.length > 0) return several.map(wordsOf).join("; ");
  const number = numberOf(error);
  if (number === null) return error.message;
  const name = `${nameOf(error)} ${number}`;
  return MAY_BE_REPEATED.has(number) && number !== 1062 ? `${name}: ${error.message}` : name;
}

const KEPT = ["code", "errno", "sqlState", "syscall"] as const;

function copyOf(error: unknown, message: string): Error {
  // Ours hold nothing that is not to be told.
  const copy = error instanceof ConnectionLost ? error : new Error(message);
  for (const name of KEPT) {
    const value = (error as Record<string, unknown> | null)?.[name];
    if (typeof value === "string" || typeof value === "number")
      Object.assign(copy, { [name]: value });
  }
  return copy;
}
