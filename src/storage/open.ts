/** From a database's address to its driver. The engine's code is loaded only when an address asks for it. */
import { resolve } from "node:path";
import { closedError, InvalidInputError, QudoError } from "../core/errors.js";
import { checkDatabase, type Checked } from "./check.js";
import { isSharedClock } from "./clock.js";
import type { Database, Databases, SqliteDatabase } from "./database.js";
import type { DatabaseMode, Driver, MigrationReport, UserTransaction } from "./driver.js";
import {
  checkList,
  isList,
  refuseListOptions,
  type CheckedEntry,
  type CheckedList,
  type ListOptions,
} from "./list.js";
import type { HandleLike } from "./handle.js";
import { Direct } from "./sqlite/direct.js";
import { userTransaction, type SqliteTransaction } from "./sqlite/transaction.js";
import { mysqlSpeech } from "./mysql/transaction.js";
import { postgresSpeech } from "./postgres/transaction.js";
import { refuseWrongOnes } from "./several/identity.js";
import { openSeveral } from "./several/index.js";
import type { PartPlan, SeveralPlan } from "./several/plan.js";
import { transactionOnOneOf, type Candidates } from "./several/transaction.js";
import type { ServerDriver } from "./sql/driver.js";
import { userTransaction as onConnection } from "./sql/transaction.js";
import { readTls } from "./tls.js";
import type { World } from "./world.js";

export type { Database, DatabaseOptions, Databases } from "./database.js";

/** @throws InvalidInputError for an address or option that cannot be, before anything is opened. */
export async function openDatabase(database: Database): Promise<Driver> {
  return openChecked(checkDatabase(database));
}

/**
 * Null where it is one database, which is checked when it is opened.
 * @throws InvalidInputError for a list that cannot be, or options of a list that is none.
 */
function planDatabases(
  databases: Databases,
  options: ListOptions,
  wrap: Wrap,
): OpenablePlan | null {
  if (isList(databases)) return planSeveral(checkList(databases, options), wrap);
  refuseListOptions(options);
  return null;
}

type Wrap = NonNullable<World["wrap"]>;

/** Several databases, none of them opened yet. */
interface OpenablePlan extends SeveralPlan {
  readonly parts: readonly OpenablePart[];
}

function planSeveral({ entries, placement, retryMs }: CheckedList, wrap: Wrap): OpenablePlan {
  return { parts: entries.map((entry) => new OpenablePart(entry, wrap)), placement, retryMs };
}

class OpenablePart implements PartPlan {
  readonly name: string;
  readonly label: string;
  readonly weight: number;
  readonly mode: DatabaseMode;
  readonly checked: Checked;
  /** As it was opened last. */
  private driver: Driver | null = null;
  /** The one whose tables and identity were in order. */
  private sound: Driver | null = null;

  constructor(
    { name, weight, mode, checked }: CheckedEntry,
    private readonly wrap: Wrap,
  ) {
    [this.name, this.weight, this.mode] = [name, weight, mode];
    this.label = labelOf(checked);
    this.checked = checked.kind === "sqlite" ? absolute(checked) : checked;
  }

  async open(): Promise<Driver> {
    this.driver = this.wrap(await openChecked(this.checked), this.name);
    return this.driver;
  }

  /**
   * What a server's driver tells of itself to transactions of users. Once it is known it is told while the database is out, too: whether
   * it can be reached, their connection shows. `ready`: resolves when it is open, with its tables, and the one that it is called.
   */
  async queue(ready: (name: string) => Promise<unknown>): ReturnType<ServerDriver["queue"]> {
    if (this.sound === null || this.sound !== this.driver) {
      await ready(this.name);
      this.sound = this.driver;
    }
    return (this.sound as ServerDriver).queue();
  }
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
  return onConnection(given, SPEECHES[checked.kind], [
    async () => ((await opened!()) as ServerDriver).queue(),
  ]);
}

const SPEECHES = { postgres: postgresSpeech, mysql: mysqlSpeech } as const;

/**
 * The same where there are several databases: on the one that the handle or connection is on. `ready` resolves when the part of that
 * name is open, with its tables, and the one that it is called.
 */
function openTransactionOnOneOf(
  given: unknown,
  parts: readonly OpenablePart[],
  ready: (name: string) => Promise<unknown>,
): UserTransaction {
  const named = ({ name, label }: OpenablePart): string => `${name} (${label})`;
  const files = parts.flatMap((part): Candidates[] => {
    const { checked } = part;
    if (checked.kind !== "sqlite") return [];
    return [{ names: [named(part)], enter: (handle) => onHandle(handle, checked) }];
  });
  const servers = (Object.keys(SPEECHES) as (keyof typeof SPEECHES)[]).map((kind): Candidates => {
    const some = parts.filter(({ checked }) => checked.kind === kind);
    const queues = some.map((part) => () => part.queue(ready));
    return {
      names: some.map(named),
      enter: (handle) => onConnection(handle, SPEECHES[kind], queues),
    };
  });
  return transactionOnOneOf(
    given,
    [...files, ...servers].filter(({ names }) => names.length > 0),
  );
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
export function openDirect(database: Databases, migrate: boolean): DirectDatabase {
  if (isList(database))
    throw new QudoError(
      "QUDO_UNSUPPORTED",
      'There are several databases, and which of them takes a job is found out on the way: enqueueSync cannot wait for it. Use "await qudo.enqueue(…)", or on a SQLite handle of yours "qudo.in(handle).enqueueSync(…)".',
    );
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

/** What an {@link Opening} is made with: of Qudo's options those that say which databases there are. */
export interface OpeningOptions extends ListOptions {
  readonly databases: Databases;
  /** Default true. */
  readonly migrate?: boolean | undefined;
}

/** A queue's databases, one or several: opened when they are first needed, and then remembered. What has failed is tried anew. */
export class Opening {
  private readonly plan: OpenablePlan | null;
  private closed = false;
  private opening: Promise<Driver> | null = null;
  /** With its tables. */
  private prepared: Promise<Driver> | null = null;
  private directly: DirectDatabase | null = null;

  /**
   * `opened` is told of each driver when it is there.
   * @throws InvalidInputError for a list that cannot be. One database is checked when it is opened.
   */
  constructor(
    private readonly options: OpeningOptions,
    private readonly opened: (driver: Driver) => void = () => undefined,
    private readonly world: World = {},
  ) {
    this.plan = planDatabases(options.databases, options, this.wrap);
  }

  /** Whatever is in it. */
  open(): Promise<Driver> {
    if (this.closed && this.opening === null) throw closedError();
    this.opening ??= remembered(this.openAll(), () => (this.opening = null));
    return this.opening;
  }

  /**
   * With its tables. Each of several sees to its own; one that is out holds up nobody for long.
   * @throws InvalidInputError when one of several is another than it is called.
   */
  ready(): Promise<Driver> {
    this.prepared ??= remembered(this.prepare(), () => (this.prepared = null));
    return this.prepared;
  }

  async migrate(): Promise<MigrationReport> {
    const driver = await this.open();
    const report = await driver.migrate();
    this.prepared ??= Promise.resolve(driver);
    return report;
  }

  /** @throws QudoError QUDO_SCHEMA_MISSING; each of several sees to its own. */
  async existing(): Promise<Driver> {
    const driver = await this.open();
    if (this.plan !== null) return driver;
    if ((await driver.schemaVersion()) !== null) return driver;
    throw new QudoError(
      "QUDO_SCHEMA_MISSING",
      `${driver.label} holds no qudo tables. Run: qudo migrate --database ${driver.label}`,
    );
  }

  /** A transaction that the user has open. `database`: the one of several that it must be on. */
  transaction(given: unknown, database?: string): UserTransaction {
    const driver = (): Promise<Driver> => this.ready();
    if (this.plan === null) return openTransaction(given, this.one, driver);
    const parts = this.plan.parts.filter(({ name }) => name === (database ?? name));
    const ready = async (wanted: string): Promise<unknown> =>
      (await driver()).parts!.find(({ name }) => name === wanted)!.driver.identify();
    return openTransactionOnOneOf(given, parts, ready);
  }

  /** For enqueueSync. */
  direct(): DirectDatabase {
    const { databases, migrate = true } = this.options;
    return (this.directly ??= openDirect(databases, migrate));
  }

  async close(): Promise<void> {
    this.closed = true;
    this.directly?.close();
    await (await this.opening)?.close();
  }

  private get wrap(): Wrap {
    return this.world.wrap ?? ((driver) => driver);
  }

  private get one(): Database {
    return this.options.databases as Database;
  }

  private async openAll(): Promise<Driver> {
    const { migrate = true } = this.options;
    const driver =
      this.plan === null
        ? this.wrap(await openDatabase(this.one))
        : openSeveral(this.plan, { migrate, surroundings: this.world.time });
    this.opened(driver);
    return driver;
  }

  private async prepare(): Promise<Driver> {
    const driver = await this.open();
    if (driver.parts !== undefined) await refuseWrongOnes(driver.parts);
    else if (this.options.migrate === false) await this.existing();
    else await driver.migrate();
    return driver;
  }
}

/** A promise that is kept, unless it fails: then the next call tries again. */
function remembered<T>(promise: Promise<T>, forget: () => void): Promise<T> {
  promise.catch(forget);
  return promise;
}
