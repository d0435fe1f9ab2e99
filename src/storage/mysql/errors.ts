/** What MySQL and MariaDB say, by number, in the words of the product. */
import { DatabaseError, type ErrorCode } from "../../core/errors.js";

/**
 * What a server or the way to it said. The client library's own error is never passed on: it carries the statement with all
 * its values, which are other people's payloads.
 */
export class ServerError extends Error {
  override readonly name = "ServerError";
  constructor(
    /** "ER_LOCK_DEADLOCK", "ECONNRESET". */
    readonly code: string,
    /** The server's number; null where it was not the server that spoke. */
    readonly errno: number | null,
    message: string,
    /** Nothing more can be sent over this connection. */
    readonly fatal: boolean,
  ) {
    super(message);
  }
}

interface ClientError {
  readonly code?: unknown;
  readonly errno?: unknown;
  readonly message?: unknown;
  readonly fatal?: unknown;
}

/** An error of the client library, without what it must not carry. */
export function serverError(error: unknown): ServerError {
  const { code, errno, message, fatal } = (error ?? {}) as ClientError;
  // The numbers of the operating system are negative.
  const number = typeof errno === "number" && errno > 0 ? errno : null;
  const name = typeof code === "string" ? code : "UNKNOWN";
  const text = number === null || MAY_BE_QUOTED.has(number) ? String(message) : "";
  const closed = number === null ? code !== undefined || fatal === true : ENDS.has(number);
  return new ServerError(name, number, text, closed || fatal === true);
}

/** The server ends the connection with these. */
const ENDS: ReadonlySet<number> = new Set([
  1053, // ER_SERVER_SHUTDOWN
  1077, // ER_NORMAL_SHUTDOWN
  1152, // ER_ABORTING_CONNECTION
  1153, // ER_NET_PACKET_TOO_LARGE
  1184, // ER_NEW_ABORTING_CONNECTION
  1927, // ER_CONNECTION_KILLED
  3169, // ER_SESSION_WAS_KILLED
  4031, // ER_CLIENT_INTERACTION_TIMEOUT
]);

/** Texts of the server in which no value of a statement stands; of all others only name and number are told. */
const MAY_BE_QUOTED: ReadonlySet<number> = new Set([
  1020,
  1021,
  1030,
  1040,
  1044,
  1045,
  1047,
  1049,
  1054,
  1114,
  1130,
  1142,
  1143,
  1146,
  1175,
  1205,
  1213,
  1226,
  1227,
  1290,
  1317,
  1452,
  1696,
  1698,
  1792,
  1836,
  1874,
  1969,
  3024,
  3159,
  3572,
  3675,
  3118,
  ...ENDS,
]);

const CONFLICTS: ReadonlySet<number> = new Set([
  1020, // ER_CHECKREAD: MariaDB's snapshot isolation
  1047, // ER_UNKNOWN_COM_ERROR: a Galera node that is not ready
  1062, // ER_DUP_ENTRY: somebody else had the key first; a second look sees it
  1205, // ER_LOCK_WAIT_TIMEOUT, and MariaDB's NOWAIT
  1213, // ER_LOCK_DEADLOCK, and a Galera node that came second
  1451, // ER_ROW_IS_REFERENCED_2: a lease of this session was made at this moment; a second look sees it
  1452, // ER_NO_REFERENCED_ROW_2: this lease's session was ended at this moment
  3572, // ER_LOCK_NOWAIT
]);

const numberOf = (error: unknown): number | null =>
  error instanceof DatabaseError && error.cause instanceof ServerError ? error.cause.errno : null;

/** It met others: nothing happened, and the same again may succeed at once. */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.has(numberOf(error) ?? 0);
}

/** Nothing more can be sent over the connection that it came from. */
export function isFatal(error: unknown): boolean {
  return error instanceof DatabaseError && error.cause instanceof ServerError && error.cause.fatal;
}

interface Meaning {
  readonly code: ErrorCode;
  readonly transient: boolean;
  /** After "mysql://…": what is wrong, and what to do. */
  readonly says: string;
}

const BUSY: Meaning = {
  code: "QUDO_DATABASE_BUSY",
  transient: true,
  says: "was held by others for too long. Look for a program that keeps a transaction open on it",
};
const READ_ONLY: Meaning = {
  code: "QUDO_DATABASE_READ_ONLY",
  transient: true,
  says: "takes no writes: it is read-only. Connect to the primary, or wait until the failover is over",
};
const FULL: Meaning = {
  code: "QUDO_DATABASE_FULL",
  transient: true,
  says: "has no room to grow. Nothing was written; make space on the server's disk",
};
const TOO_MANY: Meaning = {
  code: "QUDO_DATABASE_UNREACHABLE",
  transient: true,
  says: 'takes no more connections. Raise the server\'s max_connections, or lower "connections"',
};
const REFUSED: Meaning = {
  code: "QUDO_DATABASE_UNREACHABLE",
  transient: false,
  says: "let us not in. Check user, password and the host that the account is for",
};
const MAY_NOT: Meaning = {
  code: "QUDO_DATABASE_FAILED",
  transient: false,
  says: 'does not allow this to its user. "qudo migrate --print-grants" shows what each role needs',
};
const LOST: Meaning = {
  code: "QUDO_DATABASE_UNREACHABLE",
  transient: true,
  says: "cannot be reached, or the connection broke. Is the server running, and is the address right?",
};
const SLOW: Meaning = {
  code: "QUDO_DATABASE_BUSY",
  transient: true,
  says: "did not finish a statement in time. Look for what keeps the server busy, or raise statementTimeout",
};

const MEANINGS: ReadonlyMap<number, Meaning> = new Map([
  ...[...CONFLICTS].map((errno) => [errno, BUSY] as const),
  ...[...ENDS].map((errno) => [errno, LOST] as const),
  ...[1290, 1792, 1836, 1874].map((errno) => [errno, READ_ONLY] as const),
  ...[1021, 1114, 3675].map((errno) => [errno, FULL] as const),
  ...[1040, 1203, 1226].map((errno) => [errno, TOO_MANY] as const),
  ...[1045, 1130, 1698, 3118, 3159].map((errno) => [errno, REFUSED] as const),
  ...[1142, 1143, 1227].map((errno) => [errno, MAY_NOT] as const),
  ...[1969, 3024].map((errno) => [errno, SLOW] as const),
  [
    1044,
    {
      ...REFUSED,
      says: "does not let this user into the database. Grant it: qudo migrate --print-grants",
    },
  ],
  [
    1049,
    {
      code: "QUDO_DATABASE_UNREACHABLE",
      transient: false,
      says: "has no such database. Create it, or correct the name in the address",
    },
  ],
  [
    1146,
    {
      code: "QUDO_SCHEMA_MISSING",
      transient: false,
      says: 'holds no qudo tables of this prefix yet. Run "qudo migrate"',
    },
  ],
  [
    1153,
    {
      code: "QUDO_DATABASE_FAILED",
      transient: false,
      says: "takes no statement of this size. Raise the server's max_allowed_packet to 16 MiB or more",
    },
  ],
]);

export function asDatabaseError(error: unknown, label: string): DatabaseError {
  if (error instanceof DatabaseError) return error;
  const cause = error instanceof ServerError ? error : serverError(error);
  const { errno, code, message, fatal } = cause;
  const known = errno === null ? (fatal ? LOST : undefined) : MEANINGS.get(errno);
  const because = [`${code}${errno === null ? "" : ` ${errno}`}`, message].filter(Boolean);
  const { code: ours, transient, says } = known ?? FAILED;
  return new DatabaseError(ours, `${label} ${says} (${because.join(": ")}).`, transient, { cause });
}

const FAILED: Meaning = {
  code: "QUDO_DATABASE_FAILED",
  transient: false,
  says: "refused a statement",
};
