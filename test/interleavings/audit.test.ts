/**
 * The audit is the judge of all other tests, here and in test/conformance: each thing it can say is provoked by raw SQL, and
 * is then the one thing it says.
 */
import { describe, expect, test } from "vitest";
import { has } from "../servers/index.js";
import { id } from "./scenario.js";
import { LIMIT_SEEDS } from "./seeds-limits.js";
import { SEEDS } from "./seeds.js";
import { SOUND } from "./sound.js";
import type { Spoil, Spoiled } from "./spoil.js";
import { useSpoiledFile } from "./spoiled-file.js";
import { useSpoiledMariadb, useSpoiledPostgres } from "./spoiled-server.js";

type Spoiling = (spoil: (run: Spoil) => void) => Promise<Spoiled>;

function auditOf(engine: string, here: boolean, use: () => Spoiling): void {
  describe.skipIf(!here)(engine, () => {
    const spoiled = use();

    test.each([...SEEDS, ...LIMIT_SEEDS])("$invariant: $name", async (seed) => {
      const { before, after } = await spoiled(seed.spoil);
      expect(before).toEqual([]);
      const job = seed.job === null ? null : id(seed.job);
      const detail: unknown = expect.stringMatching(seed.says);
      expect(after).toEqual([{ invariant: seed.invariant, job, run: seed.run, detail }]);
    });

    test.each(SOUND)("no violation: %s", async (_, spoil) => {
      expect((await spoiled(spoil)).after).toEqual([]);
    });
  });
}

auditOf("SQLite", true, useSpoiledFile);
auditOf("PostgreSQL", await has("postgres"), useSpoiledPostgres);
auditOf("MariaDB", await has("mariadb"), useSpoiledMariadb);
