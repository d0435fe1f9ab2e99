/** A connection of the user's with a transaction open on it, as its library lets us use it. */
import { InvalidInputError } from "../../../core/errors.js";

/** The engines behind a server, as messages name them. */
export const SERVERS = { postgres: "PostgreSQL", mysql: "MySQL or MariaDB" } as const;

export type Server = keyof typeof SERVERS;

export interface Answer {
  /** By column. Values are text where a library can be asked for text, so that parsers of the user's change nothing. */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** Rows inserted, updated or deleted; of a select, whatever the library says. */
  readonly changes: number;
}

export interface Client {
  /** One statement. Placeholders are the engine's: $1 for PostgreSQL, ? for MySQL. Throws what the library throws. */
  query(text: string, values: readonly unknown[]): Promise<Answer>;
  /** Whether a transaction was open when the last statement was answered; null where that cannot be told. */
  inTransaction(): boolean | null;
}

export interface Recognised {
  readonly server: Server;
  readonly client: Client;
}

/**
 * What one library says of what a user gave: null when it is none of its things.
 * @throws InvalidInputError for things of this library that are no transaction, with what to give instead.
 */
export type Recognise = (given: object) => Recognised | null;

/** Fields that something may have: what it really is, its library knows. */
type Loose = Readonly<Record<string, unknown>>;

export function has(given: object, ...methods: readonly string[]): boolean {
  return methods.every((name) => typeof (given as Loose)[name] === "function");
}

/** A field that is itself something with fields. */
export function part(given: object, name: string): object | null {
  const value = (given as Loose)[name];
  return typeof value === "object" || typeof value === "function" ? value : null;
}

export function wrongTransaction(message: string): InvalidInputError {
  return new InvalidInputError("QUDO_WRONG_DATABASE", message);
}
