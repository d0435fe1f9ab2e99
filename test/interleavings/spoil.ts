/** A copy of the prepared file that a test spoils by raw SQL, and what the audit says before and after. */
import { copyFileSync } from "node:fs";
import { afterAll, beforeAll } from "vitest";
import { idBytes } from "../../src/core/ids.js";
import type { Violation } from "../../src/storage/driver.js";
import type { HandleLike } from "../../src/storage/sqlite/index.js";
import type { Value } from "../../src/storage/sqlite/connection.js";
import { newFolder, openDriver, openRaw, removeFolder } from "./files.js";
import { id, NOW, prepare } from "./scenario.js";

export interface Spoiled {
  readonly before: readonly Violation[];
  readonly after: readonly Violation[];
}

/** Runs one statement; text among the values is the name of a job, a lease or a session. */
export type Spoil = (sql: string, ...values: (string | number | Uint8Array)[]) => void;

export const blob = (name: string): Buffer => idBytes(id(name));

export function useSpoiled(): (spoil: (run: Spoil) => void) => Promise<Spoiled> {
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
    spoil((sql, ...values) => changeOne(raw, sql, values.map(valueOf)));
    raw.close();
    const after = await driver.audit();
    await driver.close();
    return { before, after };
  };
}

const valueOf = (value: string | number | Uint8Array): Value =>
  typeof value === "string" ? blob(value) : value;

/** A seed that changes nothing would prove nothing. */
function changeOne(raw: HandleLike, sql: string, values: readonly Value[]): void {
  const { changes } = raw.prepare(sql).run(...values);
  if (Number(changes) !== 1) throw new Error(`${String(changes)} rows changed by: ${sql}`);
}
