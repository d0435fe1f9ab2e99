/** Where two play: a database with two drivers, or two actors on the prepared one with a verdict on every interleaving. */
import { afterAll, beforeAll } from "vitest";
import type { Driver } from "../../src/storage/driver.js";
import { openSqlite, type HandleLike } from "../../src/storage/sqlite/index.js";
import { Conductor, type Played } from "./conductor.js";
import {
  newFolder,
  openDriver,
  openRaw,
  removeFolder,
  requireFreshBuild,
  type Hands,
} from "./files.js";
import type { Call } from "./operations.js";
import { NOW, prepare } from "./scenario.js";
import { judge, snapshot, type Snapshot } from "./verdict.js";

export interface Tally {
  /** Interleavings played. */
  played: number;
  /** Those in which the second call met the first one's lock. */
  waited: number;
  /** Those after which something was wrong. */
  broken: number;
  wrong: string[];
}

export type Look = (played: Played) => Promise<void> | void;

/** A new and empty database of a test, its clock set by hand. */
export interface Place {
  readonly clock: Hands;
  /** The driver as users have it. */
  readonly driver: Driver;
  /** The same on connections of its own. */
  another(): Promise<Driver>;
  /** Raw SQL beside the engine, one statement or several; ids as its client gives them. */
  rows(sql: string): Promise<unknown[]>;
  /** Closes the drivers too, and removes the database. */
  close(): Promise<void>;
}

export interface Options {
  /** Looks at the database after each interleaving. */
  readonly look?: Look;
}

/** Two actors on the prepared database. */
export interface Stage {
  readonly driver: Driver;
  rows(sql: string): Promise<unknown[]>;
  /** `second` before each statement of `first` in turn; judged each time, and looked at by the test if it wants to. */
  everywhere(first: Call, second: Call, options?: Options): Promise<Tally>;
  close(): Promise<void>;
}

/** On a file of SQLite. */
export async function filePlace(): Promise<Place> {
  const folder = newFolder();
  const path = `${folder}/place.db`;
  const clock = { now: NOW };
  const drivers = [await openDriver(path, clock)];
  const raw = openRaw(path);
  raw.exec("pragma foreign_keys = on");
  return {
    clock,
    driver: drivers[0]!,
    another: async () => {
      const other = await openDriver(path, clock);
      drivers.push(other);
      return other;
    },
    rows: async (sql) => raw.prepare(sql).all(),
    close: async () => {
      await Promise.all(drivers.map((driver) => driver.close()));
      raw.close();
      removeFolder(folder);
    },
  };
}

export class FileStage implements Stage {
  /** Looks at the file between the interleavings. */
  driver!: Driver;
  before!: Snapshot;
  private readonly folder = newFolder();
  private conductor: Conductor | undefined;

  async open(): Promise<void> {
    requireFreshBuild();
    const template = `${this.folder}/template.db`;
    await prepare(template);
    this.conductor = new Conductor(template);
    const { path, handle } = this.conductor;
    this.driver = await openSqlite({ path, handle, clock: () => NOW });
    this.before = await snapshot(this.driver, (sql) => this.rows(sql));
  }

  private get handle(): HandleLike {
    return this.conductor!.handle;
  }

  async rows(sql: string): Promise<unknown[]> {
    return this.handle.prepare(sql).all();
  }

  async everywhere(
    first: Call,
    second: Call,
    { variant = "none", look }: Options & { variant?: string } = {},
  ): Promise<Tally> {
    const tally: Tally = { played: 0, waited: 0, broken: 0, wrong: [] };
    const it = { first, second, now: NOW, variant };
    tally.played = await this.conductor!.everywhere(it, async (played, pause) => {
      const after = await snapshot(this.driver, (sql) => this.rows(sql));
      const wrong = judge(this.before, after, [first, second], played.answers);
      if (played.waited) tally.waited++;
      if (wrong.length > 0) tally.broken++;
      for (const what of wrong) tally.wrong.push(`before statement ${pause}: ${what}`);
      await look?.(played);
    });
    return tally;
  }

  async close(): Promise<void> {
    await this.conductor?.end();
    removeFolder(this.folder);
  }
}

/** One stage for all tests of a file. */
export function useFileStage(): FileStage {
  const stage = new FileStage();
  beforeAll(() => stage.open());
  afterAll(() => stage.close());
  return stage;
}
