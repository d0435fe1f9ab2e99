/** A broken engine with a name, and how it is made from the sound one. */
import type { Driver } from "../../../src/storage/driver.js";
import type { HandleLike } from "../../../src/storage/sqlite/index.js";
import type { Fixture, Law } from "../../../src/testing/index.js";
import { sqliteHandle, sqliteMemory, type Tampering } from "../support/fixture.js";

/** Text in the engine's statements, and what is sent instead. */
export interface Rewrite {
  readonly find: string;
  readonly put: string;
}

export interface Mutant {
  readonly name: string;
  /** What a careless author got wrong. */
  readonly breaks: string;
  /** Laws that must catch it; others may too. */
  readonly caughtBy: readonly string[];
  /** Made by other SQL: every `find` must be met in a statement, so that none goes stale. */
  readonly rewrites?: readonly Rewrite[];
  /** Made by other logic around the driver; `db` is the same connection, for tampering with the data. */
  readonly wrap?: (driver: Driver, db: HandleLike) => Driver;
}

/** The mutant as an engine under test. `stale` lists the texts that no statement has held so far. */
export function mutantFixture(mutant: Mutant): { fixtureOf: FixtureOf; stale(): string[] } {
  const unmet = new Set((mutant.rewrites ?? []).map((rewrite) => rewrite.find));
  const rewrite = (sql: string): string => {
    let text = sql;
    for (const { find, put } of mutant.rewrites ?? [])
      if (text.includes(find)) {
        unmet.delete(find);
        text = text.replaceAll(find, put);
      }
    return text;
  };
  const { name, wrap } = mutant;
  return { fixtureOf: fixtures({ name, rewrite, wrap }), stale: () => [...unmet] };
}

/** The fixture that a law needs: memory, as it is quick; a file where connections must see each other write. */
export type FixtureOf = (law: Law) => Fixture;

export function fixtures(tampering: Tampering = {}): FixtureOf {
  const [inMemory, onDisk] = [sqliteMemory(tampering), sqliteHandle(tampering)];
  return (law) => (law.requires?.includes("wakeups") ? onDisk : inMemory);
}

/** A statement of the engine with some of its text replaced: fails at import when the text is not in it. */
export function change(statement: string, find: string, put: string): Rewrite {
  if (!statement.includes(find)) throw new Error(`"${find}" is not in: ${statement}`);
  return { find: statement, put: statement.replace(find, put) };
}

/** Frees a unique key whether its job has ended or not. */
export const FREE_ANYWAY = "delete from qudo_unique_key where job_id = ?";
