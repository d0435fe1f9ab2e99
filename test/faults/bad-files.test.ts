/** Files that are damaged, cut off, or something else: a clear error, and not a byte of them changed. */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Driver } from "../../src/storage/driver.js";
import { openDatabase } from "../../src/storage/open.js";
import { openSqlite } from "../../src/storage/sqlite/index.js";
import { newJob, times } from "../../src/testing/conformance/harness.js";
import { newSession } from "../../src/testing/conformance/worker.js";
import { openHandle } from "../conformance/support/handle.js";

const folder = mkdtempSync(join(tmpdir(), "qudo-bad-files-"));
const sound = join(folder, "sound.db");
const session = newSession();
let files = 0;
let path: string;
const opened: { close(): unknown }[] = [];

/** 400 jobs, of which some are done with and some are held. */
beforeAll(async () => {
  const driver = await openSqlite({ path: sound });
  await driver.migrate();
  const jobs = times(400, () => newJob());
  await driver.insertJobs(jobs);
  await driver.cancel(jobs.slice(0, 100).map(({ id }) => id));
  await driver.openSession(session);
  await driver.close();
  // Some clients close a file only when they are collected: what lies in the log beside it is carried over here.
  const handle = await openHandle(sound);
  handle.exec("pragma wal_checkpoint(truncate)");
  handle.close();
});

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

afterAll(() => rmSync(folder, { recursive: true }));

const hash = (): string => createHash("sha256").update(readFileSync(path)).digest("hex");

function copy(): string {
  path = join(folder, `${++files}.db`);
  copyFileSync(sound, path);
  return path;
}

function newFile(content: string | Uint8Array): void {
  path = join(folder, `${++files}.db`);
  writeFileSync(path, content);
}

/** What a queue does at its start and then: opens, looks, takes jobs in, hands them out, checks itself. */
const USES: Readonly<Record<string, (driver: Driver) => Promise<unknown>>> = {
  migrate: (driver) => driver.migrate(),
  enqueue: (driver) => driver.insertJobs(times(5, () => newJob())),
  claim: (driver) =>
    driver.trip({
      settle: [],
      claim: {
        lease: newJob().id,
        session: session.id,
        wants: [{ queue: "default", kinds: ["mail"], limit: 300 }],
      },
    }),
  look: (driver) => driver.listAttempts({ limit: 1_000 }),
  audit: (driver) => driver.audit(),
  prune: (driver) => driver.prune({ scan: "other", keepMs: 0, after: null, limit: 1_000 }),
};

const code = (error: unknown): string => (error as { code?: string }).code ?? String(error);

/** Codes of the errors of opening, or of each use in turn. */
async function codes(): Promise<string[]> {
  let driver: Driver;
  try {
    driver = await openSqlite({ path });
  } catch (error) {
    return [code(error)];
  }
  opened.push(driver);
  const found: string[] = [];
  for (const use of Object.values(USES))
    await use(driver).catch((e: unknown) => found.push(code(e)));
  return found;
}

describe("a damaged file", () => {
  test.each([
    ["the first page", 16, 4_080],
    ["all pages but the first", 4_096, Infinity],
    ["everything", 0, Infinity],
  ])("%s", async (_, from, length) => {
    const bytes = readFileSync(copy());
    const end = Math.min(bytes.length, from + length);
    for (let at = from; at < end; at++) bytes[at] = bytes[at]! ^ 0xa5;
    writeFileSync(path, bytes);
    const before = hash();
    const found = await codes();
    expect(found.length).toBeGreaterThan(0);
    expect(new Set(found)).toEqual(new Set(["QUDO_DATABASE_UNREADABLE"]));
    expect(hash()).toBe(before);
  });

  test("each page by itself: errors are typed, and looking changes nothing", async () => {
    const bytes = readFileSync(sound);
    const told = new Map<string, number>();
    for (let page = 1; page < bytes.length / 4_096; page++) {
      const damaged = Buffer.from(bytes);
      damaged.fill(0xa5, page * 4_096, page * 4_096 + 4_096);
      newFile(damaged);
      const before = hash();
      const handle = await openHandle(path);
      const look = async (): Promise<unknown> => {
        const driver = await openSqlite({ path, handle });
        return [await USES["look"]!(driver), await USES["audit"]!(driver)];
      };
      await look().catch((error: unknown) => {
        told.set(code(error), (told.get(code(error)) ?? 0) + 1);
      });
      expect(hash()).toBe(before);
      handle.close();
    }
    expect([...told.keys()]).toEqual(["QUDO_DATABASE_UNREADABLE"]);
    expect(told.get("QUDO_DATABASE_UNREADABLE")).toBeGreaterThan(bytes.length / 4_096 / 3);
  });

  test.each([50, 99, 512, 4_096, 10_000, 40_960])("one cut off after %d bytes", async (bytes) => {
    truncateSync(copy(), bytes);
    const before = hash();
    const found = await codes();
    expect(new Set(found)).toEqual(new Set(["QUDO_DATABASE_UNREADABLE"]));
    expect(hash()).toBe(before);
  });

  test("the error names the file and says that it was left as it is, also from the driver's thread", async () => {
    newFile("This is no database. ".repeat(500));
    const before = hash();
    await expect(openDatabase(`sqlite:${path}`)).rejects.toMatchObject({
      name: "DatabaseError",
      code: "QUDO_DATABASE_UNREADABLE",
      transient: false,
      message: expect.stringMatching(/\d+\.db is damaged.*left as it is/) as string,
    });
    expect(hash()).toBe(before);
  });
});

describe("another kind of file", () => {
  test.each([
    ["a text", "Dear reader,\n".repeat(1_000)],
    ["a short text", "Hi"],
    ["a picture", Buffer.from("\x89PNG\r\n\x1a\n".repeat(900), "latin1")],
    ["zeros", Buffer.alloc(8_192)],
  ])("%s", async (_, content) => {
    newFile(content);
    const before = hash();
    expect(new Set(await codes())).toEqual(new Set(["QUDO_DATABASE_UNREADABLE"]));
    expect(hash()).toBe(before);
  });

  test("a folder", async () => {
    path = join(folder, `${++files}.db`);
    mkdirSync(path);
    expect(await codes()).toEqual(["QUDO_DATABASE_UNREACHABLE"]);
  });

  test("an empty file is an empty database: it stays empty until tables are asked for", async () => {
    newFile("");
    const driver = await openSqlite({ path });
    opened.push(driver);
    expect(await driver.schemaVersion()).toBeNull();
    expect(readFileSync(path)).toHaveLength(0);
    expect((await driver.migrate()).from).toBeNull();
  });
});

async function foreign(): Promise<void> {
  path = join(folder, `${++files}.db`);
  const handle = await openHandle(path);
  handle.exec("create table t (a); insert into t values ('mine'); pragma user_version=7");
  handle.close();
}

describe("another application's database", () => {
  test("opened by mistake it is not changed, not even its journal mode", async () => {
    await foreign();
    const before = hash();
    const driver = await openSqlite({ path });
    expect(await driver.schemaVersion()).toBeNull();
    await driver.ping();
    const job = newJob();
    await expect(driver.insertJobs([job])).rejects.toMatchObject({ name: "DatabaseError" });
    await driver.close();
    expect(hash()).toBe(before);
  });

  test("qudo's tables may be put beside its own, which stay as they are", async () => {
    await foreign();
    const driver = await openSqlite({ path });
    opened.push(driver);
    await driver.migrate();
    await driver.insertJobs([newJob()]);
    const handle = await openHandle(path);
    expect(handle.prepare("select a from t").all()).toEqual([{ a: "mine" }]);
    expect(handle.prepare("pragma user_version").get()).toEqual({ user_version: 7 });
    expect(handle.prepare("pragma journal_mode").get()).toEqual({ journal_mode: "wal" });
    handle.close();
    expect(await driver.audit()).toEqual([]);
  });

  test("where one of its tables has a name of ours nothing is made at all", async () => {
    await foreign();
    const handle = await openHandle(path);
    handle.exec("create table qudo_lease (mine)");
    handle.close();
    const driver = await openSqlite({ path });
    opened.push(driver);
    await expect(driver.migrate()).rejects.toMatchObject({ code: "QUDO_DATABASE_FAILED" });
    const after = await openHandle(path);
    const tables = after.prepare("select name from sqlite_master order by name").all();
    expect(tables).toEqual([{ name: "qudo_lease" }, { name: "t" }]);
    after.close();
  });
});

test("a queue that is not in WAL mode, as a restored backup is not, is brought there", async () => {
  const handle = await openHandle(copy());
  handle.exec("pragma journal_mode=delete");
  handle.close();
  /** As the file's header has it: 1 for a rollback journal, 2 for WAL. */
  const mode = (): unknown => readFileSync(path)[18];
  expect(mode()).toBe(1);
  const look = await openSqlite({ path, create: false });
  await look.counts({});
  await look.close();
  expect(mode()).toBe(1);
  opened.push(await openSqlite({ path }));
  expect(mode()).toBe(2);
});
