/** A copy of the prepared file that a test spoils, and what the audit says before and after. */
import { copyFileSync } from "node:fs";
import { afterAll, beforeAll } from "vitest";
import { newFolder, openDriver, openRaw, removeFolder } from "./files.js";
import { NOW, prepare } from "./scenario.js";
import { BLOBS, statementsOf, type Spoil, type Spoiled } from "./spoil.js";

export function useSpoiledFile(): (spoil: (run: Spoil) => void) => Promise<Spoiled> {
  const folder = newFolder();
  const template = `${folder}/template.db`;
  let files = 0;
  beforeAll(() => prepare(template));
  afterAll(() => removeFolder(folder));
  return async (spoil) => {
    const path = `${folder}/${++files}.db`;
    copyFileSync(template, path);
    const driver = await openDriver(path, { now: NOW });
    const before = await driver.audit();
    const raw = openRaw(path);
    raw.exec("pragma foreign_keys=off");
    for (const sql of statementsOf(spoil, BLOBS)) {
      const { changes } = raw.prepare(sql).run();
      if (Number(changes) !== 1) throw new Error(`${String(changes)} rows changed by: ${sql}`);
    }
    raw.close();
    const after = await driver.audit();
    await driver.close();
    return { before, after };
  };
}
