/** From a database's address to its driver. The engine's code is loaded only when an address asks for it. */
import { resolve } from "node:path";
import { InvalidInputError, QudoError } from "../core/errors.js";
import { checkDatabase, type Checked } from "./check.js";
import { isSharedClock } from "./clock.js";
import type { Database, SqliteDatabase } from "./database.js";
import type { Driver, UserTransaction } from "./driver.js";
import type { CheckedEntry, CheckedList } from "./list.js";
import type { HandleLike } from "./handle.js";
import { Direct } from "./sqlite/direct.js";
import { userTransaction, type SqliteTransaction } from "./sqlite/transaction.js";
import { mysqlSpeech } from "./mysql/transaction.js";
import { postgresSpeech } from "./postgres/transaction.js";
import type { PartPlan, SeveralPlan } from "./several/plan.js";
import type { ServerDriver } from "./sql/driver.js";
import { userTransaction as onConnection } from "./sql/transaction.js";
import { readTls } from "./tls.js";

export type { Database, DatabaseOptions } from "./database.js";

/** @throws InvalidInputError for an address or option that cannot be, before anything is opened. */
export async function openDatabase(database: Database): Promise<Driver> {
  return openChecked(checkDatabase(database));
}

/** Several databases, none of them opened yet. */
export function planSeveral({ entries, placement, retryMs }: CheckedList): SeveralPlan {
  return { parts: entries.map(planPart), placement, retryMs };
}

function planPart({ name, weight, mode, checked: given }: CheckedEntry): PartPlan {
  const checked = given.kind === "sqlite" ? absolute(given) : given;
  return { name, label: labelOf(given), weight, mode, open: () => openChecked(checked) };
}

/** By the time it is opened the working directory may be another. */
function absolute(file: OfKind<"sqlite">): OfKind<"sqlite"> {
  if (file.options.handle !== undefined || file.path === ":memory:") return file;
  const path = resolve(file.path);
  return { ...file, path, options: { ...file.options, url: `sqlite:${path}` } };
}

function labelOf(checked: Checked): string {
  return checked.kind === "sqlite" ? `sqlite:${checked.path}` : checked.settings.label;
}

function openChecked(checked: Checked): Promise<Driver> {
  switch (checked.kind) {
    case "sqlite":
      return openFile(checked);
    case "postgres":
      return openOnPostgres(checked);
    case "mysql":
      return openOnMysql(checked);
  }
}

type OfKind<Kind extends Checked["kind"]> = Extract<Checked, { kind: Kind }>;

async function openOnPostgres({ settings }: OfKind<"postgres">): Promise<Driver> {
  const { ssl, listen } = settings;
  const { openPostgres } = await import("./postgres/index.js");
  return openPostgres({
    ...settings,
    ssl: readTls(ssl),
    listen: typeof listen === "boolean" ? listen : { ...listen, ssl: readTls(listen.ssl) },
  });
}

async function openOnMysql({ settings }: OfKind<"mysql">): Promise<Driver> {
  const { openMysql } = await import("./mysql/index.js");
  return openMysql({ ...settings, ssl: readTls(settings.ssl) });
}

async function openFile({ options, path }: OfKind<"sqlite">): Promise<Driver> {
  const { url, handle, thread = true, clock, ...rest } = options;
  const movable = handle === undefined && path !== ":memory:";
  if (thread && movable && (clock === undefined || isSharedClock(clock))) {
    const { openInThread } = await import("./thread/client.js");
    const database = { url, ...rest };
    const again = { ...database, url: `sqlite:${resolve(path)}` };
    return openInThread({ database, again, clock: clock?.shared ?? null });
  }
  const { openSqlite } = await import("./sqlite/index.js");
  return openSqlite({ path, handle, clock, ...rest });
}

/**
 * The queue's operations inside a transaction that is open on the user's own handle or connection. SQLite answers at once, and
 * opens nothing; servers ask `opened` for the queue's own driver, with its tables, at the first operation.
 * @throws InvalidInputError QUDO_WRONG_DATABASE for what is not on this database; on servers it may be told only then.
 */
export function openTransaction(
  handle: unknown,
  database: `sqlite:${string}` | (SqliteDatabase & { handle: HandleLike }),
): SqliteTransaction;
export function openTransaction(
  given: unknown,
  database: Database,
  opened: () => Promise<Driver>,
): UserTransaction;
export function openTransaction(
  given: unknown,
  database: Database,
  opened?: () => Promise<Driver>,
): UserTransaction {
  const checked = checkDatabase(database);
  if (checked.kind === "sqlite") return onHandle(given, checked);
  const speech = checked.kind === "postgres" ? postgresSpeech : mysqlSpeech;
  return onConnection(given, speech, async () => ((await opened!()) as ServerDriver).queue());
}

function onHandle(handle: unknown, { options, path }: OfKind<"sqlite">): SqliteTransaction {
  return userTransaction(handle, options.handle ?? path, options.clock);
}

/** A database's own connection in the caller's thread, opened at once; on a handle of the user's, that handle. */
export interface DirectDatabase extends SqliteTransaction {
  /** Whether what was inserted is committed; false inside a transaction that the user has open on that handle. */
  committed(): boolean;
  close(): void;
}

/**
 * For enqueueSync.
 * @throws InvalidInputError QUDO_WRONG_DATABASE for a database in memory, of which there can be no second connection.
 * @throws QudoError QUDO_UNSUPPORTED for a server, which answers later.
 */
export function openDirect(database: Database, migrate: boolean): DirectDatabase {
  const checked = checkDatabase(database);
  if (checked.kind !== "sqlite")
    throw new QudoError(
      "QUDO_UNSUPPORTED",
      `${checked.settings.label} is a server and answers later: enqueueSync cannot wait for it. Use "await qudo.enqueue(…)", or in your own transaction "await qudo.in(tx).enqueue(…)".`,
    );
  const { path, options } = checked;
  const { handle, clock, synchronous = "FULL", create, networkFileSystem } = options;
  if (handle !== undefined)
    return {
      ...onHandle(handle, checked),
      committed: () => (handle.isTransaction ?? handle.inTransaction) === false,
      close: () => undefined,
    };
  if (path === ":memory:")
    throw new InvalidInputError(
      "QUDO_WRONG_DATABASE",
      "A database in memory has one connection only. For enqueueSync give your own handle: databases: { handle }.",
    );
  return new Direct({ path, synchronous, create, clock, migrate, networkFileSystem });
}
