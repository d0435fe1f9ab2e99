/** Two actors, the prepared file, and the verdict on every interleaving of two calls. */
import { afterAll, beforeAll } from "vitest";
import type { Driver } from "../../src/storage/driver.js";
import { openSqlite, type HandleLike } from "../../src/storage/sqlite/index.js";
import { Conductor, type Played } from "./conductor.js";
import { newFolder, removeFolder, requireFreshBuild } from "./files.js";
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

export class Stage {
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
    this.before = await snapshot(this.driver, (sql) => handle.prepare(sql).all());
  }

  get handle(): HandleLike {
    return this.conductor!.handle;
  }

  /** `second` before each statement of `first` in turn; judged each time, and looked at by the test if it wants to. */
  async everywhere(
    first: Call,
    second: Call,
    { variant = "none", look }: { variant?: string; look?: Look } = {},
  ): Promise<Tally> {
    const tally: Tally = { played: 0, waited: 0, broken: 0, wrong: [] };
    const it = { first, second, now: NOW, variant };
    tally.played = await this.conductor!.everywhere(it, async (played, pause) => {
      const after = await snapshot(this.driver, (sql) => this.handle.prepare(sql).all());
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
export function useStage(): Stage {
  const stage = new Stage();
  beforeAll(() => stage.open());
  afterAll(() => stage.close());
  return stage;
}
