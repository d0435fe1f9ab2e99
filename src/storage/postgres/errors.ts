/** PostgreSQL's SQLSTATEs, and what sockets say, in the words of the product. */
import { DatabaseError, QudoError, type ErrorCode } from "../../core/errors.js";
import { ConflictError, ConnectionLost, LostError } from "../sql/errors.js";

const CONFLICTS: ReadonlySet<string> = new Set([
  "23503", // foreign_key_violation: a lease's session was ended at this moment, or a lease made of one that ends
  "23505", // unique_violation: somebody else had the key first; a second look sees it
  "40001", // serialization_failure
  "40P01", // deadlock_detected
  "55P03", // lock_not_available
]);

interface Meaning {
  readonly code: ErrorCode;
  readonly transient: boolean;
  /** What it is, and what to do next. */
  readonly says: string;
}

const BUSY = {
  code: "QUDO_DATABASE_BUSY",
  transient: true,
  says: "was held by other transactions for too long. Look for one that stays open (pg_stat_activity).",
} as const;

/** By SQLSTATE, else by its class: its first two characters. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  "53100": {
    code: "QUDO_DATABASE_FULL",
    transient: true,
    says: "has no room to grow. Nothing was written; make space on the server's disk and try again.",
  },
  "53300": {
    code: "QUDO_DATABASE_BUSY",
    transient: true,
    says: "takes no more connections. Raise max_connections, give fewer `connections` to each process, or put PgBouncer before it.",
  },
  "57014": {
    code: "QUDO_DATABASE_BUSY",
    transient: true,
    says: "did not finish a statement in time. Look for what slows the server; `statementTimeout` says how long is waited.",
  },
  "25006": {
    code: "QUDO_DATABASE_READ_ONLY",
    transient: true,
    says: "cannot be written: it is a standby, or was set read-only. Give the primary's address, or all hosts.",
  },
  "42501": {
    code: "QUDO_DATABASE_DENIED",
    transient: false,
    says: 'lacks a right for its user. "qudo migrate --print-grants" prints what each role needs; docs/postgres.md, "Permissions", tells more.',
  },
  "42P01": {
    code: "QUDO_SCHEMA_MISSING",
    transient: false,
    says: "holds no qudo tables in this schema, under this prefix. Run: qudo migrate",
  },
  "3F000": {
    code: "QUDO_SCHEMA_MISSING",
    transient: false,
    says: "holds no such schema. Run: qudo migrate",
  },
  "3D000": {
    code: "QUDO_DATABASE_UNREACHABLE",
    transient: false,
    says: "cannot be opened: the server has no such database. Create it, or correct the address.",
  },
  "28": {
    code: "QUDO_DATABASE_UNREACHABLE",
    transient: false,
    says: "cannot be opened: the server refused the login. Check user, password and the server's pg_hba.conf.",
  },
  // What poolers say of all that they do not do; PgBouncer of settings of a session, among others.
  "08P01": {
    code: "QUDO_DATABASE_UNREACHABLE",
    transient: true,
    says: "did not take the connection as it was opened. Behind a pooler such as PgBouncer give prepare: false, and listen: false or the server's own address.",
  },
  "26": {
    code: "QUDO_DATABASE_FAILED",
    transient: false,
    says: "does not know a statement that was prepared there. Behind a pooler in transaction mode give prepare: false.",
  },
  "42P05": {
    code: "QUDO_DATABASE_FAILED",
    transient: false,
    says: "knows a statement that was not prepared by us. Behind a pooler in transaction mode give prepare: false.",
  },
};

/** The server ends the connection, or takes none at this moment. */
const LOST_CLASSES: ReadonlySet<string> = new Set(["08", "57"]);

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL/;

/**
 * What a client, its socket or its server said. `when`: a failure while connecting is that of the address, and nothing was sent.
 * The cause is a copy: what libraries hang on their errors (clients with passwords, rows with payloads) stays behind.
 */
export function asDatabaseError(
  error: unknown,
  label: string,
  when: "connecting" | "connected" = "connected",
): Error {
  if (error instanceof QudoError) return error;
  if (error instanceof TypeError || error instanceof RangeError) return error;
  const said = wordsOf(error);
  const options = { cause: copyOf(error, said) };
  const state = sqlState(error);
  const { code, transient, says } =
    MEANINGS[state ?? ""] ?? MEANINGS[state?.slice(0, 2) ?? ""] ?? other(error, state, when);
  const message = `${label} ${says} (${said})`;
  if (state !== null && CONFLICTS.has(state))
    return new ConflictError(BUSY.code, `${label} ${BUSY.says} (${said})`, BUSY.transient, options);
  const lost = code === "QUDO_DATABASE_UNREACHABLE" && transient;
  const Class = lost && when === "connected" ? LostError : DatabaseError;
  return new Class(code, message, transient, options);
}

/** The server's answer to every statement after the one that failed: what happened is said by that one. */
export function isConsequence(error: unknown): boolean {
  return error instanceof DatabaseError && codeOf(error.cause) === "25P02";
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown } | null)?.code;

/** "40P01" of an error that the server sent; null for any other. */
function sqlState(error: unknown): string | null {
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  return typeof code === "string" && severity !== undefined ? code : null;
}

function other(error: unknown, state: string | null, when: "connecting" | "connected"): Meaning {
  const lost = state === null || LOST_CLASSES.has(state.slice(0, 2));
  if (!lost)
    return {
      code: "QUDO_DATABASE_FAILED",
      transient: false,
      says: "refused a statement.",
    };
  const code = codeOf(error);
  if (typeof code === "string" && CERTIFICATE.test(code))
    return {
      code: "QUDO_DATABASE_UNREACHABLE",
      transient: false,
      says: "cannot be opened: its certificate was not accepted. Give the authority that signed it as ssl: { ca }.",
    };
  return {
    code: "QUDO_DATABASE_UNREACHABLE",
    transient: true,
    says:
      when === "connecting"
        ? "cannot be reached. Is the server up, and is the address right?"
        : "was lost while it was being used. What was on its way may have happened; to send it again is safe.",
  };
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Where a name has several addresses, each of which was tried.
  const all = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  return all.length > 0 ? all.map(wordsOf).join("; ") : error.message;
}

const KEPT = ["code", "constraint", "table", "column", "hint", "routine", "syscall"] as const;

function copyOf(error: unknown, message: string): Error {
  // Ours hold nothing that is not to be told.
  const copy = error instanceof ConnectionLost ? error : new Error(message);
  for (const name of KEPT) {
    const value = (error as Record<string, unknown> | null)?.[name];
    if (typeof value === "string") Object.assign(copy, { [name]: value });
  }
  return copy;
}
