/** SQLite under the laws: in a file of its own, or behind a handle that the user opened. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualClock, type Fixture, type TestDatabase } from "../../../src/testing/index.js";
import { openDatabase } from "../../../src/storage/open.js";
import type { Driver } from "../../../src/storage/driver.js";
import { openSqlite, type HandleLike } from "../../../src/storage/sqlite/index.js";
import { openHandle, tap, type Tap } from "./handle.js";

/** In 2027. */
const START = 1_800_000_000_000;

/** The engine opens the file itself. */
export function sqliteFile(): Fixture {
  return file("SQLite file", false);
}

/** The same, each connection in a thread of its own: what users have. */
export function sqliteThread(): Fixture {
  return file("SQLite file in a thread", true);
}

function file(name: string, thread: boolean): Fixture {
  return {
    name,
    capabilities: ["clock", "identity", "wakeups"],
    async open() {
      const folder = newFolder();
      const clock = manualClock(START);
      const connect = (): Promise<Driver> =>
        openDatabase({ url: `sqlite:${join(folder, "jobs.db")}`, clock, thread });
      const driver = await connect();
      return {
        driver,
        connect,
        clock: { now: clock, advance: clock.advance },
        close: async () => {
          await driver.close();
          rmSync(folder, { recursive: true });
        },
      };
    },
  };
}

/** What stands between the laws and the sound engine; nothing when left out. */
export interface Tampering {
  readonly name?: string;
  /** Rewrites what the engine sends. */
  readonly rewrite?: Tap["rewrite"];
  /** Other logic around the driver; the handle is for tampering with the data. */
  readonly wrap?: (driver: Driver, handle: HandleLike) => Driver;
}

/** The user opens the file and hands the handle in; each connection has its own. */
export function sqliteHandle(tampering: Tampering = {}): Fixture {
  return {
    name: tampering.name ?? "SQLite handle",
    capabilities: ["clock", "commits", "identity", "wakeups"],
    async open() {
      const folder = newFolder();
      const handles: HandleLike[] = [];
      const newHandle = async (): Promise<HandleLike> => {
        const handle = await openHandle(join(folder, "jobs.db"));
        handles.push(handle);
        // These databases live for milliseconds: no need to reach the disk.
        handle.exec("pragma journal_mode=wal; pragma synchronous=off");
        return handle;
      };
      return openTapped(tampering, newHandle, () => {
        for (const handle of handles) handle.close();
        rmSync(folder, { recursive: true });
      });
    },
  };
}

/**
 * All connections share one handle to memory: fast enough for thousands of databases. What one connection writes is no
 * news to the others, so that there are no wake-ups.
 */
export function sqliteMemory(tampering: Tampering = {}): Fixture {
  return {
    name: tampering.name ?? "SQLite in memory",
    capabilities: ["clock", "commits", "identity"],
    async open() {
      const handle = await openHandle(":memory:");
      return openTapped(
        tampering,
        async () => handle,
        () => handle.close(),
      );
    },
  };
}

async function openTapped(
  { name = "SQLite", rewrite, wrap = (driver) => driver }: Tampering,
  newHandle: () => Promise<HandleLike>,
  remove: () => void,
): Promise<TestDatabase> {
  const clock = manualClock(START);
  let commits = 0;
  const ran = (sql: string): void => {
    if (sql === "commit") commits++;
  };
  const connect = async (): Promise<Driver> => {
    const handle = await newHandle();
    const tapped = tap(handle, { rewrite, ran });
    return wrap(await openSqlite({ path: name, handle: tapped, clock }), handle);
  };
  const driver = await connect();
  const close = async (): Promise<void> => {
    await driver.close();
    remove();
  };
  const { advance } = clock;
  return { driver, connect, clock: { now: clock, advance }, commits: () => commits, close };
}

function newFolder(): string {
  return mkdtempSync(join(tmpdir(), "qudo-conformance-"));
}
