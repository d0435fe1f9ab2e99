/**
 * What the tests of docs/parity.md share: each of them runs on every database, through what a program imports from "qudo" and nothing else.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createConnection } from "mysql2/promise";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, describe } from "vitest";
import { Qudo, type JobDefinition, type Logger } from "qudo";
import { openHandle } from "../conformance/support/handle.js";
import { has, mariadb, postgres, startProxy, type Fresh } from "../servers/index.js";

/** Where the tests of one database find queues of their own. */
export interface Place {
  readonly engine: "SQLite" | "PostgreSQL" | "MariaDB";
  /** The address of a queue that no test had before. */
  newAddress(): string;
  /** Runs statements there as an administrator would, without qudo. */
  execute(address: string, statements: string): Promise<void>;
  /** The same behind a door that can be shut, as if the database were dead. Shut at first. */
  newDoor(): Promise<Door>;
}

/** A database that is dead until its door is opened. */
export interface Door {
  readonly address: string;
  open(): Promise<void>;
}

/** Declares the same tests once for each database. */
export function onEachDatabase(tests: (place: Place) => void): void {
  describe("SQLite", () => tests(sqlite()));
  describe.skipIf(!here.postgres)("PostgreSQL", () =>
    tests(server("PostgreSQL", async () => (await postgres({ durable: false })).newDatabase())),
  );
  describe.skipIf(!here.mariadb)("MariaDB", () =>
    tests(server("MariaDB", async () => (await mariadb()).newDatabase())),
  );
}

const here = { postgres: await has("postgres"), mariadb: await has("mariadb") };

const BASE = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

function sqlite(): Place {
  let folder = "";
  let files = 0;
  beforeAll(() => void (folder = mkdtempSync(join(BASE, "qudo-parity-"))));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const newPath = (): string => join(folder, `${++files}`);
  return {
    engine: "SQLite",
    newAddress: () => `sqlite:${newPath()}.db`,
    execute: async (address, statements) => {
      const handle = await openHandle(address.replace("sqlite:", ""));
      handle.exec(statements);
      handle.close!();
    },
    // A file whose folder is not there: a disk that is not mounted yet.
    newDoor: async () => {
      const missing = newPath();
      return {
        address: `sqlite:${join(missing, "jobs.db")}`,
        open: async () => void mkdirSync(missing),
      };
    },
  };
}

function server(engine: "PostgreSQL" | "MariaDB", newDatabase: () => Promise<Fresh>): Place {
  let place: Fresh | undefined;
  let tables = 0;
  beforeAll(async () => void (place = await newDatabase()));
  afterAll(() => place?.drop());
  const newAddress = (): string => {
    const url = new URL(place!.url);
    url.searchParams.set("prefix", `q${++tables}_`);
    return url.href;
  };
  return {
    engine,
    newAddress,
    execute: engine === "PostgreSQL" ? executeOnPostgres : executeOnMariadb,
    newDoor: async () => {
      const proxy = await startProxy(place!.url);
      closers.push(() => proxy.close());
      proxy.weather = "refusing";
      return {
        address: proxy.through(newAddress()),
        open: async () => void (proxy.weather = "fair"),
      };
    },
  };
}

async function executeOnPostgres(address: string, statements: string): Promise<void> {
  const client = new Client({ connectionString: plain(address) });
  await client.connect();
  await client.query(statements).finally(() => client.end());
}

async function executeOnMariadb(address: string, statements: string): Promise<void> {
  const client = await createConnection({ uri: plain(address), multipleStatements: true });
  await client.query(statements).finally(() => client.end());
}

/** Without what only qudo understands. */
function plain(address: string): string {
  const url = new URL(address);
  url.search = "";
  return url.href;
}

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** Closed after the test. */
export function closing<T extends Qudo>(qudo: T): T {
  closers.push(() => qudo.close());
  return qudo;
}

// oxlint-disable-next-line typescript/no-explicit-any -- a list of any kinds of jobs
type AnyJob = JobDefinition<any, any, any, any>;

/** A queue of these jobs, closed after the test. */
export function newQudo(databases: string, jobs: readonly AnyJob[] = []): Qudo {
  return closing(new Qudo({ databases, jobs, logger: quiet }));
}

export const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Resolves as soon as the condition holds; fails with its name when it does not in time. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  withinMs = 20_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Waited ${withinMs} ms in vain: ${what}`);
    await sleep(5);
  }
}

/** A promise and the way to settle it. */
export function gate<T = void>(): { readonly passed: Promise<T>; open(value: T): void } {
  let open!: (value: T) => void;
  const passed = new Promise<T>((resolve) => (open = resolve));
  return { passed, open };
}

export async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of list) found.push(one);
  return found;
}
