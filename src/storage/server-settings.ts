/** What is checked in the same way for every kind of server. */
import { userInfo } from "node:os";
import { DEFAULTS, LIMITS } from "../core/defaults.js";
import { durationMs, type Duration } from "../core/duration.js";
import { InvalidInputError } from "../core/errors.js";
import { checkInteger, show } from "../core/options.js";
import type { ServerDatabase } from "./database.js";
import { invalidUrl, type ServerUrl } from "./server-url.js";
import type { Password, ServerHost } from "./server.js";

/** Parameters that addresses of all kinds of server may have, each meaning what the option of the same name does. */
export const SHARED_PARAMETERS = [
  "prefix",
  "connections",
  "connectTimeout",
  "statementTimeout",
] as const satisfies readonly (keyof ServerDatabase)[];

/** Of the options those that a pool of the user's has decided for itself. */
const OF_THE_POOL = ["url", "password", "ssl", "connections", "connectTimeout"] as const;

export interface SharedSettings {
  readonly pool: unknown;
  readonly prefix: string;
  readonly connections: number;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
}

/** What is said beside the address outranks what is said in it. */
export function sharedSettings(
  options: ServerDatabase,
  parameters: ServerUrl["parameters"] | undefined,
): SharedSettings {
  const said = (name: (typeof SHARED_PARAMETERS)[number], usual: unknown): unknown =>
    firstOf(options[name], figure(parameters?.get(name)), usual);
  checkPool(options);
  return {
    pool: options.pool,
    prefix: checkIdentifier(said("prefix", "qudo_"), "prefix"),
    connections: checkInteger(said("connections", DEFAULTS.connections), "connections", 1, 1_000),
    connectTimeoutMs: timeout(
      "connectTimeout",
      said("connectTimeout", DEFAULTS.connectTimeoutMs / 1_000),
    ),
    statementTimeoutMs: timeout(
      "statementTimeout",
      said("statementTimeout", DEFAULTS.statementTimeoutMs / 1_000),
    ),
  };
}

/** The first that was said; null was said too, and will be refused. */
export function firstOf(...values: readonly unknown[]): unknown {
  return values.find((value) => value !== undefined);
}

/** In an address everything is text: what looks like a number is one. */
function figure(text: string | undefined): string | number | undefined {
  return text !== undefined && /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : text;
}

function timeout(what: string, value: unknown): number {
  const ms = durationMs(value as Duration, what);
  if (ms >= 1 && ms <= LIMITS.timerMs) return ms;
  throw invalidOption(`${what} is ${show(value)}; give a time from 1 ms to 24 days.`);
}

function checkPool(options: ServerDatabase): void {
  if (options.pool === undefined) return;
  for (const name of OF_THE_POOL)
    if (options[name] !== undefined)
      throw invalidOption(
        `${name} and pool exclude each other: a pool of yours knows where it leads, and how. Leave ${name} out.`,
      );
}

const IDENTIFIER = /^[a-z_][a-z0-9_]{0,40}$/;

/** It becomes part of names in statements. */
export function checkIdentifier(value: unknown, what: string): string {
  if (typeof value === "string" && IDENTIFIER.test(value)) return value;
  throw invalidOption(
    `${what} is ${show(value)}; give small letters, digits and "_", at most 41, and no digit first.`,
  );
}

/**
 * Of the option, the address, or the environment variable that the server's own clients read. As a function always, so that
 * no inspection of whatever holds it shows it.
 * @throws InvalidInputError that does not show what was given.
 */
export function passwordOf(option: unknown, ofUrl: string | null, variable: string): Password {
  const password = firstOf(option, ofUrl ?? undefined, process.env[variable]);
  if (password === undefined) return null;
  if (typeof password === "string") return () => password;
  if (typeof password === "function") return password as () => string | Promise<string>;
  throw invalidOption(
    "password is neither text nor a function. Give the password, or a function that returns it or a promise of it.",
  );
}

/** Who runs this program, as the servers' own clients take it for the user's name. */
export function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    throw invalidUrl(
      "The database address names no user, and the system does not tell who runs this program. Give one, as in postgres://user@host/database.",
    );
  }
}

/** What people are shown: everything of the address but the password and how it is used. */
export function labelOf(
  scheme: string,
  address: { hosts: readonly ServerHost[]; user: string; database: string },
  tables: Readonly<Record<string, string>> = {},
): string {
  const hosts = address.hosts.map(({ host, port }) => `${shownHost(host)}:${port}`).join(",");
  const named = Object.entries(tables).map(([name, value]) => `${name}=${value}`);
  const end = named.length > 0 ? `?${named.join("&")}` : "";
  const [user, database] = [address.user, address.database].map(encodeURIComponent);
  return `${scheme}://${user}@${hosts}/${database}${end}`;
}

function shownHost(host: string): string {
  if (host.includes(":")) return `[${host.replace("%", "%25")}]`;
  return encodeURIComponent(host);
}

export function invalidOption(message: string): InvalidInputError {
  return new InvalidInputError("QUDO_INVALID_OPTION", message);
}
