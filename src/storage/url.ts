/** Which kind of database an address is of, and the path in one of SQLite's. */
import { InvalidInputError } from "../core/errors.js";

export type Kind = "sqlite" | "postgres" | "mysql";

const KINDS: ReadonlyMap<string, Kind> = new Map([
  ["sqlite", "sqlite"],
  ["postgres", "postgres"],
  ["postgresql", "postgres"],
  ["mysql", "mysql"],
  ["mariadb", "mysql"],
]);

/** @throws InvalidInputError QUDO_INVALID_URL for an address of no known kind, which is not shown: it may hold a password. */
export function kindOf(url: unknown): Kind {
  const kind = KINDS.get(schemeOf(url)?.toLowerCase() ?? "");
  if (kind === undefined) throw unknownKind(url);
  return kind;
}

function schemeOf(url: unknown): string | undefined {
  return typeof url === "string" ? /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1] : undefined;
}

/**
 * "sqlite:" and a path as it stands: "sqlite:jobs.db", "sqlite:/var/lib/app/jobs.db", "sqlite:C:\data\jobs.db". After
 * "sqlite://" it is percent-decoded, as in other URLs: "sqlite:///var/lib/my%20app/jobs.db"; on Windows a drive may
 * follow the third slash.
 * @throws InvalidInputError QUDO_INVALID_URL for anything else. The address is not shown: others hold passwords.
 */
export function sqlitePath(url: unknown, windows = process.platform === "win32"): string {
  const rest = typeof url === "string" ? /^sqlite:(.*)$/s.exec(url)?.[1] : undefined;
  if (rest === undefined) throw unknownKind(url);
  const path = rest.startsWith("//") ? decoded(rest.slice(2), windows) : rest;
  if (path === "" || path.includes("\0"))
    throw invalidUrl('The address "sqlite:" holds no path that a file can have.');
  // SQLite would take it for an address of its own, and open another file than the one we make.
  if (/^file:/i.test(path))
    throw invalidUrl('The address "sqlite:file:…" is not supported: leave out "file:".');
  return path;
}

function decoded(path: string, windows: boolean): string {
  try {
    const plain = decodeURIComponent(path);
    return windows ? plain.replace(/^\/(?=[a-z]:)/i, "") : plain;
  } catch {
    throw invalidUrl(
      'The address "sqlite://…" holds a "%" that begins no character. Write "%25" for the sign itself, or "sqlite:" and the plain path.',
    );
  }
}

function unknownKind(url: unknown): InvalidInputError {
  const scheme = schemeOf(url);
  const shown =
    scheme === undefined ? "The database address" : `A database address of "${scheme}:"`;
  return new InvalidInputError(
    "QUDO_INVALID_URL",
    `${shown} is not supported. Give "sqlite:jobs.db", "postgres://user@host/database" or "mysql://user@host/database".`,
  );
}

function invalidUrl(what: string): InvalidInputError {
  return new InvalidInputError(
    "QUDO_INVALID_URL",
    `${what} Give "sqlite:" and a path, as in "sqlite:jobs.db".`,
  );
}
