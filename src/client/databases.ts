/** Several databases, as users see them: which there are, what they do, what of them is meant. */
import { askEach } from "../core/ask.js";
import { InvalidInputError } from "../core/errors.js";
import type { DatabaseChange, Emit } from "../core/events.js";
import { show } from "../core/options.js";
import type { Time } from "../core/time.js";
import type { DatabaseMode, DatabaseStatus, Driver, Part } from "../storage/driver.js";

/** One of several databases as this process sees it. */
export interface DatabaseInfo {
  readonly name: string;
  /** Engine and place, never a password. */
  readonly label: string;
  /** "out": it is left in peace until `retryAt`; "probing": that moment has come, and one write tries whether it is back. */
  readonly state: DatabaseStatus["state"];
  /** The stricter one of what the configuration says and what the database says. */
  readonly mode: DatabaseMode;
  /** Why it is out; null while it is healthy. */
  readonly reason: string | null;
  /** Since when it is in this state. */
  readonly since: Date;
  /** When it is tried again; null while it is healthy. */
  readonly retryAt: Date | null;
}

/**
 * Asked first, so that each has had to show whether it is there, and who it is. Empty where there is no list of databases.
 * @throws InvalidInputError QUDO_DATABASE_TWICE, QUDO_DATABASE_SWAPPED.
 */
export async function databaseInfos({ parts = [] }: Driver): Promise<DatabaseInfo[]> {
  await askEach(parts, ({ driver }) => driver.sessions());
  return parts.map((part) => {
    const { since, retryAt, ...status } = part.status();
    return {
      ...status,
      since: new Date(since),
      retryAt: retryAt === null ? null : new Date(retryAt),
    };
  });
}

/** What is meant: one of several databases, by its name, or all. */
export interface Chosen {
  readonly driver: Driver;
  /** Its name; undefined for all. */
  readonly database: string | undefined;
}

/** @throws InvalidInputError QUDO_UNKNOWN_DATABASE for a name that none of them has. */
export function choose(driver: Driver, name: string | undefined): Chosen {
  if (name === undefined) return { driver, database: undefined };
  return { driver: partOf(driver, name).driver, database: name };
}

function partOf({ parts = [] }: Driver, name: unknown): Part {
  const part = parts.find((one) => one.name === name);
  if (part !== undefined) return part;
  const names = parts.map((one) => one.name).join(", ");
  throw new InvalidInputError(
    "QUDO_UNKNOWN_DATABASE",
    parts.length === 0
      ? `There is one database only, and it has no name: leave out database (${show(name)}).`
      : `There is no database ${show(name)}. There are: ${names}.`,
  );
}

/** What of {@link Logger} is told of changes. */
interface Log {
  warn(message: string): void;
}

/** One event and one line for each change of one of them, from now on. Returns the way to stop it. */
export function tellChanges({ parts = [] }: Driver, emit: Emit, log: Log, time: Time): () => void {
  const stops = parts.map((part) => {
    let before = part.status();
    return part.watch((now) => {
      for (const change of changesBetween(before, now)) {
        emit("database", () => change);
        // Coming back too: whoever reads warnings only would never learn that it is over.
        log.warn(lineOf(change, now, time.wall()));
      }
      before = now;
    });
  });
  return () => stops.forEach((stop) => stop());
}

/** A probe is no change: it goes on being out until the probe has written. */
function* changesBetween(before: DatabaseStatus, now: DatabaseStatus): Generator<DatabaseChange> {
  const { name, reason } = now;
  const [from, to] = [conditionOf(before), conditionOf(now)];
  if (from !== to) yield { name, from, to, reason };
  if (before.mode !== now.mode)
    yield { name, from: before.mode, to: now.mode, reason: "as it is set in the database" };
}

function conditionOf({ state }: DatabaseStatus): "healthy" | "out" {
  return state === "healthy" ? "healthy" : "out";
}

function lineOf(
  { name, to, reason }: DatabaseChange,
  { retryAt }: DatabaseStatus,
  now: number,
): string {
  switch (to) {
    case "healthy":
      return `qudo: the database ${name} is back`;
    case "out": {
      const seconds = Math.max(0, Math.ceil(((retryAt ?? now) - now) / 1_000));
      return `qudo: the database ${name} is out, and is tried again in ${seconds} s: ${reason}`;
    }
    case "active":
      return `qudo: the database ${name} is active`;
    case "drain":
      return `qudo: the database ${name} drains: it gets no new jobs`;
    case "off":
      return `qudo: the database ${name} is off: nothing of it is claimed`;
  }
}
