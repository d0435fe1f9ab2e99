/**
 * Several databases as a user lists them. All of it is checked when a Qudo is made: a wrong list must not wait for the day on which
 * its second database is needed.
 */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { DEFAULTS } from "../core/defaults.js";
import { InvalidInputError } from "../core/errors.js";
import { show } from "../core/options.js";
import { checkOne, type Checked } from "./check.js";
import type { DatabaseOptions, Databases, ListedDatabase, Listing, Placement } from "./database.js";
import type { DatabaseMode } from "./driver.js";

/** One entry of a list, checked. */
export interface CheckedEntry extends Required<Listing> {
  readonly checked: Checked;
}

/** What a program says about the list as a whole. */
export interface ListOptions {
  readonly placement?: Placement | undefined;
  /** Seconds. */
  readonly retrySeconds?: number | undefined;
}

export interface CheckedList {
  readonly entries: readonly CheckedEntry[];
  readonly placement: Placement;
  readonly retryMs: number;
}

const NAME = /^[a-z_][a-z0-9_-]{0,40}$/;
const MODES: readonly unknown[] = ["active", "drain", "off"] satisfies DatabaseMode[];
const PLACEMENTS: readonly unknown[] = ["spread", "hash"] satisfies Placement[];

export function isList(databases: Databases): databases is readonly ListedDatabase[] {
  return Array.isArray(databases);
}

/** @throws InvalidInputError for the first thing that is wrong, with the number and name of the entry; none shows a password. */
export function checkList(list: readonly ListedDatabase[], options: ListOptions): CheckedList {
  const { placement = "spread", retrySeconds = DEFAULTS.retrySeconds } = options;
  if (list.length === 0)
    throw invalid('databases is an empty list. Give at least one: [{ name: "a", url: … }].');
  if (!PLACEMENTS.includes(placement))
    throw invalid(`placement is ${show(placement)}; give "spread" or "hash".`);
  if (!isBetween(retrySeconds, 0.001, 86_400))
    throw invalid(`retrySeconds is ${show(retrySeconds)}; give a number from 0.001 to 86400.`);
  const entries = list.map((entry, i) => checkEntry(entry, `databases[${i}]`));
  refuseTwins(entries);
  return { entries, placement, retryMs: retrySeconds * 1_000 };
}

/** Of options that mean nothing where there is one database only. */
export function refuseListOptions(options: ListOptions): void {
  for (const name of ["placement", "retrySeconds"] as const)
    if (options[name] !== undefined)
      throw invalid(
        `${name} goes with a list of databases: databases: [{ name: "a", url: … }, …]. Leave it out for one.`,
      );
}

function checkEntry(entry: unknown, where: string): CheckedEntry {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry))
    throw invalid(
      `${where} is ${typeof entry === "string" ? "an address alone" : show(entry)}. Each of several databases has a name: { name: "a", url: … }.`,
    );
  const { name, weight = 1, mode = "active", ...options } = entry as ListedDatabase;
  checkDatabaseName(name, `${where}: name`);
  const named = `${where} (${name})`;
  if (!isBetween(weight, 0.000_001, 1_000_000))
    throw invalid(`${named}: weight is ${show(weight)}; give a number above 0, at most 1000000.`);
  if (!MODES.includes(mode))
    throw invalid(`${named}: mode is ${show(mode)}; give "active", "drain" or "off".`);
  return { name, weight, mode, checked: checkedHere(options, named) };
}

export function checkDatabaseName(name: unknown, what = "name"): string {
  if (typeof name === "string" && NAME.test(name)) return name;
  throw invalid(
    `${what} is ${show(name)}; give small letters, digits, "_" and "-", at most 41, and a letter or "_" first.`,
  );
}

/** What knows nothing of lists does not say of which entry it is. */
function checkedHere(options: DatabaseOptions, named: string): Checked {
  try {
    return checkOne(options, named);
  } catch (error) {
    if (!(error instanceof InvalidInputError) || error.message.startsWith(named)) throw error;
    throw new InvalidInputError(error.code, `${named}: ${error.message}`);
  }
}

function isBetween(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && value >= min && value <= max;
}

function refuseTwins(entries: readonly CheckedEntry[]): void {
  for (const [i, one] of entries.entries())
    for (const other of entries.slice(0, i)) {
      if (one.name === other.name)
        throw invalid(
          `databases has two entries with the name ${one.name}. Give each a name of its own.`,
        );
      if (isOnePlace(one.checked, other.checked))
        throw invalid(
          `databases has one address twice: ${other.name} and ${one.name}. Give each a database of its own.`,
        );
    }
}

/** As far as it can be told from outside; the databases themselves tell the rest (`several/identity.ts`). */
function isOnePlace(one: Checked, other: Checked): boolean {
  if (one.kind === "sqlite" || other.kind === "sqlite")
    return one.kind === "sqlite" && other.kind === "sqlite" && isOneFile(one, other);
  if (one.kind !== other.kind) return false;
  const [a, b] = [one.settings, other.settings];
  const pools = a.pool !== undefined || b.pool !== undefined;
  return (
    tablesOf(one) === tablesOf(other) &&
    (pools ? a.pool === b.pool : serverOf(one) === serverOf(other))
  );
}

type OfSqlite = Extract<Checked, { kind: "sqlite" }>;
type OfServer = Exclude<Checked, OfSqlite>;

/** Each database in memory is one of its own. */
function isOneFile(one: OfSqlite, other: OfSqlite): boolean {
  const [a, b] = [one.options.handle, other.options.handle];
  if (a !== undefined || b !== undefined) return a === b;
  if (one.path === ":memory:" || other.path === ":memory:") return false;
  return resolve(one.path) === resolve(other.path) || fileOf(one.path) === fileOf(other.path);
}

/** Links lead to one file, and two of them to two logs beside it, which would ruin it. One that is not there yet is its own. */
function fileOf(path: string): string | symbol {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return Symbol(path);
  }
}

function tablesOf({ settings }: OfServer): string {
  return `${"schema" in settings ? settings.schema : ""}.${settings.prefix}`;
}

/** Whoever logs in, it is the same database. */
function serverOf({ settings }: OfServer): string {
  const { hosts, database } = settings;
  const socket = "socketPath" in settings ? settings.socketPath : null;
  const at = hosts.map(({ host, port }) => `${host.toLowerCase()}:${port}`).toSorted();
  return JSON.stringify([at, socket, database]);
}

function invalid(message: string): InvalidInputError {
  return new InvalidInputError("QUDO_INVALID_OPTION", message);
}
